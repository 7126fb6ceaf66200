//! The vocabulary of Suimon without I/O: addresses, rates, flow records, rules, attacks, cases, measures, ends.
//!
//! Everything here is pure data and pure decisions. No clock, no sockets, no files: time comes in as a
//! [`Timestamp`] argument, and the daemon owns the [`Clock`].

pub mod attack;
pub mod calendar;
pub mod clock;
pub mod flow;
pub mod packet;
pub mod protected;
pub mod rule;
pub mod time;
pub mod units;

pub use attack::{Attack, AttackChange, Direction, Vector};
pub use clock::{Clock, ManualClock};
pub use flow::{FlowBatch, FlowRecord};
pub use packet::PacketHeader;
pub use protected::Protected;
pub use rule::{Action, Match, PortRange, Rule, RuleSet};
pub use time::Timestamp;
pub use units::{Asn, Bps, Pps};
