//! What exporters do, one habit a test.

use crate::common::{decode, decoder, exporter};
use crate::encode::{
    Flow, IPFIX_FIELDS, SECS, Spec, V6_FIELDS, V9_FIELDS, VARIABLE, VARLEN_FIELDS, data, flows, message, set, sflow,
    template, v5,
};
use crate::files::{pcap, pcapng, udp_frame};
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::Timestamp;
use suimon_base::flow::{FlowRecord, Forwarding, Fragment, SamplingSource, present};
use suimon_wire::packet::{LinkType, parse_frame};
use suimon_wire::{Decoder, ExporterCounters, Limits, input, json::FlowJson};

/// Whether a record says what was encoded.
fn same(ours: &FlowRecord, sent: &Flow, fields: &[Spec]) {
    assert_eq!((ours.src, ours.dst), (sent.src, sent.dst));
    assert_eq!((ours.src_port, ours.dst_port, ours.proto), (sent.src_port, sent.dst_port, sent.proto));
    assert_eq!((ours.bytes, ours.packets), (u64::from(sent.bytes), u64::from(sent.packets)));
    assert_eq!((ours.tcp_flags, ours.tos), (sent.tcp_flags, sent.tos));
    assert_eq!((ours.in_if, ours.out_if), (u32::from(sent.in_if), u32::from(sent.out_if)));
    if fields.iter().any(|(id, _)| *id == 16) {
        assert_eq!((ours.src_as, ours.dst_as), (u32::from(sent.src_as), u32::from(sent.dst_as)));
    }
    let now = Timestamp::from_secs(SECS as i64);
    assert_eq!(ours.start, now.plus_ms(-i64::from(sent.started_ms_ago)));
    assert_eq!(ours.end, now.plus_ms(-i64::from(sent.ended_ms_ago)));
}

fn counters(d: &Decoder) -> ExporterCounters {
    d.counters().next().unwrap().1.clone()
}

/// Decodes a template of these fields and one record of these octets.
fn one(version: u16, fields: &[Spec], record: &[u8]) -> FlowRecord {
    let sets = [template(version, 256, fields), set(256, record)];
    let (result, flows) = decode(&mut decoder(), &message(version, 2, 1, 7, &sets));
    assert_eq!(result.unwrap().malformed, 0);
    assert_eq!(flows.len(), 1);
    flows[0]
}

#[test]
fn what_was_sent_is_what_is_read() {
    for (version, fields, v6) in
        [(9, V9_FIELDS, false), (10, IPFIX_FIELDS, false), (10, VARLEN_FIELDS, false), (9, V6_FIELDS, true)]
    {
        // More than one batch of records in a set.
        let sent = flows(11, 200, v6);
        let mut d = decoder();
        decode(&mut d, &message(version, 1, 0, 7, &[template(version, 300, fields)])).0.unwrap();
        let (result, got) = decode(&mut d, &message(version, 200, 1, 7, &[data(300, fields, &sent)]));
        assert_eq!((result.unwrap().malformed, got.len()), (0, 200));
        got.iter().zip(&sent).for_each(|(got, sent)| same(got, sent, fields));
    }
    let sent = flows(12, 30, false);
    let (_, got) = decode(&mut decoder(), &v5(1, 0x4064, &sent));
    assert_eq!(got.len(), 30);
    got.iter().zip(&sent).for_each(|(got, sent)| same(got, sent, V9_FIELDS));
    assert!(got.iter().all(|f| f.sampling.rate == 100 && f.sampling.source == SamplingSource::Header));
}

#[test]
fn data_before_its_template_waits() {
    let sent = flows(1, 3, false);
    let mut d = decoder();
    let (result, got) = decode(&mut d, &message(9, 3, 0, 7, &[data(256, V9_FIELDS, &sent)]));
    assert_eq!((result.unwrap().held, got.len()), (1, 0));
    // An unknown set before a known one loses nothing.
    let sets = [data(999, V9_FIELDS, &sent), template(9, 256, V9_FIELDS), data(256, V9_FIELDS, &sent)];
    let (result, got) = decode(&mut d, &message(9, 4, 1, 7, &sets));
    assert_eq!((result.unwrap().flows, got.len()), (6, 6));
    got.iter().zip(sent.iter().chain(&sent)).for_each(|(got, sent)| same(got, sent, V9_FIELDS));
    let c = counters(&d);
    assert_eq!((c.held, c.held_dropped, c.unknown_template_sets, c.flows), (2, 0, 2, 6));
}

