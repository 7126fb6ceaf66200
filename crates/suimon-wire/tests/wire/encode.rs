//! An encoder of its own for tests and the benchmark: it shares no code with the decoder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Export time of every header, seconds since 1970.
pub const SECS: u64 = 1_700_000_000;
/// Uptime in every header, milliseconds.
pub const UPTIME_MS: u64 = 90_000_000;
/// Length of a field of variable length.
pub const VARIABLE: u16 = 0xffff;

/// Element and length.
pub type Spec = (u16, u16);

/// 46 octets, as the benchmark has it: what routers send by default.
pub const V9_FIELDS: &[Spec] = &[
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 2),
    (14, 2),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 2),
    (17, 2),
    (9, 1),
    (13, 1),
    (61, 1),
];
/// 72 octets with absolute times and wide counters.
pub const IPFIX_FIELDS: &[Spec] = &[
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 4),
    (14, 4),
    (2, 8),
    (1, 8),
    (152, 8),
    (153, 8),
    (7, 2),
    (11, 2),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 4),
    (17, 4),
    (9, 1),
    (13, 1),
    (61, 1),
    (136, 1),
    (89, 1),
];
/// The same with two names in it.
pub const VARLEN_FIELDS: &[Spec] = &[
    (8, 4),
    (12, 4),
    (10, 4),
    (82, VARIABLE),
    (14, 4),
    (2, 8),
    (1, 8),
    (152, 8),
    (153, 8),
    (7, 2),
    (11, 2),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 4),
    (17, 4),
    (96, VARIABLE),
    (61, 1),
];
/// IPv6.
pub const V6_FIELDS: &[Spec] =
    &[(27, 16), (28, 16), (7, 2), (11, 2), (4, 1), (6, 2), (5, 1), (1, 4), (2, 3), (10, 4), (14, 4), (22, 4), (21, 4)];

/// What is to be told of one flow.
#[derive(Clone, Debug)]
pub struct Flow {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    pub proto: u8,
    pub tcp_flags: u8,
    pub tos: u8,
    pub bytes: u32,
    pub packets: u16,
    pub in_if: u16,
    pub out_if: u16,
    pub src_as: u16,
    pub dst_as: u16,
    /// Before the export time.
    pub started_ms_ago: u32,
    /// Before the export time.
    pub ended_ms_ago: u32,
}

/// Flows that look like traffic, the same for the same seed.
pub fn flows(seed: u64, n: usize, v6: bool) -> Vec<Flow> {
    let mut state = seed | 1;
    let mut next = move || {
        // Marsaglia's xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let address = move |net: u32, r: u64| -> IpAddr {
        if v6 {
            Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(net) << 64 | u128::from(r)).into()
        } else {
            Ipv4Addr::from(net | (r as u32 & 0xff)).into()
        }
    };
    (0..n)
        .map(|_| {
            let (a, b, c, d) = (next(), next(), next(), next());
            let proto = [6, 17, 6, 17, 47, 6][(a % 6) as usize];
            let ports = matches!(proto, 6 | 17);
            let ended_ms_ago = (d >> 8) as u32 % 30_000;
            Flow {
                src: address(0xc000_0200, a >> 8),
                dst: address(0xc633_6400, b >> 8),
                src_port: if ports { c as u16 } else { 0 },
                dst_port: if ports { (c >> 16) as u16 } else { 0 },
                proto,
                tcp_flags: if proto == 6 { (c >> 32) as u8 & 0x3f } else { 0 },
                tos: (c >> 40) as u8,
                bytes: (d as u32 & 0xf_ffff) + 40,
                packets: (d >> 20) as u16 % 900 + 1,
                in_if: (b as u16 & 0x3f) + 1,
                out_if: (b >> 6) as u16 & 0x3f,
                src_as: 64_496 + (a % 16) as u16,
                dst_as: 64_496 + (b % 16) as u16,
                started_ms_ago: ended_ms_ago + (c >> 44) as u32 % 60_000,
                ended_ms_ago,
            }
        })
        .collect()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn field(flow: &Flow, id: u16, len: u16, out: &mut Vec<u8>) {
    let now = SECS * 1_000;
    let number = match id {
        8 | 27 => return out.extend(octets(flow.src)),
        12 | 28 => return out.extend(octets(flow.dst)),
        82 | 96 => {
            let name = format!("interface-{}", flow.in_if).into_bytes();
            out.push(name.len() as u8);
            return out.extend(name);
        }
        1 => u64::from(flow.bytes),
        2 => u64::from(flow.packets),
        4 => u64::from(flow.proto),
        5 => u64::from(flow.tos),
        6 => u64::from(flow.tcp_flags),
        7 => u64::from(flow.src_port),
        11 => u64::from(flow.dst_port),
        10 => u64::from(flow.in_if),
        14 => u64::from(flow.out_if),
        16 => u64::from(flow.src_as),
        17 => u64::from(flow.dst_as),
        22 => UPTIME_MS - u64::from(flow.started_ms_ago),
        21 => UPTIME_MS - u64::from(flow.ended_ms_ago),
        152 => now - u64::from(flow.started_ms_ago),
        153 => now - u64::from(flow.ended_ms_ago),
        89 => 64,
        _ => 0,
    };
    out.extend(&number.to_be_bytes()[8 - usize::from(len)..]);
}

