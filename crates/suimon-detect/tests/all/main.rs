//! Tests of the detector from outside.

mod common;
mod scenarios;
