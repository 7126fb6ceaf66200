//! Access lists of Cisco IOS, IOS XR, NX-OS and Arista EOS: one writer and one reader, with [`facts`] of each platform.

mod compact;
pub mod facts;
mod groups;
pub mod names_of;
pub mod plan;
mod police;
pub mod policies;
mod read;
mod swap;
mod words;
mod write;

pub use read::parse;
pub use words::wildcard;
pub use write::write;