fn be16(n: usize) -> [u8; 2] {
    (n as u16).to_be_bytes()
}

/// A set with its header.
pub fn set(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], &be16(body.len() + 4), body].concat()
}

/// A template set with one template.
pub fn template(version: u16, id: u16, fields: &[Spec]) -> Vec<u8> {
    let mut body = [id.to_be_bytes(), be16(fields.len())].concat();
    for (element, len) in fields {
        body.extend([element.to_be_bytes(), len.to_be_bytes()].concat());
    }
    set(if version == 9 { 0 } else { 2 }, &body)
}

/// A data set.
pub fn data(id: u16, fields: &[Spec], flows: &[Flow]) -> Vec<u8> {
    let mut body = Vec::new();
    for flow in flows {
        for (element, len) in fields {
            field(flow, *element, *len, &mut body);
        }
    }
    set(id, &body)
}

/// A v9 or IPFIX message of these sets; `count` records stand in them (only v9 tells).
pub fn message(version: u16, count: usize, sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let mut out = version.to_be_bytes().to_vec();
    if version == 9 {
        out.extend(be16(count));
        out.extend((UPTIME_MS as u32).to_be_bytes());
    } else {
        out.extend(be16(body.len() + 16));
    }
    out.extend((SECS as u32).to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(domain.to_be_bytes());
    out.extend(body);
    out
}

/// A v5 datagram.
pub fn v5(sequence: u32, sampling: u16, flows: &[Flow]) -> Vec<u8> {
    let mut out = [5u16.to_be_bytes(), be16(flows.len())].concat();
    for word in [UPTIME_MS as u32, SECS as u32, 0, sequence] {
        out.extend(word.to_be_bytes());
    }
    out.extend([0, 7]);
    out.extend(sampling.to_be_bytes());
    let fields = [
        (8, 4),
        (12, 4),
        (15, 4),
        (10, 2),
        (14, 2),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (0, 1),
        (6, 1),
        (4, 1),
        (5, 1),
        (16, 2),
        (17, 2),
        (0, 4),
    ];
    for flow in flows {
        for (element, len) in fields {
            field(flow, element, len, &mut out);
        }
    }
    out
}

/// The first 128 octets of an Ethernet frame with an 802.1Q tag.
pub fn frame(flow: &Flow) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 42];
    let len = (flow.bytes as u16 % 1_400) + 60;
    match (flow.src, flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            out.extend([8, 0, 0x45, flow.tos]);
            out.extend(len.to_be_bytes());
            out.extend([0, 1, 0x40, 0, 64, flow.proto, 0, 0]);
            out.extend(src.octets());
            out.extend(dst.octets());
        }
        (src, dst) => {
            out.extend([0x86, 0xdd, 0x60 | flow.tos >> 4, flow.tos << 4, 0, 0]);
            out.extend((len - 40).to_be_bytes());
            out.extend([flow.proto, 64]);
            out.extend(octets(src));
            out.extend(octets(dst));
        }
    }
    out.extend(flow.src_port.to_be_bytes());
    out.extend(flow.dst_port.to_be_bytes());
    if flow.proto == 17 {
        out.extend((len - 40).to_be_bytes());
    } else {
        out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flow.tcp_flags]);
    }
    out.resize(128, 0xaa);
    out
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// An sFlow datagram with one flow sample a flow: a raw header and extended switch data.
pub fn sflow(sequence: u32, rate: u32, expanded: bool, flows: &[Flow]) -> Vec<u8> {
    let mut out = words(&[5, 1, 0xc000_0201, 3, sequence, UPTIME_MS as u32, flows.len() as u32]);
    for flow in flows {
        let (input, output) = (u32::from(flow.in_if), u32::from(flow.out_if));
        let mut sample = if expanded {
            words(&[sequence, 0, 1, rate, 99, 0, 0, input, 0, output, 2])
        } else {
            words(&[sequence, 1, rate, 99, 0, input, output, 2])
        };
        let frame = frame(flow);
        sample.extend(words(&[1, 16 + frame.len() as u32, 1, u32::from(flow.bytes as u16 % 1_400) + 60 + 22, 4, 128]));
        sample.extend(frame);
        sample.extend(words(&[1001, 16, 42, 0, 42, 0]));
        out.extend(words(&[if expanded { 3 } else { 1 }, sample.len() as u32]));
        out.extend(sample);
    }
    out
}
