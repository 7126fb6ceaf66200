//! The vocabulary of Suimon without I/O: addresses, rates, flow records, rules, attacks, cases, measures, ends.
//!
//! Everything here is pure data and pure decisions. No clock, no sockets, no files: time comes in as a
//! [`Timestamp`] argument, and the daemon owns the [`Clock`].

pub mod attack;
pub mod calendar;
pub mod case;
pub mod clock;
pub mod drift;
pub mod end;
pub mod ending;
pub mod event;
pub mod flow;
pub mod holiday;
pub mod id;
pub mod measure;
pub mod packet;
pub mod party;
pub mod placement;
pub mod protected;
pub mod query;
pub mod rule;
pub mod state;
pub mod time;
pub mod trial;
pub mod units;

pub use attack::{Attack, AttackChange, Direction, Vector};
pub use clock::{Clock, ManualClock};
pub use drift::{Drift, Orphan, OrphanKind, OrphanStep};
pub use end::End;
pub use event::Event;
pub use flow::FlowRecord;
pub use id::{AlertId, AttackId, CaseId, MeasureId, OrphanId, RequestId};
pub use packet::PacketHeader;
pub use party::{Actor, Authority};
pub use protected::Protected;
pub use query::PacketQuery;
pub use rule::{Action, Match, PortRange, Rule, RuleSet};
pub use state::{Recorded, State};
pub use time::Timestamp;
pub use units::{Asn, Bps, Pps};
