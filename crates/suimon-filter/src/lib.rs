//! Requests to the smallest correct filter, with proof.
