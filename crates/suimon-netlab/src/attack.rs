//! Attacks: captures made from seeds, played by tcpreplay in the attacker's namespace.

use crate::net::{self, ATTACKED_MAC, Net};
use crate::proc::Proc;
use anyhow::{Context as _, Result};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;
use suimon_base::PacketHeader;
use suimon_lab::traffic::attack::{AttackSource, Part, Shape};

/// Packets of a capture; it is played in a loop.
const PACKETS: usize = 2_000;
/// Seed of the captures.
const SEED: u64 = 4;

/// A stream of attack packets with a destination of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Reflected DNS answers to the web server, through edge 1.
    Web,
    /// Reflected DNS answers to the DNS server, through edge 2.
    Dns,
    /// The same to a host that may be given up, through edge 1.
    Spare1,
    /// The same, through edge 2.
    Spare2,
}

impl Stream {
    /// All of them.
    pub const ALL: [Stream; 4] = [Stream::Web, Stream::Dns, Stream::Spare1, Stream::Spare2];

    /// Name of capture and counter.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Web => "web",
            Stream::Dns => "dns",
            Stream::Spare1 => "spare1",
            Stream::Spare2 => "spare2",
        }
    }

    /// Where to.
    pub fn target(self) -> &'static str {
        match self {
            Stream::Web => net::WEB,
            Stream::Dns => net::DNS,
            Stream::Spare1 => net::SPARE[0],
            Stream::Spare2 => net::SPARE[1],
        }
    }
}

/// A stream that is being sent; ends when dropped.
#[derive(Debug)]
pub struct Attack {
    _process: Proc,
}

impl Attack {
    /// Writes the capture of each stream into `folder`.
    pub fn write_captures(folder: &Path) -> Result<()> {
        for stream in Stream::ALL {
            let target: IpAddr = stream.target().parse().context("an address of the lab")?;
            let shape = Shape::Reflection { src_port: 53, reflectors: 400, len: (600, 1_200), fragments: 0 };
            let part = Part { shape, pps: 1_000, target: IpNet::from(target), after_ms: 0 };
            let source = AttackSource::new(part, SEED, stream as u64 + 1, 0, u64::MAX / 2);
            let mut file = pcap_head();
            for packet in source.take(PACKETS) {
                let frame = frame(&packet.header);
                let (s, us) = (packet.at_us / 1_000_000, packet.at_us % 1_000_000);
                let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
                for n in [s as u32, us as u32, length, length] {
                    file.extend_from_slice(&n.to_le_bytes());
                }
                file.extend_from_slice(&frame);
            }
            let path = folder.join(format!("{}.pcap", stream.name()));
            std::fs::write(&path, file).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// Plays a capture at `pps` packets a second until dropped.
    pub fn start(net: &Net, stream: Stream, pps: u32) -> Result<Attack> {
        let capture = net.folder().join(format!("attacks/{}.pcap", stream.name()));
        let mut command = net.command("attacker", "tcpreplay");
        command.args(["-q", "-i", "wan", "--loop=0", "--preload-pcap", &format!("--pps={pps}")]).arg(capture);
        let process = Proc::start(&mut command, &net.folder().join("tcpreplay.log"))?;
        Ok(Attack { _process: process })
    }
}

/// Header of a classic capture file of Ethernet frames.
fn pcap_head() -> Vec<u8> {
    let mut head = Vec::new();
    for n in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        head.extend_from_slice(&n.to_le_bytes());
    }
    head
}

/// An Ethernet frame of a UDP packet with these headers. A UDP checksum of 0 means none (RFC 768).
fn frame(h: &PacketHeader) -> Vec<u8> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (h.src, h.dst) else { return Vec::new() };
    let (src_port, dst_port) = h.ports.unwrap_or_default();
    let length = h.ip_len.max(28);
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&length.to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0, 0, 60, h.proto, 0, 0]);
    ip.extend_from_slice(&src.octets());
    ip.extend_from_slice(&dst.octets());
    let sum: u32 = ip.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let check = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    let mut out = ATTACKED_MAC.to_vec();
    out.extend_from_slice(&[2, 0, 0, 0, 0, 2, 8, 0]);
    out.extend_from_slice(&ip);
    for n in [src_port, dst_port, length - 20, 0] {
        out.extend_from_slice(&n.to_be_bytes());
    }
    out.resize(14 + usize::from(length), 0x55);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_independent_reader_finds_the_packets_sound() {
        let test = "netlab::attack";
        if !suimon_testkit::program_or_skip(test, "tshark") {
            return;
        }
        let folder = std::env::temp_dir().join(format!("suimon-netlab-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Attack::write_captures(&folder).unwrap();
        let mut tshark = std::process::Command::new("tshark");
        tshark.arg("-r").arg(folder.join("web.pcap")).args(["-o", "ip.check_checksum:TRUE", "-T", "fields"]);
        tshark.args(["-e", "ip.dst", "-e", "udp.srcport", "-e", "ip.checksum.status", "-e", "ip.len"]);
        let said = crate::proc::run(&mut tshark).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!(said.lines().count(), PACKETS);
        for line in said.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(fields[..3], ["203.0.113.80", "53", "1"], "{line}");
            assert!((600..=1_200).contains(&fields[3].parse::<u16>().unwrap()), "{line}");
        }
    }
}
