//! Numbers with their unit in the type.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! unit {
    ($name:ident, $inner:ty, $doc:literal, $suffix:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_scaled(f, u64::from(self.0), $suffix)
            }
        }
    };
}

unit!(Bps, u64, "Bits a second.", "bps");
unit!(Pps, u64, "Packets a second.", "pps");
unit!(Fps, u64, "Flows a second.", "flows/s");

/// An autonomous system number (RFC 6793: four octets).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asn(pub u32);

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, unit: &str) -> fmt::Result {
    let (div, prefix) = match value {
        v if v >= 1_000_000_000_000 => (1e12, "T"),
        v if v >= 1_000_000_000 => (1e9, "G"),
        v if v >= 1_000_000 => (1e6, "M"),
        v if v >= 10_000 => (1e3, "k"),
        v => return write!(f, "{v} {unit}"),
    };
    write!(f, "{:.1} {prefix}{unit}", value as f64 / div)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_for_people() {
        assert_eq!(Bps(999).to_string(), "999 bps");
        assert_eq!(Bps(12_300).to_string(), "12.3 kbps");
        assert_eq!(Pps(2_500_000).to_string(), "2.5 Mpps");
        assert_eq!(Asn(64500).to_string(), "AS64500");
    }
}