#[test]
fn what_another_worker_learned_releases_held_data() {
    let sent = flows(1, 3, false);
    let mut d = decoder();
    decode(&mut d, &message(9, 3, 0, 7, &[data(256, V9_FIELDS, &sent)])).0.unwrap();
    d.learn(exporter(), &message(9, 3, 1, 7, &[template(9, 256, V9_FIELDS), data(256, V9_FIELDS, &sent)]));
    assert_eq!(counters(&d).datagrams, 1, "what is learned is not counted");
    let (_, got) = decode(&mut d, &message(9, 0, 1, 7, &[]));
    assert_eq!(got.len(), 3);
}

#[test]
fn held_data_has_bounds() {
    let limits = Limits { held_bytes_per_exporter: 4_000, held_bytes: 6_000, ..Limits::default() };
    let mut d = Decoder::new(limits);
    for domain in [1, 2, 1, 2] {
        for i in 0..20 {
            let bytes = message(10, 0, i, domain, &[data(256, V9_FIELDS, &flows(1, 10, false))]);
            d.datagram(exporter(), Timestamp::ZERO, &bytes, &mut |_, _| {}).unwrap();
            assert!(d.usage().held_bytes <= 6_000);
        }
    }
    let (held, dropped) = d.counters().fold((0, 0), |(h, r), (_, c)| (h + c.held, r + c.held_dropped));
    assert!(held > 0 && dropped > 0 && held + dropped >= 80);
    // Too old to be of use.
    let mut d = decoder();
    decode(&mut d, &message(9, 3, 0, 7, &[data(256, V9_FIELDS, &flows(1, 3, false))])).0.unwrap();
    let late = Timestamp::from_secs(1_700_000_000 + 700);
    let t = message(9, 1, 1, 7, &[template(9, 256, V9_FIELDS)]);
    let summary = d.datagram(exporter(), late, &t, &mut |_, _| {}).unwrap();
    assert_eq!((summary.flows, counters(&d).held_dropped, d.usage().held_bytes), (0, 1, 0));
}

#[test]
fn one_template_id_means_something_else_in_another_source() {
    let mut d = decoder();
    decode(&mut d, &message(9, 1, 0, 1, &[template(9, 256, V9_FIELDS)])).0.unwrap();
    decode(&mut d, &message(9, 1, 0, 2, &[template(9, 256, V6_FIELDS)])).0.unwrap();
    decode(&mut d, &message(10, 1, 0, 1, &[template(10, 256, IPFIX_FIELDS)])).0.unwrap();
    let sent = flows(5, 4, false);
    let (_, got) = decode(&mut d, &message(9, 4, 1, 1, &[data(256, V9_FIELDS, &sent)]));
    got.iter().zip(&sent).for_each(|(got, sent)| same(got, sent, V9_FIELDS));
    let (_, got) = decode(&mut d, &message(10, 4, 1, 1, &[data(256, IPFIX_FIELDS, &sent)]));
    got.iter().zip(&sent).for_each(|(got, sent)| same(got, sent, IPFIX_FIELDS));
    let sent = flows(5, 4, true);
    let (_, got) = decode(&mut d, &message(9, 4, 1, 2, &[data(256, V6_FIELDS, &sent)]));
    got.iter().zip(&sent).for_each(|(got, sent)| same(got, sent, V6_FIELDS));
}

#[test]
fn a_template_may_change_in_mid_stream() {
    let mut d = decoder();
    let sent = flows(5, 4, false);
    for fields in [V9_FIELDS, IPFIX_FIELDS, V9_FIELDS] {
        let sets = [template(10, 256, fields), data(256, fields, &sent)];
        let (result, got) = decode(&mut d, &message(10, 4, 1, 1, &sets));
        assert!(result.unwrap().learned && got.len() == 4);
        assert!(got.iter().zip(&sent).all(|(got, sent)| got.bytes == u64::from(sent.bytes)));
    }
    assert_eq!(counters(&d).template_changes, 2);
    let (result, _) = decode(&mut d, &message(10, 4, 1, 1, &[template(10, 256, V9_FIELDS)]));
    assert!(!result.unwrap().learned, "the same again is nothing new");
}

