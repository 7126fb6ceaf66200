//! The same datagrams through other decoders, and another encoder's datagrams through ours.

use crate::common::{decode, decoder};
use crate::encode::{IPFIX_FIELDS, V6_FIELDS, V9_FIELDS, VARLEN_FIELDS, data, flows, message, sflow, template, v5};
use chrono::DateTime;
use flowparser_sflow::FlowRecord as SflowRecord;
use flowparser_sflow::{SflowParser, SflowSample};
use netflow_parser::{AutoScopedParser, NetflowPacket};
use netgauze_flow_pkt::ie::{Field, IE};
use netgauze_flow_pkt::{DataSetId, FieldSpecifier, ipfix, netflow};
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::{WritablePduWithOneInput, traits::ParseFromWithOneInput};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use suimon_base::flow::FlowRecord;

/// Octets and packets of each flow, from any serializable decoder's tree.
fn totals(value: &serde_json::Value, bytes: &str, packets: &str, found: &mut Vec<(u64, u64)>) {
    match value {
        serde_json::Value::Array(list) => {
            // The innermost list that has both is the record.
            let before = found.len();
            list.iter().for_each(|v| totals(v, bytes, packets, found));
            let get = |name: &str| list.iter().find_map(|v| number(v, name));
            if let (true, Some(b), Some(p)) = (found.len() == before, get(bytes), get(packets)) {
                found.push((b, p));
            }
        }
        serde_json::Value::Object(map) => map.values().for_each(|v| totals(v, bytes, packets, found)),
        _ => {}
    }
}

/// `{"octetDeltaCount": 5}`, `[{"IANA": "OctetDeltaCount"}, {"DataNumber": {"U64": 5}}]` and the like.
fn number(value: &serde_json::Value, name: &str) -> Option<u64> {
    let text = value.to_string();
    // A field of a template has the name as well, and a length.
    if !text.contains(&format!("\"{name}\"")) || text.contains("length") {
        return None;
    }
    let digits: String =
        text.chars().rev().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().ok()
}

fn ours(flows: &[FlowRecord]) -> Vec<(u64, u64)> {
    flows.iter().map(|f| (f.bytes, f.packets)).collect()
}

#[test]
fn netflow_parser_and_netgauze_read_the_same() {
    for (version, fields, v6) in
        [(9, V9_FIELDS, false), (10, IPFIX_FIELDS, false), (10, VARLEN_FIELDS, false), (9, V6_FIELDS, true)]
    {
        let mut d = decoder();
        let mut parser = AutoScopedParser::default();
        let source = "192.0.2.1:2055".parse().unwrap();
        let (mut v9, mut v10) = (HashMap::new(), HashMap::new());
        for seed in 0..20 {
            let sent = flows(seed, 17, v6);
            let mut sets = vec![data(256, fields, &sent)];
            if seed == 0 {
                sets.insert(0, template(version, 256, fields));
            }
            let count = sent.len() + usize::from(seed == 0);
            let bytes = message(version, count, seed as u32, 3, &sets);
            let (result, got) = decode(&mut d, &bytes);
            assert_eq!((result.unwrap().malformed, got.len()), (0, sent.len()));

            let theirs = parser.parse_from_source(source, &bytes);
            assert!(theirs.is_ok(), "{theirs:?}");
            let tree = serde_json::to_value(&theirs.packets).unwrap();
            let mut found = Vec::new();
            let names = if version == 9 { ("InBytes", "InPkts") } else { ("OctetDeltaCount", "PacketDeltaCount") };
            totals(&tree, names.0, names.1, &mut found);
            assert_eq!(found, ours(&got), "netflow_parser, version {version}, seed {seed}");

            let mut reader = SliceReader::new(&bytes);
            let tree = if version == 9 {
                serde_json::to_value(netflow::NetFlowV9Packet::parse(&mut reader, &mut v9).unwrap()).unwrap()
            } else {
                serde_json::to_value(ipfix::IpfixPacket::parse(&mut reader, &mut v10).unwrap()).unwrap()
            };
            let mut found = Vec::new();
            totals(&tree, "octetDeltaCount", "packetDeltaCount", &mut found);
            assert_eq!(found, ours(&got), "netgauze, version {version}, seed {seed}");
        }
    }
    let bytes = v5(1, 0, &flows(1, 30, false));
    let (_, got) = decode(&mut decoder(), &bytes);
    let theirs = AutoScopedParser::default().parse_from_source("192.0.2.1:2055".parse().unwrap(), &bytes);
    let [NetflowPacket::V5(theirs)] = &theirs.packets[..] else { panic!("{theirs:?}") };
    for (got, theirs) in got.iter().zip(&theirs.flowsets) {
        assert_eq!((got.src, got.dst), (theirs.src_addr.into(), theirs.dst_addr.into()));
        assert_eq!((got.bytes, got.packets), (theirs.d_octets.into(), theirs.d_pkts.into()));
        assert_eq!((got.src_port, got.dst_port, got.proto), (theirs.src_port, theirs.dst_port, theirs.protocol_number));
    }
    assert_eq!(got.len(), theirs.flowsets.len());
}

