//! A slice that is read from the front and knows where it is in the datagram.

use crate::DecodeError;

/// Reads big-endian values; every error carries the offset in the whole datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes, offset: 0 }
    }
    /// A cursor over `bytes` that begin at `offset` of the datagram.
    pub(crate) const fn at(bytes: &'a [u8], offset: usize) -> Self {
        Cursor { rest: bytes, offset }
    }
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                self.offset += n;
                Ok(head)
            }
            None => Err(DecodeError::Truncated { offset: self.offset, needed: n, available: self.rest.len() }),
        }
    }
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                self.offset += N;
                Ok(*head)
            }
            None => Err(DecodeError::Truncated { offset: self.offset, needed: N, available: self.rest.len() }),
        }
    }
    /// The next `n` octets as a cursor of their own.
    pub(crate) fn sub(&mut self, n: usize) -> Result<Cursor<'a>, DecodeError> {
        let offset = self.offset;
        Ok(Cursor { rest: self.take(n)?, offset })
    }
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }
}
