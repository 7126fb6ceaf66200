//! Tests of the detector from outside.

mod captures;
mod common;
mod effect;
mod evidence;
mod long_flows;
mod quiet_hour;
mod scenarios;
