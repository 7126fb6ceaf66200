//! The lab: network namespaces with an attacker, a transit network, two edge routers, a customer with a web and a DNS
//! server, and a management network in which the real `suimon serve` runs. BIRD, FRR, GoBGP and ExaBGP are its peers,
//! softflowd and pmacctd its exporters, nftables behind sshd and kernel routes the data plane.
//!
//! Everything that acts is the program as Debian ships it; what is written here only starts it, breaks it and counts. All
//! addresses are documentation or benchmark addresses, and no namespace has a way out.

pub mod attack;
pub mod cli;
mod clients;
pub mod clock;
mod configs;
pub mod faults;
pub mod invariants;
mod lab;
mod meter;
mod net;
mod peers;
mod proc;
mod scenery;
pub mod story;
mod suimon;
pub mod tell;

pub use lab::Lab;
pub use net::{clear_stale, labs};
pub use scenery::{PROGRAMS, impossible};
