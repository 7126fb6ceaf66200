//! Flow records to attacks.
