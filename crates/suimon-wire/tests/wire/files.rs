//! Capture files and frames for tests; like `encode`, they share no code with the decoder.

use crate::encode::SECS;
use std::net::Ipv4Addr;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

fn length(n: usize) -> [u8; 2] {
    (n as u16).to_be_bytes()
}

/// A little-endian pcap file with microseconds, one frame a second.
pub fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        out.extend(word.to_le_bytes());
    }
    for (i, frame) in frames.iter().enumerate() {
        for word in [SECS as u32 + i as u32, 250_000, frame.len() as u32, frame.len() as u32] {
            out.extend(word.to_le_bytes());
        }
        out.extend(frame);
    }
    out
}

/// A big-endian pcapng file with nanoseconds, one frame a second.
pub fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = words(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX, 28]);
    // An interface description with if_tsresol = 9.
    out.extend(words(&[1, 32, 0x0001_0000, 65_535, 0x0009_0001, 0x0900_0000, 0, 32]));
    for (i, frame) in frames.iter().enumerate() {
        let nanos = (SECS + i as u64) * 1_000_000_000 + 250_000_000;
        let len = frame.len() as u32;
        let block = 32 + len.next_multiple_of(4);
        out.extend(words(&[6, block, 0, (nanos >> 32) as u32, nanos as u32, len, len]));
        out.extend(frame);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(words(&[block]));
    }
    out
}

/// An Ethernet frame with a UDP datagram.
pub fn udp_frame(src: Ipv4Addr, dst: Ipv4Addr, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    out.extend(length(payload.len() + 28));
    out.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
    out.extend(src.octets());
    out.extend(dst.octets());
    out.extend(40_000u16.to_be_bytes());
    out.extend(dst_port.to_be_bytes());
    out.extend(length(payload.len() + 8));
    out.extend([0, 0]);
    out.extend(payload);
    out
}
