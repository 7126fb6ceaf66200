//! The engine between senses and hands.