#[test]
fn withdrawn_templates_are_gone() {
    let known = |d: &Decoder| d.usage().templates;
    let mut d = decoder();
    let options = set(3, &[1, 2, 0, 2, 0, 1, 0, 149, 0, 4, 0, 34, 0, 4]);
    let sets = [template(10, 256, V9_FIELDS), template(10, 257, V9_FIELDS), options, template(10, 259, V9_FIELDS)];
    decode(&mut d, &message(10, 0, 1, 1, &sets)).0.unwrap();
    assert_eq!(known(&d), 4);
    decode(&mut d, &message(10, 0, 1, 1, &[set(2, &[1, 0, 0, 0])])).0.unwrap();
    assert_eq!(known(&d), 3);
    decode(&mut d, &message(10, 0, 1, 1, &[set(2, &[0, 2, 0, 0])])).0.unwrap();
    assert_eq!(known(&d), 1, "all templates, but not options templates");
    decode(&mut d, &message(10, 0, 1, 1, &[set(3, &[0, 3, 0, 0])])).0.unwrap();
    assert_eq!((known(&d), d.usage().template_bytes, counters(&d).templates_withdrawn), (0, 0, 4));
}

#[test]
fn lengths_and_ids_that_exporters_use() {
    // Reduced-size counters of 3 and 5 octets, a field of no length, a v9 id above 32768, then non-zero padding.
    let fields = [(1, 5), (2, 3), (40_005, 2), (95, 0), (8, 4), (12, 4)];
    let record = [0, 0, 1, 0, 0, 0, 2, 0, 9, 9, 192, 0, 2, 1, 192, 0, 2, 2, 0xee, 0xee];
    let flow = one(9, &fields, &record);
    assert_eq!((flow.bytes, flow.packets), (65_536, 512));
    assert_eq!(flow.dst, IpAddr::from([192, 0, 2, 2]));
    assert!(!flow.has(present::PORTS) && !flow.has(present::TIMES));
    let json = serde_json::to_value(FlowJson::new(counters_key(), &flow)).unwrap();
    assert_eq!(json["src_port"], serde_json::Value::Null);
    assert_eq!(json["start"], serde_json::Value::Null);
    assert_eq!(json["sampling"], serde_json::json!({"rate": 1, "source": "assumed"}));
}

fn counters_key() -> suimon_base::flow::ExporterKey {
    suimon_base::flow::ExporterKey { addr: exporter(), domain: 7 }
}

#[test]
fn enterprise_and_reverse_elements_are_left_out() {
    // octetDeltaCount, its RFC 5103 reverse (PEN 29305), and an enterprise's own element 8.
    let t = [1, 0, 0, 3, 0, 1, 0, 4, 0x80, 1, 0, 4, 0, 0, 0x72, 0x79, 0x80, 8, 0, 4, 0, 0, 0, 9];
    let sets = [set(2, &t), set(256, &[0, 0, 0, 5, 0, 0, 0, 6, 1, 2, 3, 4])];
    let (result, flows) = decode(&mut decoder(), &message(10, 0, 1, 1, &sets));
    assert_eq!(result.unwrap().malformed, 0);
    assert_eq!((flows[0].bytes, flows[0].has(present::SRC)), (5, false));
}

#[test]
fn fallbacks_rank_below_the_real_thing() {
    assert_eq!(one(10, &[(85, 4), (86, 4)], &[0, 0, 0, 5, 0, 0, 0, 6]).bytes, 5);
    assert_eq!(one(10, &[(85, 4), (1, 4)], &[0, 0, 0, 5, 0, 0, 0, 6]).bytes, 6);
    let flow = one(10, &[(231, 4), (232, 4), (298, 2), (299, 2)], &[0, 0, 0, 5, 0, 0, 0, 6, 0, 7, 0, 8]);
    assert_eq!((flow.bytes, flow.packets), (5, 7));
    // The address before translation counts, wherever it stands.
    let flow = one(10, &[(225, 4), (8, 4), (227, 2), (7, 2)], &[203, 0, 113, 1, 192, 0, 2, 1, 0, 9, 0, 8]);
    assert_eq!((flow.src, flow.src_port), (IpAddr::from([192, 0, 2, 1]), 8));
    // Both families in one record: the one that is in use.
    let mut record = vec![0; 16];
    record.extend([192, 0, 2, 9]);
    assert_eq!(one(10, &[(27, 16), (8, 4)], &record).src, IpAddr::from([192, 0, 2, 9]));
    record[..2].copy_from_slice(&[0x20, 1]);
    assert!(one(10, &[(27, 16), (8, 4)], &record).src.is_ipv6());
}