#[test]
fn what_netgauze_encodes_is_read() {
    let specifier = |(ie, len)| FieldSpecifier::new(ie, len).unwrap();
    let fields = [
        (IE::sourceIPv4Address, 4),
        (IE::destinationIPv4Address, 4),
        (IE::octetDeltaCount, 8),
        (IE::packetDeltaCount, 4),
        (IE::destinationTransportPort, 2),
        (IE::protocolIdentifier, 1),
    ];
    let specs: Box<[FieldSpecifier]> = fields.into_iter().map(specifier).collect();
    let values = |i: u64| -> Box<[Field]> {
        Box::new([
            Field::sourceIPv4Address(Ipv4Addr::new(192, 0, 2, i as u8)),
            Field::destinationIPv4Address(Ipv4Addr::new(198, 51, 100, i as u8)),
            Field::octetDeltaCount(1_000 + i),
            Field::packetDeltaCount(i),
            Field::destinationTransportPort(443),
            Field::protocolIdentifier(netgauze_flow_pkt::ie::protocolIdentifier::TCP),
        ])
    };
    let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let mut bytes: Vec<u8> = Vec::new();
    let v9 = netflow::NetFlowV9Packet::new(
        1_000,
        time,
        1,
        7,
        Box::new([
            netflow::Set::Template(Box::new([netflow::TemplateRecord::new(300, specs.clone())])),
            netflow::Set::Data {
                id: DataSetId::new(300).unwrap(),
                records: (1..=9).map(|i| netflow::DataRecord::new(Box::new([]), values(i))).collect(),
            },
        ]),
    );
    let mut known = HashMap::new();
    known.insert(300, netflow::DecodingTemplate::new(Box::new([]), specs.clone()));
    v9.write(&mut std::io::Cursor::new(&mut bytes), Some(&known)).unwrap();
    check(&bytes);

    let mut bytes: Vec<u8> = Vec::new();
    let v10 = ipfix::IpfixPacket::new(
        time,
        1,
        7,
        Box::new([
            ipfix::Set::Template(Box::new([ipfix::TemplateRecord::new(300, specs.clone())])),
            ipfix::Set::Data {
                id: DataSetId::new(300).unwrap(),
                records: (1..=9).map(|i| ipfix::DataRecord::new(Box::new([]), values(i))).collect(),
            },
        ]),
    );
    let mut known = HashMap::new();
    known.insert(300, ipfix::DecodingTemplate::new(Box::new([]), specs));
    v10.write(&mut std::io::Cursor::new(&mut bytes), Some(&known)).unwrap();
    check(&bytes);
}

fn check(bytes: &[u8]) {
    let (result, got) = decode(&mut decoder(), bytes);
    assert_eq!((result.unwrap().malformed, got.len()), (0, 9));
    for (i, flow) in (1u8..).zip(&got) {
        assert_eq!((flow.src, flow.dst), ([192, 0, 2, i].into(), [198, 51, 100, i].into()));
        assert_eq!((flow.bytes, flow.packets), (1_000 + u64::from(i), i.into()));
        assert_eq!((flow.dst_port, flow.proto), (443, 6));
    }
}

#[test]
fn flowparser_reads_the_same_samples() {
    for seed in 0..20 {
        let bytes = sflow(seed, 1_000, false, &flows(seed.into(), 6, seed % 2 == 0));
        let (result, got) = decode(&mut decoder(), &bytes);
        assert_eq!(result.unwrap().malformed, 0);
        let theirs = SflowParser::default().parse_bytes(&bytes);
        assert!(theirs.error.is_none());
        let samples = &theirs.datagrams[0].samples;
        assert_eq!(samples.len(), got.len());
        for (got, theirs) in got.iter().zip(samples) {
            let SflowSample::Flow(theirs) = theirs else { panic!("{theirs:?}") };
            assert_eq!((got.in_if, got.out_if, got.sampling.rate), (theirs.input, theirs.output, theirs.sampling_rate));
            let SflowRecord::RawPacketHeader(raw) = &theirs.records[0] else { panic!("{theirs:?}") };
            assert_eq!(got.bytes + 18, u64::from(raw.frame_length - 4), "Ethernet and the tag are 18 octets");
        }
    }
}
