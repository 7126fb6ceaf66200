//! Flow datagrams out of files: captures of export traffic, or one payload a file.

use crate::packet::parse_frame;
use crate::pcap::{Frames, PcapError, frames};
use std::net::IpAddr;
use suimon_base::Timestamp;

/// A UDP payload that looks like flow export.
#[derive(Clone, Copy, Debug)]
pub struct FlowDatagram<'a> {
    /// Source address of the datagram.
    pub exporter: IpAddr,
    /// When it was captured.
    pub received: Timestamp,
    /// The payload.
    pub bytes: &'a [u8],
}

/// Whether a payload begins like NetFlow v5, v9, IPFIX or sFlow v5.
pub fn looks_like_flow_export(payload: &[u8]) -> bool {
    match payload {
        [0, 5 | 9, ..] => payload.len() >= 20,
        [0, 10, hi, lo, ..] => payload.len() >= 16 && u16::from_be_bytes([*hi, *lo]) >= 16,
        [0, 0, 0, 5, 0, 0, 0, 1 | 2, ..] => payload.len() >= 28,
        _ => false,
    }
}

/// Iterates over the flow datagrams of a capture. IP fragments are not put together.
#[derive(Clone, Debug)]
pub struct FlowDatagrams<'a>(Frames<'a>);

/// Opens a pcap or pcapng file of export traffic.
///
/// # Errors
/// Where the file is no capture; later errors come as items.
pub fn flow_datagrams(file: &[u8]) -> Result<FlowDatagrams<'_>, PcapError> {
    frames(file).map(FlowDatagrams)
}

impl<'a> Iterator for FlowDatagrams<'a> {
    type Item = Result<FlowDatagram<'a>, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let frame = match self.0.next()? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(error)),
            };
            if let Some((header, Some(bytes))) = parse_frame(frame.link, frame.bytes, frame.wire_len)
                && looks_like_flow_export(bytes)
            {
                return Some(Ok(FlowDatagram { exporter: header.src, received: frame.time, bytes }));
            }
        }
    }
}

/// Splits a file of IPFIX messages, one behind the other (RFC 5655), into messages; anything else is one message.
pub fn messages(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = file;
    std::iter::from_fn(move || {
        let len = match rest {
            [] => return None,
            [0, 10, hi, lo, ..] => usize::from(u16::from_be_bytes([*hi, *lo])).max(1),
            _ => rest.len(),
        };
        let (message, tail) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        rest = tail;
        Some(message)
    })
}