#[test]
fn fate_and_fragments() {
    let forwarding = |status: u8| one(9, &[(89, 1)], &[status]).forwarding;
    assert_eq!(forwarding(0x40), Forwarding::Forwarded);
    assert_eq!(forwarding(0x82), Forwarding::Dropped);
    assert_eq!(forwarding(0xc0), Forwarding::Consumed);
    assert_eq!(forwarding(0), Forwarding::Unknown);
    assert_eq!(one(10, &[(89, 4)], &[0, 0, 0, 0x80]).forwarding, Forwarding::Dropped);
    assert_eq!(one(9, &[(88, 2)], &[0, 185]).fragment, Fragment::Later);
    assert_eq!(one(9, &[(88, 2)], &[0, 0]).fragment, Fragment::Unknown, "first or whole, nobody knows");
    assert_eq!(one(10, &[(88, 2), (197, 1)], &[0, 0, 0x20]).fragment, Fragment::First);
    assert_eq!(one(10, &[(88, 2), (197, 1)], &[0, 0, 0x40]).fragment, Fragment::Whole);
    assert_eq!(one(10, &[(88, 2), (197, 1)], &[0, 9, 0x20]).fragment, Fragment::Later);
    // ICMP: an element of its own, two of them, or the destination port.
    assert_eq!(one(9, &[(4, 1), (32, 2)], &[1, 3, 4]).icmp, 0x0304);
    assert_eq!(one(10, &[(4, 1), (178, 1), (179, 1)], &[58, 3, 4]).icmp, 0x0304);
    let flow = one(9, &[(4, 1), (7, 2), (11, 2)], &[1, 0, 0, 3, 4]);
    assert_eq!((flow.icmp, flow.dst_port, flow.has(present::PORTS), flow.has(present::ICMP)), (0x0304, 0, false, true));
}

#[test]
fn times_of_every_kind() {
    let now = SECS as i64 * 1_000_000;
    let ntp = |us: i64| {
        let seconds = (us / 1_000_000 + 2_208_988_800) as u64;
        let fraction = (((us % 1_000_000) as u64) << 32) / 1_000_000;
        ((seconds << 32) | fraction).to_be_bytes()
    };
    let start = |version, fields: &[Spec], record: &[u8]| one(version, fields, record).start.as_micros();
    assert_eq!(start(10, &[(150, 4)], &(SECS as u32).to_be_bytes()), now);
    assert_eq!(start(10, &[(152, 8)], &(now as u64 / 1_000).to_be_bytes()), now);
    assert!((start(10, &[(154, 8)], &ntp(now + 250_000)) - now - 250_000).abs() <= 1);
    assert!((start(10, &[(156, 8)], &ntp(now + 250_000)) - now - 250_000).abs() <= 1);
    assert_eq!(start(10, &[(154, 8)], &(now as u64).to_be_bytes()), now, "plain Unix microseconds");
    assert_eq!(start(10, &[(158, 4)], &1_500u32.to_be_bytes()), now - 1_500, "before the export");
    assert_eq!(start(10, &[(323, 8)], &(now as u64 / 1_000).to_be_bytes()), now, "of an event");
    let boot = (now as u64 / 1_000).to_be_bytes();
    assert_eq!(start(10, &[(160, 8), (22, 4)], &[&boot[..], &[0, 0, 0, 9]].concat()), now + 9_000);
    assert!(!one(10, &[(22, 4)], &[0, 0, 0, 9]).has(present::TIMES), "since when?");
    // An uptime that wrapped between the flow and its export.
    let wrapped = message(9, 2, 0, 1, &[template(9, 256, &[(22, 4)]), set(256, &0xffff_fff0_u32.to_be_bytes())]);
    let mut wrapped = wrapped;
    wrapped[4..8].copy_from_slice(&16u32.to_be_bytes());
    assert_eq!(decode(&mut decoder(), &wrapped).1[0].start.as_micros(), now - 32_000);
    // softflowd tells when it started in options data.
    let options = set(3, &[1, 1, 0, 2, 0, 1, 0, 143, 0, 4, 0, 160, 0, 8]);
    let sets = [
        options,
        set(257, &[&[0, 0, 0, 1][..], &boot].concat()),
        template(10, 256, &[(22, 4)]),
        set(256, &[0, 0, 0, 9]),
    ];
    assert_eq!(decode(&mut decoder(), &message(10, 0, 1, 1, &sets)).1[0].start.as_micros(), now + 9_000);
}

