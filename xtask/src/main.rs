//! One tool for developers.
fn main() {}
