//! Tests of the detector from outside.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly too")]

mod captures;
mod common;
mod effect;
mod evidence;
mod long_flows;
mod quiet_hour;
mod reference;
mod scenarios;
mod settings;