#[test]
fn sampling_says_where_it_is_from() {
    let sampling = |d: &mut Decoder, sets: &[Vec<u8>]| {
        let (result, flows) = decode(d, &message(10, 0, 1, 1, sets));
        assert_eq!(result.unwrap().malformed, 0);
        flows.iter().map(|f| (f.sampling.rate, f.sampling.source)).collect::<Vec<_>>()
    };
    let plain = || vec![template(10, 256, &[(12, 4)]), set(256, &[192, 0, 2, 1])];
    let mut d = decoder();
    assert_eq!(sampling(&mut d, &plain()), [(1, SamplingSource::Assumed)]);
    d.set_sampling(exporter(), 50);
    assert_eq!(sampling(&mut d, &plain()), [(50, SamplingSource::Config)]);
    // One in (10 + 990) / 10.
    let options = |scopes: &[Spec], fields: &[Spec]| {
        let mut body =
            [[1, 1], ((scopes.len() + fields.len()) as u16).to_be_bytes(), (scopes.len() as u16).to_be_bytes()]
                .concat();
        scopes.iter().chain(fields).for_each(|(id, len)| body.extend([id.to_be_bytes(), len.to_be_bytes()].concat()));
        set(3, &body)
    };
    let told = [options(&[(144, 4)], &[(305, 4), (306, 4)]), set(257, &[0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 3, 222])];
    assert_eq!(sampling(&mut d, &[&told[..], &plain()].concat()), [(100, SamplingSource::Options)]);
    // Two samplers and an unknown one; the rate for all stands where the record's sampler is not known.
    let told = [options(&[(302, 4)], &[(34, 4)]), set(257, &[0, 0, 0, 7, 0, 0, 0, 10, 0, 0, 0, 8, 0, 0, 0, 20])];
    let by_id = [template(10, 258, &[(48, 1)]), set(258, &[7, 8, 9])];
    let got = sampling(&mut d, &[&told[..], &by_id].concat());
    assert_eq!(got.iter().map(|(rate, _)| *rate).collect::<Vec<_>>(), [10, 20, 100]);
    // By interface.
    let told = [options(&[(10, 4)], &[(309, 4), (310, 4)]), set(257, &[0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 64])];
    let by_interface = [template(10, 259, &[(10, 4)]), set(259, &[0, 0, 0, 3, 0, 0, 0, 4])];
    let got = sampling(&mut d, &[&told[..], &by_interface].concat());
    assert_eq!(got, [(64, SamplingSource::Options), (100, SamplingSource::Options)]);
    // The record itself wins.
    let own = [template(10, 260, &[(34, 4), (10, 4)]), set(260, &[0, 0, 0, 5, 0, 0, 0, 3])];
    assert_eq!(sampling(&mut d, &own), [(5, SamplingSource::Record)]);
    let own = [template(10, 261, &[(305, 1), (306, 1)]), set(261, &[1, 9, 0, 0, 1, 0])];
    let got = sampling(&mut d, &own);
    assert_eq!(got, [(10, SamplingSource::Record), (100, SamplingSource::Options), (1, SamplingSource::Record)]);
    // Of another domain nothing is known.
    let (_, flows) = decode(&mut d, &message(10, 0, 1, 2, &plain()));
    assert_eq!(flows[0].sampling.rate, 50);
}

#[test]
fn v9_samplers_are_learned_by_other_workers_too() {
    let told =
        [set(1, &[1, 0, 0, 4, 0, 8, 0, 1, 0, 4, 0, 48, 0, 1, 0, 50, 0, 2]), set(256, &[0, 0, 0, 1, 2, 3, 232, 0])];
    let by_id = [template(9, 258, &[(48, 1)]), set(258, &[2])];
    let mut d = decoder();
    d.learn(exporter(), &message(9, 2, 0, 1, &told));
    let (_, flows) = decode(&mut d, &message(9, 2, 1, 1, &by_id));
    assert_eq!((flows[0].sampling.rate, flows[0].sampling.source), (1_000, SamplingSource::Options));
}

#[test]
fn sequence_numbers_count_what_is_missing() {
    let mut d = decoder();
    decode(&mut d, &v5(100, 0, &flows(1, 30, false))).0.unwrap();
    decode(&mut d, &v5(190, 0, &flows(1, 30, false))).0.unwrap();
    assert_eq!(counters(&d).sequence_gaps, 60, "flows");
    let mut d = decoder();
    let sets = [template(10, 256, V9_FIELDS), data(256, V9_FIELDS, &flows(1, 4, false))];
    decode(&mut d, &message(10, 0, 1_000, 1, &sets)).0.unwrap();
    decode(&mut d, &message(10, 0, 1_004, 1, &sets)).0.unwrap();
    decode(&mut d, &message(10, 0, 1_010, 1, &sets)).0.unwrap();
    assert_eq!(counters(&d).sequence_gaps, 2, "data records");
    // Data of an unknown template: nobody can say what the next number should be.
    decode(&mut d, &message(10, 0, 1_014, 1, &[set(999, &[0; 40])])).0.unwrap();
    decode(&mut d, &message(10, 0, 1_050, 1, &sets)).0.unwrap();
    assert_eq!(counters(&d).sequence_gaps, 2);
    let mut d = decoder();
    for sequence in [7, 8, 11] {
        decode(&mut d, &sflow(sequence, 9, false, &flows(1, 1, false))).0.unwrap();
    }
    assert_eq!(counters(&d).sequence_gaps, 2, "datagrams");
}

