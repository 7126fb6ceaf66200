//! The drill without its daemon: packets from a seed or a capture, a model router, a judge, flow exporters.
//!
//! Everything is pure and repeatable: the same seed gives the same packets to the octet, time is an argument
//! (microseconds since the source began, [`suimon_base::Timestamp`] where a datagram carries a date), and nothing here
//! opens a socket or a file. The drill in the daemon drives it:
//!
//! ```
//! use suimon_base::Timestamp;
//! use suimon_lab::{Exporter, ExporterConfig, Judge, ModelRouter, Scenario};
//!
//! let scenario = Scenario::by_name(Scenario::DEFAULT).expect("built in");
//! let began = Timestamp::from_secs(1_800_000_000);
//! let mut router = ModelRouter::new();
//! let mut judge = Judge::new();
//! let mut exporter = Exporter::new(ExporterConfig { sampling: 100, ..ExporterConfig::default() }, began);
//! for packet in scenario.packets(1).take(20_000) {
//!     let verdict = router.offer(packet.at_us, &packet);
//!     judge.record(&packet, verdict.is_forwarded());
//!     exporter.observe(packet.at_us, &packet.header, verdict.is_forwarded());
//!     for datagram in exporter.poll(packet.at_us, Timestamp::from_micros(began.as_micros() + packet.at_us as i64)) {
//!         assert!(datagram.len() <= suimon_lab::export::MAX_DATAGRAM_OCTETS); // to a socket
//!     }
//! }
//! ```

pub mod export;
pub mod hour;
pub mod judge;
pub mod router;
pub mod stream;
pub mod traffic;

mod random;

pub use export::{Exporter, ExporterConfig, ExporterStats, Protocol, Selection};
pub use judge::{Judge, Span, Tally};
pub use router::{ModelRouter, Verdict};
pub use traffic::capture::Capture;
pub use traffic::labels::Labels;
pub use traffic::legit::{Legit, LegitProfile};
pub use traffic::scenario::Scenario;
pub use traffic::{Label, Merge, Packet, merge};
