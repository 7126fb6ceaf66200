//! Flow records to attacks (catalogue rows 49, 59–61).
//!
//! Pure: no clock, no I/O. Feed records with the time they were received ([`Detector::flow`]), call [`Detector::tick`]
//! every 100 to 200 ms, and act on what it returns. The same seed, settings and inputs give the same outputs.
//!
//! How it decides, and what its figures mean, is in `docs/explanation/detection.md`; what each vector looks like is in
//! `vectors.toml` and `docs/reference/vectors.md`. [`effect`] measures what became of an attack's packets.

mod addresses;
mod attacks;
pub mod config;
mod detector;
pub mod effect;
mod entity;
mod evidence;
mod hll;
mod judge;
mod nets;
mod profile;
pub mod query;
mod quiet;
mod rules;
mod sample;
mod slot;
mod spoof;
mod targets;
pub mod vectors;
mod wheel;
mod words;

pub use config::{Config, ConfigError, Limit, Limits, Network, Thresholds};
pub use detector::{Counters, Detector};
pub use query::{Expected, detectable};
pub use words::vector_name;
