//! How one event's hash follows from the one before.

use sha2::{Digest, Sha256};
use std::fmt;
use suimon_base::Timestamp;

/// SHA-256 of an event and everything before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

/// What the first event follows.
pub const GENESIS: Hash = Hash([0; 32]);

/// First thing hashed: changes whenever the layout below does.
const DOMAIN: &[u8] = b"suimon-ledger-v1";

/// The fields that an event's hash covers.
pub(crate) struct Link<'a> {
    pub prev: Hash,
    pub seq: u64,
    pub at: Timestamp,
    pub actor: &'a str,
    pub exercise: bool,
    pub kind: &'a str,
    pub body: &'a str,
}

impl Link<'_> {
    /// Hashes every field with its length before it, so that no two different events share an input.
    pub fn hash(&self) -> Hash {
        let mut h = Sha256::new();
        let seq = self.seq.to_le_bytes();
        let at = self.at.as_micros().to_le_bytes();
        let exercise = [u8::from(self.exercise)];
        let fields: [&[u8]; 8] = [
            DOMAIN,
            &self.prev.0,
            &seq,
            &at,
            self.actor.as_bytes(),
            &exercise,
            self.kind.as_bytes(),
            self.body.as_bytes(),
        ];
        for field in fields {
            h.update((field.len() as u64).to_le_bytes());
            h.update(field);
        }
        Hash(h.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        let bytes = s.as_bytes();
        if bytes.len() != 64 {
            return Err(());
        }
        let mut out = [0; 32];
        for (o, pair) in out.iter_mut().zip(bytes.chunks(2)) {
            let text = std::str::from_utf8(pair).map_err(|_| ())?;
            *o = u8::from_str_radix(text, 16).map_err(|_| ())?;
        }
        Ok(Hash(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'a>(actor: &'a str, kind: &'a str) -> Link<'a> {
        Link { prev: GENESIS, seq: 1, at: Timestamp::from_secs(1), actor, exercise: false, kind, body: "{}" }
    }

    #[test]
    fn moving_a_letter_between_fields_changes_the_hash() {
        assert_ne!(link("ab", "c").hash(), link("a", "bc").hash());
    }

    #[test]
    fn text_form_round_trips() {
        let h = link("a", "b").hash();
        assert_eq!(h.to_string().parse(), Ok(h));
        assert_eq!("xyz".parse::<Hash>(), Err(()));
    }
}
