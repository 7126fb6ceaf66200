//! Packets of a pcap or pcapng file that is in memory.
//!
//! Own code: two headers and four block types are all that is needed, errors carry the offset as everywhere in this
//! crate, and frames are borrowed from the file.

use crate::packet::LinkType;
use suimon_base::Timestamp;

/// Interfaces of one pcapng section that are remembered.
const MAX_INTERFACES: usize = 1_024;

/// Why a capture cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcapError {
    /// Neither pcap nor pcapng.
    #[error("offset {offset}: neither pcap nor pcapng")]
    NotACapture {
        /// Octets from the file's start.
        offset: usize,
    },
    /// The file ends within a header, block or packet.
    #[error("offset {offset}: {needed} octets needed, {available} there")]
    Truncated {
        /// Octets from the file's start.
        offset: usize,
        /// Octets that the part needs.
        needed: usize,
        /// Octets that are left.
        available: usize,
    },
    /// A block whose length contradicts its contents.
    #[error("offset {offset}: block length {length} does not fit")]
    BadLength {
        /// Octets from the file's start.
        offset: usize,
        /// Length as written, octets.
        length: usize,
    },
    /// A packet of an interface that the section does not describe.
    #[error("offset {offset}: interface {interface} is not described")]
    UnknownInterface {
        /// Octets from the file's start.
        offset: usize,
        /// Interface number as written.
        interface: u32,
    },
}

/// One packet of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was captured.
    pub time: Timestamp,
    /// What it begins with.
    pub link: LinkType,
    /// Length on the wire, octets; [`Frame::bytes`] may be shorter.
    pub wire_len: u32,
    /// Octets as captured.
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Ticks a second.
    ticks: u64,
    /// Seconds to add (`if_tsoffset`).
    offset_s: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Pcap { nanos: bool, link: LinkType },
    Pcapng,
}

/// Iterates over the packets of a capture; ends after the first error.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    file: &'a [u8],
    at: usize,
    little: bool,
    format: Format,
    interfaces: Vec<Interface>,
    failed: bool,
}

/// Whether `file` begins like a capture.
pub fn is_capture(file: &[u8]) -> bool {
    frames(file).is_ok()
}

/// Opens a capture.
///
/// # Errors
/// Where the file is neither pcap nor pcapng, or ends within its header.
pub fn frames(file: &[u8]) -> Result<Frames<'_>, PcapError> {
    let Some(magic) = file.first_chunk::<4>() else { return Err(PcapError::NotACapture { offset: 0 }) };
    let (little, nanos) = match u32::from_be_bytes(*magic) {
        0xa1b2_c3d4 => (false, false),
        0xa1b2_3c4d => (false, true),
        0xd4c3_b2a1 => (true, false),
        0x4d3c_b2a1 => (true, true),
        0x0a0d_0d0a => {
            let base =
                Frames { file, at: 0, little: false, format: Format::Pcapng, interfaces: Vec::new(), failed: false };
            base.section(0)?;
            return Ok(base);
        }
        _ => return Err(PcapError::NotACapture { offset: 0 }),
    };
    let mut frames = Frames {
        file,
        at: 24,
        little,
        format: Format::Pcap { nanos, link: LinkType::Other(u32::MAX) },
        interfaces: Vec::new(),
        failed: false,
    };
    // The upper bits may say how long a frame check sequence is.
    let link = LinkType::from(frames.u32(20)? & 0xffff);
    frames.format = Format::Pcap { nanos, link };
    Ok(frames)
}

impl<'a> Frames<'a> {
    /// Octets from the file's start to where reading goes on.
    pub fn offset(&self) -> usize {
        self.at
    }