#[test]
fn a_malformed_set_does_not_lose_the_flows_before_it() {
    let good = data(256, V9_FIELDS, &flows(1, 3, false));
    let bad = [1, 0, 0xff, 0xff, 1, 2, 3, 4];
    let mut d = decoder();
    let sets = [template(9, 256, V9_FIELDS), good.clone(), bad.to_vec()];
    let (result, got) = decode(&mut d, &message(9, 3, 0, 1, &sets));
    let summary = result.unwrap();
    assert_eq!((got.len(), summary.malformed, counters(&d).malformed), (3, 1, 1));
    let offset = 20 + sets[0].len() + sets[1].len() + 2;
    assert_eq!(summary.first_error.unwrap().offset(), offset);
    // A bad template is passed over, what follows is read.
    let sets = [set(0, &[0, 9, 0, 1, 0, 1, 0, 4]), good];
    let (result, got) = decode(&mut d, &message(9, 3, 1, 1, &sets));
    assert_eq!((got.len(), result.unwrap().malformed), (3, 1));
    // sFlow: a sample that is too short in the middle.
    let mut bytes = sflow(1, 9, false, &flows(1, 2, false));
    let at = bytes.len();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0]);
    bytes[27] = 3;
    let (result, got) = decode(&mut decoder(), &bytes);
    assert_eq!((got.len(), result.unwrap().first_error.unwrap().offset()), (2, at + 8));
}

#[test]
fn sflow_says_what_was_dropped() {
    for expanded in [false, true] {
        let sent = flows(3, 5, expanded);
        let (result, got) = decode(&mut decoder(), &sflow(1, 512, expanded, &sent));
        assert_eq!(result.unwrap().malformed, 0);
        for (got, sent) in got.iter().zip(&sent) {
            assert_eq!((got.src, got.dst, got.proto, got.tos), (sent.src, sent.dst, sent.proto, sent.tos));
            assert_eq!((got.src_port, got.dst_port, got.tcp_flags), (sent.src_port, sent.dst_port, sent.tcp_flags));
            assert_eq!((got.in_if, got.out_if), (u32::from(sent.in_if), u32::from(sent.out_if)));
            assert_eq!((got.bytes, got.packets, got.vlan), (u64::from(sent.bytes as u16 % 1_400) + 60, 1, 42));
            assert_eq!((got.sampling.rate, got.sampling.source), (512, SamplingSource::Header));
        }
    }
    // Output format 1: discarded; the reason code is no interface.
    let mut bytes = sflow(1, 512, false, &flows(3, 1, false));
    let output = 28 + 8 + 24;
    bytes[output..output + 4].copy_from_slice(&[0x40, 0, 1, 0]);
    let flow = decode(&mut decoder(), &bytes).1[0];
    assert_eq!((flow.forwarding, flow.out_if), (Forwarding::Dropped, 0));
    bytes[output..output + 4].copy_from_slice(&[0x3f, 0xff, 0xff, 0xff]);
    assert_eq!(decode(&mut decoder(), &bytes).1[0].forwarding, Forwarding::Consumed);
    // A sampled IPv4 record and an extended gateway in place of a raw header.
    let words = |w: &[u32]| w.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    let mut sample = words(&[1, 1, 100, 0, 0, 3, 4, 2, 3, 32, 60, 6, 0xc000_0201, 0xc000_0202, 1_024, 443, 2, 0]);
    sample.extend(words(&[1003, 36, 1, 0xc000_02fe, 64_500, 64_501, 64_501, 1, 2, 1, 64_502]));
    let mut bytes = words(&[5, 1, 0xc000_0201, 0, 1, 1, 1, 1, sample.len() as u32]);
    bytes.extend(sample);
    let (result, got) = decode(&mut decoder(), &bytes);
    assert_eq!(result.unwrap().malformed, 0);
    assert_eq!((got[0].src_port, got[0].dst_port, got[0].tcp_flags, got[0].bytes), (1_024, 443, 2, 60));
    assert_eq!((got[0].src_as, got[0].dst_as), (64_501, 64_502));
}

