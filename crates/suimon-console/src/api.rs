//! The JSON API under `/api/v1`, and what monitors read.

pub(crate) mod extract;
pub(crate) mod read;
pub(crate) mod verify;
pub(crate) mod write;
