//! The engine: takes commands and observations, asks policy, writes the ledger, drives the hands, watches the ends.
//!
//! Nothing else in the house applies a measure, and the engine applies one only with a
//! [`suimon_policy::Decision`], which only the policy engine can make, and after the intent is in the ledger. Letting
//! packets go is the default: a release needs no decision, and works while the ledger cannot be written.

mod after;
mod alerting;
mod cases;
pub mod command;
mod dry_run;
pub mod emergency;
mod ends;
mod engine;
mod facts;
mod handle;
mod housekeeping;
mod journal;
mod measures;
mod notice;
mod observe;
pub mod ports;
mod probe;
mod recover;
pub mod register;
pub mod release;
pub mod report;
pub mod stale;
mod steps;
pub mod verify;
pub mod why;

pub use command::{Command, CommandError, Outcome};
pub use dry_run::Tried;
pub use engine::{Parts, Settings, StartError, start};
pub use handle::{Handle, Live};
pub use ports::{Hand, ManualHand, Observation, Planner, Sense};
pub use register::{Customer, Register};
pub use verify::VerifySettings;
