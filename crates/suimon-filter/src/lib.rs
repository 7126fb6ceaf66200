//! Requests to the smallest correct filter, with proof.
//!
//! [`request::parse`] turns a customer's words into the neutral model of `suimon-base` and the questions they leave
//! open; [`compile::compile`] writes the fewest lines of one of eleven [dialects](dialect::Dialect) that drop exactly that, with the undo;
//! [`proof::check`] reads any text back and compares it with the request over the whole header space; [`plan::candidates`]
//! proposes what to drop against an attack and says what else it would cost. [`lint::lint`], [`explain::explain`] and
//! [`diff::diff`] judge texts that somebody else wrote; [`place::rank`] says on which device and with which means; [`synth`]
//! finds rules from an attack's traffic and the traffic before it. Everything is a pure function.

mod area;
mod boxes;
mod bulk;
pub mod compact;
pub mod compile;
mod cover;
mod diagram;
pub mod dialect;
pub mod diff;
pub mod explain;
mod grid;
pub mod lint;
pub mod output;
pub mod packet;
pub mod place;
pub mod plan;
pub mod proof;
pub mod range;
pub mod request;
mod solve;
pub mod synth;
mod text;
