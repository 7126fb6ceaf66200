//! Bytes to flow records: NetFlow v5/v9, IPFIX, sFlow v5, and packets in captures.
//!
//! Pure: no I/O, no clock, no panic on any input. A template is compiled once into a plan of offsets; the records of a
//! set are then read field by field over many records at a time, and nothing is allocated per flow. Everything that an
//! exporter, or a stranger who forges its address, can make grow is bounded by [`Limits`]. Every error carries the
//! offset of the octet that is wrong.
//!
//! ```
//! use suimon_wire::{Decoder, Limits};
//! let mut decoder = Decoder::new(Limits::default());
//! let exporter = "192.0.2.1".parse().unwrap();
//! let error = decoder.datagram(exporter, suimon_base::Timestamp::ZERO, &[0, 7, 0, 0], &mut |_, _| {}).unwrap_err();
//! assert_eq!(error.offset(), 0);
//! ```

mod columns;
mod context;
mod cursor;
mod decoder;
mod elements;
mod error;
mod exporter;
pub mod input;
pub mod json;
pub mod limits;
pub mod packet;
pub mod pcap;
mod plan;
mod sampling;
mod sequence;
mod session;
mod sflow;
mod summary;
mod templates;
mod v5;

pub use decoder::{Decoder, Usage};
pub use error::DecodeError;
pub use limits::Limits;
pub use summary::{ExporterCounters, Summary, Version};