#[test]
fn exporters_have_bounds_and_the_silent_make_room() {
    let limits = Limits { exporters: 3, domains_per_address: 2, ..Limits::default() };
    let mut d = Decoder::new(limits);
    let mut hear = |addr: u8, domain: u32, secs: i64| {
        let bytes = message(9, 0, 0, domain, &[template(9, 256, V9_FIELDS)]);
        d.datagram(IpAddr::from([192, 0, 2, addr]), Timestamp::from_secs(secs), &bytes, &mut |_, _| {}).is_ok()
    };
    assert!(hear(1, 1, 1_000) && hear(1, 2, 2_000) && !hear(1, 3, 2_001));
    assert!(hear(2, 1, 2_002) && !hear(3, 1, 2_003));
    assert!(hear(3, 1, 2_900), "the first is silent for half an hour");
    assert!(!hear(1, 1, 2_901));
    assert_eq!((d.usage().exporters, d.usage().templates), (3, 3));
}

#[test]
fn captures_of_export_traffic_are_found() {
    let (from, to) = (Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 2));
    let sent = [v5(1, 0, &flows(1, 2, false)), sflow(1, 9, false, &flows(1, 2, false)), message(10, 0, 1, 1, &[])];
    let mut frames: Vec<Vec<u8>> = sent.iter().map(|d| udp_frame(from, to, 9_995, d)).collect();
    frames.insert(1, udp_frame(from, to, 53, b"not a flow"));
    for file in [pcap(&frames), pcapng(&frames)] {
        let found: Vec<_> = input::flow_datagrams(&file).unwrap().map(Result::unwrap).collect();
        assert_eq!(found.len(), 3);
        for (found, sent) in found.iter().zip(&sent) {
            assert_eq!((found.exporter, found.bytes), (IpAddr::V4(from), &sent[..]));
        }
        assert_eq!(found[1].received, Timestamp::from_micros(SECS as i64 * 1_000_000 + 2_250_000));
        // Cut short: what is whole is found, then an error says where.
        let mut cut = input::flow_datagrams(&file[..file.len() - 9]).unwrap();
        assert!(
            cut.by_ref().take(2).all(|d| d.is_ok()) && cut.next().is_some_and(|d| d.is_err()) && cut.next().is_none()
        );
    }
    assert!(input::flow_datagrams(&sent[0]).is_err());
}

#[test]
fn frames_of_every_wrapping() {
    let ip = &udp_frame(Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 2), 53, b"payload")[14..];
    let wrap = |head: &[u8]| [head, ip].concat();
    let macs = [0u8; 12];
    for (link, frame) in [
        (LinkType::Ethernet, wrap(&[&macs[..], &[8, 0]].concat())),
        (LinkType::Ethernet, wrap(&[&macs[..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]].concat())),
        (LinkType::Ethernet, wrap(&[&macs[..], &[0x88, 0x47, 0, 1, 0, 64, 0, 1, 1, 64]].concat())),
        (LinkType::Ethernet, wrap(&[&macs[..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 37, 0, 0x21]].concat())),
        (LinkType::RawIp, wrap(&[])),
        (LinkType::LinuxSll, wrap(&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0])),
        (LinkType::LinuxSll2, wrap(&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0])),
        (LinkType::Loopback, wrap(&[2, 0, 0, 0])),
    ] {
        let (header, udp) = parse_frame(link, &frame, frame.len() as u32).unwrap();
        assert_eq!((header.ports, udp, header.ip_len), (Some((40_000, 53)), Some(&b"payload"[..]), 35), "{link:?}");
    }
    // IPv6 with hop-by-hop and fragment headers; the second fragment has no ports.
    let v6 = |fragment: &[u8]| {
        let mut out = vec![0x60, 0, 0, 0, 0, 28, 0, 64];
        out.extend([0x20; 32]);
        out.extend([44, 0, 0, 0, 0, 0, 0, 0]);
        out.extend(fragment);
        out.extend([0x30, 0x39, 0, 80, 0, 20, 0, 0, 1, 2, 3, 4]);
        parse_frame(LinkType::RawIp, &out, 68).unwrap().0
    };
    let first = v6(&[17, 0, 0, 1, 0, 0, 0, 9]);
    assert_eq!((first.proto, first.fragment, first.ports), (17, Fragment::First, Some((12_345, 80))));
    let later = v6(&[17, 0, 0, 9, 0, 0, 0, 9]);
    assert_eq!((later.proto, later.fragment, later.ports), (17, Fragment::Later, None));
    // Segmentation offload: no length in the header.
    let mut tso = ip.to_vec();
    tso[2..4].copy_from_slice(&[0, 0]);
    assert_eq!(parse_frame(LinkType::RawIp, &tso, 1_400).unwrap().0.ip_len, 1_400);
    // An ICMP error: the outer header counts.
    let mut icmp = ip.to_vec();
    icmp[9] = 1;
    icmp.truncate(20);
    icmp.extend([3, 1, 0, 0, 0, 0, 0, 0]);
    icmp.extend(ip);
    let (header, udp) = parse_frame(LinkType::RawIp, &icmp, icmp.len() as u32).unwrap();
    assert_eq!((header.proto, header.icmp, header.ports, udp), (1, 0x0301, None, None));
}

