//! Values under the secrecy of communications (電気通信事業法4条): they must not slip into a log line.

use std::fmt;

/// A value whose `Debug` and `Display` print a tag instead of the value. [`Protected::reveal`] is the deliberate way in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protected<T>(T);

impl<T> Protected<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Protected(value)
    }
    /// The value itself; the caller acts under a measure of class 知得.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Protected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<protected>")
    }
}

impl<T> fmt::Display for Protected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<protected>")
    }
}
