//! Unguessable values from one seed.

use sha2::{Digest as _, Sha256};

/// 256 bits.
pub(crate) type Bits = [u8; 32];

/// A ratchet over SHA-256: each value is a hash of the state, and the state moves on by another hash, so that neither
/// later values nor a later state give away earlier ones.
pub(crate) struct Ratchet(Bits);

impl Ratchet {
    pub(crate) fn new(seed: Bits) -> Self {
        Ratchet(hash(b"suimon seed", &seed))
    }

    /// The next value as 64 hexadecimal digits.
    pub(crate) fn next(&mut self) -> String {
        let value = hash(b"suimon value", &self.0);
        self.0 = hash(b"suimon next", &self.0);
        hex(&value)
    }
}

/// SHA-256 of a label and data; labels keep hashes for one purpose apart from those for another.
pub(crate) fn hash(label: &[u8], data: &[u8]) -> Bits {
    let mut h = Sha256::new();
    h.update([u8::try_from(label.len()).unwrap_or(u8::MAX)]);
    h.update(label);
    h.update(data);
    h.finalize().into()
}

pub(crate) fn hex(bits: &Bits) -> String {
    use std::fmt::Write as _;
    bits.iter().fold(String::with_capacity(64), |mut out, b| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_differ_and_depend_on_the_seed() {
        let (mut a, mut b) = (Ratchet::new([1; 32]), Ratchet::new([2; 32]));
        let values = [a.next(), a.next(), b.next(), b.next()];
        for (i, x) in values.iter().enumerate() {
            assert_eq!(x.len(), 64);
            assert!(values.iter().skip(i + 1).all(|y| x != y));
        }
        assert_eq!(Ratchet::new([1; 32]).next(), values[0]);
    }
}
