//! Hands on routers: read back, apply, verify, undo (catalogue rows 70, 84, 87, 145, 146, 148).
//!
//! A [`Device`] is one router of one kind; a [`DeviceHand`] makes it the spine's [`Hand`](suimon_spine::ports::Hand).
//! Every device follows the same order: what is there is read first; the change is armed with an undo that happens by
//! itself; the change is made; it is read back in a second session, so that the way to the router is proved to be open
//! still; only then is the undo disarmed. Texts come from the filter compiler alone and are proved equal to the rules
//! once more before they leave ([`Wanted`]).

mod bound;
mod braces;
mod cisco;
mod config;
mod device;
mod error;
mod hand;
mod look;
mod names;
mod netconf;
mod nft_list;
mod nftables;
mod observed;
mod session;
mod ssh;
mod wanted;

pub use bound::Bound;
pub use cisco::{CiscoCli, CliList, Flavour, Ios};
pub use config::{Binding, ConfigError, DeviceConfig, Direction, Driver, open};
pub use device::{Applied, Device, UndoBy};
pub use error::DeviceError;
pub use hand::DeviceHand;
pub use names::{list_name, owner};
pub use netconf::{IosXr, Junos, NcList, Netconf, Platform};
pub use nftables::Nftables;
pub use observed::{Counters, Observation, Observed, Orphan, Seen, SeenMeasure, State};
pub use session::MAX_OUTPUT_OCTETS;
pub use ssh::{SshMode, SshTarget};
pub use wanted::{MAX_TEXT_OCTETS, Wanted};
