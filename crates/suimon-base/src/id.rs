//! Names of things that people say on the telephone: `C-12`, `M-3`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// An id that does not look like one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}-1")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

macro_rules! id {
    ($name:ident, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                s.strip_prefix(concat!($prefix, "-"))
                    .and_then(|n| n.parse().ok())
                    .map($name)
                    .ok_or_else(|| IdError { text: s.chars().take(40).collect(), prefix: $prefix })
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(AttackId, "A", "An attack as the ledger knows it.");
id!(CaseId, "C", "A case (事案).");
id!(MeasureId, "M", "A measure (措置).");
id!(RequestId, "R", "A request (依頼).");
id!(AlertId, "N", "A notice or alert that leaves the box.");
id!(OrphanId, "O", "A difference between network and ledger that a person has to decide on.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        assert_eq!("C-12".parse::<CaseId>(), Ok(CaseId(12)));
        assert_eq!(CaseId(12).to_string(), "C-12");
        for bad in ["M-1", "C-", "C-x", "12", "C--1"] {
            assert!(bad.parse::<CaseId>().is_err(), "{bad}");
        }
    }
}