    fn slice(&self, at: usize, n: usize) -> Result<&'a [u8], PcapError> {
        let end = at.checked_add(n);
        end.and_then(|end| self.file.get(at..end)).ok_or(PcapError::Truncated {
            offset: at,
            needed: n,
            available: self.file.len().saturating_sub(at),
        })
    }
    fn u32(&self, at: usize) -> Result<u32, PcapError> {
        let raw = self.slice(at, 4)?.first_chunk::<4>().copied().unwrap_or_default();
        Ok(if self.little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }
    fn u16(&self, at: usize) -> Result<u16, PcapError> {
        let raw = self.slice(at, 2)?.first_chunk::<2>().copied().unwrap_or_default();
        Ok(if self.little { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    fn next_pcap(&mut self, nanos: bool, link: LinkType) -> Result<Option<Frame<'a>>, PcapError> {
        if self.at >= self.file.len() {
            return Ok(None);
        }
        let secs = self.u32(self.at)?;
        let fraction = i64::from(self.u32(self.at + 4)?);
        let captured = self.u32(self.at + 8)? as usize;
        let wire_len = self.u32(self.at + 12)?;
        let bytes = self.slice(self.at + 16, captured)?;
        self.at += 16 + captured;
        let micros = if nanos { fraction / 1_000 } else { fraction };
        Ok(Some(Frame { time: Timestamp::from_micros(i64::from(secs) * 1_000_000 + micros), link, wire_len, bytes }))
    }

    /// The byte order of the section that begins at `at`: whether it is little-endian.
    fn section(&self, at: usize) -> Result<bool, PcapError> {
        match self.slice(at + 8, 4)? {
            [0x1a, 0x2b, 0x3c, 0x4d] => Ok(false),
            [0x4d, 0x3c, 0x2b, 0x1a] => Ok(true),
            _ => Err(PcapError::NotACapture { offset: at + 8 }),
        }
    }

    fn next_pcapng(&mut self) -> Result<Option<Frame<'a>>, PcapError> {
        while self.at < self.file.len() {
            let start = self.at;
            // The type of a section header reads the same in both byte orders, and its own order rules from there on.
            if self.slice(start, 4)? == [0x0a, 0x0d, 0x0d, 0x0a] {
                self.little = self.section(start)?;
                self.interfaces.clear();
            }
            let kind = self.u32(start)?;
            let len = self.u32(start + 4)? as usize;
            if len < 12 || !len.is_multiple_of(4) {
                return Err(PcapError::BadLength { offset: start + 4, length: len });
            }
            self.slice(start, len)?;
            self.at = start + len;
            let (body, end) = (start + 8, start + len - 4);
            match kind {
                1 => self.interface(body, end)?,
                2 | 6 => return self.packet(kind, body, end).map(Some),
                3 => return self.simple(body, end).map(Some),
                _ => {} // names, statistics, comments
            }
        }
        Ok(None)
    }

    fn interface(&mut self, body: usize, end: usize) -> Result<(), PcapError> {
        let mut found = Interface { link: LinkType::from(u32::from(self.u16(body)?)), ticks: 1_000_000, offset_s: 0 };
        let mut at = body + 8;
        while at + 4 <= end {
            let (code, len) = (self.u16(at)?, usize::from(self.u16(at + 2)?));
            at += 4;
            if code == 0 || at + len > end {
                break;
            }
            match (code, self.slice(at, len)?) {
                // if_tsresol: a power of ten, or of two where the top bit is set
                (9, [exponent]) => {
                    let base: u64 = if exponent & 0x80 != 0 { 2 } else { 10 };
                    found.ticks = base.checked_pow(u32::from(exponent & 0x7f)).unwrap_or(u64::MAX);
                }
                (14, raw) => {
                    if let Some(raw) = raw.first_chunk::<8>() {
                        found.offset_s = if self.little { i64::from_le_bytes(*raw) } else { i64::from_be_bytes(*raw) };
                    }
                }
                _ => {}
            }
            at += len.next_multiple_of(4);
        }
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(PcapError::BadLength { offset: body, length: MAX_INTERFACES });
        }
        self.interfaces.push(found);
        Ok(())
    }

    fn on(&self, offset: usize, interface: u32) -> Result<Interface, PcapError> {
        let found = self.interfaces.get(interface as usize);
        found.copied().ok_or(PcapError::UnknownInterface { offset, interface })
    }

    /// Enhanced packet block (6) and the obsolete packet block (2).
    fn packet(&self, kind: u32, body: usize, end: usize) -> Result<Frame<'a>, PcapError> {
        let number = if kind == 6 { self.u32(body)? } else { u32::from(self.u16(body)?) };
        let interface = self.on(body, number)?;
        let ticks = u64::from(self.u32(body + 4)?) << 32 | u64::from(self.u32(body + 8)?);
        let captured = self.u32(body + 12)? as usize;
        let wire_len = self.u32(body + 16)?;
        if captured > end.saturating_sub(body + 20) {
            return Err(PcapError::BadLength { offset: body + 12, length: captured });
        }
        let micros = u128::from(ticks) * 1_000_000 / u128::from(interface.ticks.max(1));
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        let time = Timestamp::from_micros(micros.saturating_add(interface.offset_s.saturating_mul(1_000_000)));
        Ok(Frame { time, link: interface.link, wire_len, bytes: self.slice(body + 20, captured)? })
    }

    /// Simple packet block: no time, interface 0.
    fn simple(&self, body: usize, end: usize) -> Result<Frame<'a>, PcapError> {
        let interface = self.on(body, 0)?;
        let wire_len = self.u32(body)?;
        let captured = (wire_len as usize).min(end.saturating_sub(body + 4));
        Ok(Frame { time: Timestamp::ZERO, link: interface.link, wire_len, bytes: self.slice(body + 4, captured)? })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = match self.format {
            Format::Pcap { nanos, link } => self.next_pcap(nanos, link),
            Format::Pcapng => self.next_pcapng(),
        };
        self.failed = next.is_err();
        next.transpose()
    }
}