#[test]
fn variable_length_of_three_octets() {
    let fields = [(82, VARIABLE), (2, 4)];
    let long = [&[255, 1, 0][..], &[0xfe; 256], &[0, 0, 0, 5], &[0], &[0, 0, 0, 6]].concat();
    let sets = [template(10, 256, &fields), set(256, &long)];
    let (result, flows) = decode(&mut decoder(), &message(10, 0, 1, 1, &sets));
    assert_eq!(result.unwrap().malformed, 0);
    assert_eq!(flows.iter().map(|f| f.packets).collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn samplers_that_disagree_leave_it_to_the_config_else_to_the_smallest() {
    let told = [
        set(3, &[1, 1, 0, 2, 0, 1, 1, 46, 0, 4, 0, 34, 0, 4]),
        set(257, &[0, 0, 0, 7, 0, 0, 0, 30, 0, 0, 0, 8, 0, 0, 0, 20]),
    ];
    let sets = [&told[..], &[template(10, 256, &[(12, 4)]), set(256, &[192, 0, 2, 1])]].concat();
    let mut d = decoder();
    let (_, flows) = decode(&mut d, &message(10, 0, 1, 1, &sets));
    assert_eq!((flows[0].sampling.rate, flows[0].sampling.source), (20, SamplingSource::Options));
    d.set_sampling(exporter(), 50);
    let (_, flows) = decode(&mut d, &message(10, 0, 1, 1, &sets));
    assert_eq!((flows[0].sampling.rate, flows[0].sampling.source), (50, SamplingSource::Config));
    // As soon as they agree, the config is not asked.
    let agree = set(257, &[0, 0, 0, 7, 0, 0, 0, 30, 0, 0, 0, 8, 0, 0, 0, 30]);
    let (_, flows) = decode(&mut d, &message(10, 0, 1, 1, &[agree, set(256, &[192, 0, 2, 1])]));
    assert_eq!((flows[0].sampling.rate, flows[0].sampling.source), (30, SamplingSource::Options));
}

#[test]
fn memory_is_given_back() {
    let load = |fields: &[&[Spec]]| {
        let mut d = decoder();
        for fields in fields {
            decode(&mut d, &message(10, 0, 1, 1, &[template(10, 256, fields)])).0.unwrap();
        }
        d.usage().template_bytes
    };
    assert_eq!(load(&[V9_FIELDS, IPFIX_FIELDS, VARLEN_FIELDS, V9_FIELDS]), load(&[V9_FIELDS]));
}

#[test]
fn of_an_element_that_is_sent_twice_the_first_counts() {
    let flow = one(10, &[(12, 4), (12, 4), (1, 1), (1, 1)], &[192, 0, 2, 1, 192, 0, 2, 2, 5, 6]);
    assert_eq!((flow.dst, flow.bytes), (IpAddr::from([192, 0, 2, 1]), 5));
}

#[test]
fn capture_times_in_both_units_and_byte_orders() {
    for (magic, fraction) in [(0xa1b2_c3d4_u32, 250_000_u32), (0xa1b2_3c4d, 250_000_999)] {
        for little in [true, false] {
            let words = [magic, 0x0004_0002, 0, 0, 65_535, 101, SECS as u32, fraction, 1, 60];
            let mut file: Vec<u8> =
                words.iter().flat_map(|w| if little { w.to_le_bytes() } else { w.to_be_bytes() }).collect();
            file.push(0x45);
            let frame = suimon_wire::pcap::frames(&file).unwrap().next().unwrap().unwrap();
            assert_eq!(frame.time.as_micros(), SECS as i64 * 1_000_000 + 250_000);
            assert_eq!((frame.link, frame.wire_len, frame.bytes), (LinkType::RawIp, 60, &[0x45][..]));
        }
    }
}
