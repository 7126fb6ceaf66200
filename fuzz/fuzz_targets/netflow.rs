//! A sequence of NetFlow v5, v9 and IPFIX datagrams, each behind two octets of length, of one exporter.
//!
//! Nothing may panic, the bounds must hold, and `netflow_parser` must count the same flows where both find a datagram
//! good and neither has cause to differ (see `sets`).
#![no_main]

use libfuzzer_sys::fuzz_target;
use netflow_parser::variable_versions::ipfix::{FlowSetBody as IpfixBody, Template as IpfixTemplate};
use netflow_parser::variable_versions::v9::FlowSetBody as V9Body;
use netflow_parser::{AutoScopedParser, NetflowPacket};
use suimon_base::Timestamp;
use suimon_wire::{Decoder, Limits};

const TEMPLATE_BYTES: usize = 64 << 10;
const HELD_BYTES: usize = 8 << 10;

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        exporters: 4,
        template_bytes: TEMPLATE_BYTES,
        held_bytes: HELD_BYTES,
        held_bytes_per_exporter: HELD_BYTES / 2,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits);
    let mut other = AutoScopedParser::default();
    let exporter = "192.0.2.1".parse().expect("an address");
    let source = "192.0.2.1:2055".parse().expect("an address");
    // Once the two know different templates, they may differ for good reason ever after.
    let mut same_state = true;
    let mut rest = data;
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(tail.len());
        let (datagram, tail) = tail.split_at(len);
        rest = tail;
        let mut flows = 0;
        decoder.learn(exporter, datagram);
        let ours = decoder.datagram(exporter, Timestamp::from_secs(1_700_000_000), datagram, &mut |_, _| flows += 1);
        let usage = decoder.usage();
        assert!(usage.template_bytes <= TEMPLATE_BYTES && usage.held_bytes <= HELD_BYTES && usage.exporters <= 4);
        assert!(flows <= datagram.len() + HELD_BYTES, "{flows} flows of {} octets", datagram.len());
        let Ok(summary) = ours else {
            same_state = false;
            continue;
        };
        assert_eq!(summary.flows as usize, flows);
        let sets = sets(datagram);
        same_state &= summary.malformed == 0 && summary.held == 0 && sets.is_some();
        if same_state {
            let theirs = other.parse_from_source(source, datagram);
            match count(&theirs.packets, sets) {
                Some(counted) if theirs.error.is_none() && theirs.packets.len() == 1 => {
                    // It gives up the rest of a set for one field of variable length that it does not like.
                    let varlen = data.windows(2).any(|w| w == [0xff, 0xff]);
                    assert!(flows == counted || varlen && flows > counted, "{flows}, not {counted}: {theirs:?}");
                }
                _ => same_state = false,
            }
        }
    }
});

/// Flows that the other decoder found; `None` where it lacked a template, left out a set (it refuses templates with fields
/// of no length, and reads on behind a template id of 0, which we take for padding) or met an options set.
fn count(packets: &[NetflowPacket], sets: Option<usize>) -> Option<usize> {
    let mut total = 0;
    for packet in packets {
        match packet {
            NetflowPacket::V5(v5) => total += v5.flowsets.len(),
            NetflowPacket::V9(v9) if sets == Some(v9.flowsets.len()) => {
                for set in &v9.flowsets {
                    match &set.body {
                        V9Body::Data(data) if !data.fields.is_empty() => total += data.fields.len(),
                        V9Body::Template(all)
                            if usize::from(set.header.length)
                                == 4 + all.templates.iter().map(|t| 4 + 4 * t.fields.len()).sum::<usize>() => {}
                        _ => return None,
                    }
                }
            }
            NetflowPacket::IPFix(ipfix) if sets == Some(ipfix.flowsets.len()) => {
                for set in &ipfix.flowsets {
                    match &set.body {
                        IpfixBody::Data(data) if !data.fields.is_empty() => total += data.fields.len(),
                        IpfixBody::Template(t) if usize::from(set.header.length) == 4 + template(t) => {}
                        IpfixBody::Templates(all)
                            if usize::from(set.header.length) == 4 + all.iter().map(template).sum::<usize>() => {}
                        _ => return None,
                    }
                }
            }
            _ => return None,
        }
    }
    Some(total)
}

/// Octets of a template; where they do not fill the set, the other decoder has left templates out.
fn template(template: &IpfixTemplate) -> usize {
    4 + template.fields.iter().map(|f| if f.enterprise_number.is_some() { 8 } else { 4 }).sum::<usize>()
}

/// The number of sets, where the datagram is exactly as long as its lengths say: about what follows, decoders differ.
fn sets(datagram: &[u8]) -> Option<usize> {
    let be16 = |at: usize| datagram.get(at..at + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
    let mut at = match be16(0)? {
        5 => return (datagram.len() == 24 + 48 * be16(2)?).then_some(0),
        9 => 20,
        10 if be16(2)? == datagram.len() => 16,
        _ => return None,
    };
    let mut sets = 0;
    while at < datagram.len() {
        at += be16(at + 2).filter(|len| *len >= 4)?;
        sets += 1;
    }
    (at == datagram.len()).then_some(sets)
}
