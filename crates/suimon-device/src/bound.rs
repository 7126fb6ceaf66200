//! Bounds that several drivers share.

/// Lists of ours on one router that are read; more than this is an error, not a longer wait.
pub(crate) const MAX_LISTS: usize = 4_096;
