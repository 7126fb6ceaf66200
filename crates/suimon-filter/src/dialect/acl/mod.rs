//! Access lists of Cisco IOS, IOS XR, NX-OS and Arista EOS: one writer and one reader, with [`facts`] of each platform.

pub mod facts;
pub mod plan;
mod police;
pub mod policies;
mod read;
pub mod swap;
mod words;
mod write;

pub use read::{MAX_ENTRIES, parse};
pub use words::wildcard;
pub use write::write;
