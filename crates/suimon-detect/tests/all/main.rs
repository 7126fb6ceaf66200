//! Tests of the detector from outside.

mod common;
mod effect;
mod long_flows;
mod quiet_hour;
mod scenarios;
