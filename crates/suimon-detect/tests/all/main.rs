//! Tests of the detector from outside.

mod common;
mod effect;
mod scenarios;
