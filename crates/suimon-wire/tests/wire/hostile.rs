//! Input that is wrong by accident or on purpose.

use crate::common::{decode, decoder, exporter};
use crate::encode::{
    IPFIX_FIELDS, Spec, V9_FIELDS, VARIABLE, VARLEN_FIELDS, data, flows, message, set, sflow, template, v5,
};
use crate::files::{pcap, pcapng};
use proptest::prelude::*;
use std::net::IpAddr;
use suimon_base::Timestamp;
use suimon_wire::packet::{LinkType, parse_frame};
use suimon_wire::{DecodeError, Decoder, Limits, input};

fn valid() -> Vec<Vec<u8>> {
    let mut all = vec![
        v5(1, 0, &flows(1, 30, false)),
        sflow(1, 9, false, &flows(1, 7, false)),
        sflow(1, 9, true, &flows(1, 5, true)),
    ];
    for (version, fields) in [(9, V9_FIELDS), (10, IPFIX_FIELDS), (10, VARLEN_FIELDS)] {
        let sets = [template(version, 256, fields), data(256, fields, &flows(2, 9, false))];
        all.push(message(version, 10, 1, 7, &sets));
    }
    let sets = [
        set(1, &[1, 0, 0, 4, 0, 8, 0, 1, 0, 4, 0, 48, 0, 4, 0, 34, 0, 4]),
        set(256, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 3, 232]),
    ];
    all.push(message(9, 2, 1, 7, &sets));
    all
}

/// Bounds so low that small input reaches them.
fn tight() -> Limits {
    Limits {
        exporters: 8,
        domains_per_address: 4,
        templates_per_exporter: 8,
        template_bytes: 8_000,
        fields_per_template: 64,
        held_bytes_per_exporter: 2_000,
        held_bytes: 4_000,
        samplers_per_exporter: 4,
        ..Limits::default()
    }
}

fn within_bounds(d: &Decoder) {
    let (usage, limits) = (d.usage(), tight());
    assert!(usage.exporters <= limits.exporters && usage.templates <= limits.exporters * limits.templates_per_exporter);
    assert!(usage.template_bytes <= limits.template_bytes && usage.held_bytes <= limits.held_bytes, "{usage:?}");
    assert!(usage.samplers <= limits.exporters * limits.samplers_per_exporter);
}

fn feed(d: &mut Decoder, bytes: &[u8]) {
    d.learn(exporter(), bytes);
    let mut flows = 0;
    let result = d.datagram(exporter(), Timestamp::from_secs(1_700_000_000), bytes, &mut |_, _| flows += 1);
    match result {
        Ok(summary) => {
            assert_eq!(summary.flows, flows);
            assert_eq!(summary.malformed > 0, summary.first_error.is_some());
            assert!(summary.first_error.is_none_or(|e| e.offset() <= bytes.len() + 4_000));
        }
        Err(error) => assert!(error.offset() <= bytes.len(), "{error}"),
    }
    within_bounds(d);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_octets_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0..5usize) {
        let mut bytes = bytes;
        let head: &[u8] = [&[0, 5][..], &[0, 9], &[0, 10], &[0, 0, 0, 5, 0, 0, 0, 1], &[]][kind];
        for (b, h) in bytes.iter_mut().zip(head) {
            *b = *h;
        }
        feed(&mut Decoder::new(tight()), &bytes);
        for link in [0, 1, 101, 113, 276, 9].map(LinkType::from) {
            let _ = parse_frame(link, &bytes, 0);
        }
    }

    #[test]
    fn damaged_datagrams_do_no_harm(
        damage in proptest::collection::vec((0..7usize, any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let mut d = Decoder::new(tight());
        let mut datagrams = valid();
        for (which, at, value) in damage {
            let bytes = &mut datagrams[which];
            let at = at.index(bytes.len());
            bytes[at] = value;
            feed(&mut d, bytes);
        }
        datagrams.iter().for_each(|bytes| feed(&mut d, bytes));
    }

    #[test]
    fn damaged_captures_do_no_harm(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), ng: bool, cut: prop::sample::Index,
    ) {
        let frames = [vec![1; 60], vec![2; 61]];
        let mut file = if ng { pcapng(&frames) } else { pcap(&frames) };
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate(cut.index(file.len()) + 1);
        if let Ok(found) = input::flow_datagrams(&file) {
            prop_assert!(found.count() <= file.len());
        }
    }

    /// Any template of fixed fields: the number of records is what division says, and nothing is read beyond them.
    #[test]
    fn any_template_gives_as_many_records_as_fit(
        ids in proptest::collection::vec(
            (prop_oneof![0..400u16, Just(8u16), Just(12), Just(1), Just(2), Just(152), Just(22), Just(305), Just(306)], 0..20u16),
            1..40,
        ),
        body in proptest::collection::vec(any::<u8>(), 0..1_200), v9: bool,
    ) {
        let version = if v9 { 9 } else { 10 };
        let len: usize = ids.iter().map(|(_, len)| usize::from(*len)).sum();
        let (result, got) = decode(&mut decoder(), &message(version, 1, 1, 1, &[template(version, 256, &ids), set(256, &body)]));
        let summary = result.unwrap();
        let padding = body.iter().all(|b| *b == 0) && body.is_empty();
        match body.len().checked_div(len) {
            Some(n) => prop_assert_eq!((got.len(), summary.malformed), (n, 0)),
            None => prop_assert!(summary.malformed == 1 || padding),
        }
    }
}

#[test]
fn every_truncation_is_survived() {
    for bytes in valid() {
        let mut d = Decoder::new(tight());
        let (_, whole) = decode(&mut decoder(), &bytes);
        for len in 0..bytes.len() {
            feed(&mut d, &bytes[..len]);
            let (_, got) = decode(&mut decoder(), &bytes[..len]);
            assert!(got.iter().zip(&whole).all(|(a, b)| a == b), "what is there is read rightly");
            assert!(got.len() <= whole.len());
        }
    }
}

#[test]
fn absurd_templates_are_refused() {
    let mut d = decoder();
    let claimed = set(2, &[1, 0, 0xff, 0xff, 0, 8, 0, 4]);
    let (result, _) = decode(&mut d, &message(10, 0, 1, 1, &[claimed]));
    let expected = DecodeError::TooManyFields { offset: 24, id: 256, fields: 65_535, limit: 1_024 };
    assert_eq!(result.unwrap().first_error, Some(expected));
    let fields: Vec<Spec> = vec![(8, 4); 15_000];
    let (result, _) = decode(&mut d, &message(9, 1, 1, 1, &[template(9, 256, &fields)]));
    assert!(matches!(result.unwrap().first_error, Some(DecodeError::TooManyFields { .. })));
    assert_eq!(d.usage().templates, 0);
    // Many fields of variable length in a record that is all zeros: one octet each.
    let fields: Vec<Spec> = vec![(82, VARIABLE); 1_000];
    let (result, got) = decode(&mut d, &message(10, 0, 1, 1, &[template(10, 256, &fields), set(256, &[0; 5_500])]));
    assert_eq!((result.unwrap().malformed, got.len()), (0, 5));
}

#[test]
fn an_error_names_an_octet_that_is_there() {
    let t = template(10, 256, &[(82, VARIABLE), (82, VARIABLE), (2, 4)]);
    for (record, offset) in [(&[255, 255, 255, 1, 2, 3][..], 0), (&[1, 9, 200, 1, 2, 3], 2), (&[4, 9, 9, 9, 9, 0], 0)] {
        let (result, _) = decode(&mut decoder(), &message(10, 0, 1, 1, &[t.clone(), set(256, record)]));
        assert_eq!(result.unwrap().first_error.unwrap().offset(), 16 + t.len() + 4 + offset);
    }
}

#[test]
fn records_without_length_end() {
    let mut d = decoder();
    let fields = [(8, 0), (12, 0)];
    let (result, got) = decode(&mut d, &message(10, 0, 1, 1, &[template(10, 256, &fields), set(256, &[1; 1_000])]));
    assert!(matches!(result.unwrap().first_error, Some(DecodeError::EmptyRecord { id: 256, .. })));
    assert_eq!(got.len(), 0);
}

#[test]
fn thousands_of_templates_and_exporters_stay_within_bounds() {
    let mut d = Decoder::new(tight());
    for i in 0..3_000u32 {
        let fields: Vec<Spec> = (0..(i % 60) as u16 + 1).map(|f| (f, 4)).collect();
        let id = 256 + (i % 1_000) as u16;
        let bytes = message(
            if i % 2 == 0 { 9 } else { 10 },
            1,
            i,
            i % 7,
            &[template(if i % 2 == 0 { 9 } else { 10 }, id, &fields)],
        );
        let from = IpAddr::from([198, 51, 100, (i % 50) as u8]);
        let _ = d.datagram(from, Timestamp::from_secs(i64::from(i)), &bytes, &mut |_, _| {});
        let held = message(10, 0, i, i % 7, &[set(60_000, &[1; 400])]);
        let _ = d.datagram(from, Timestamp::from_secs(i64::from(i)), &held, &mut |_, _| {});
        within_bounds(&d);
    }
    let refused: u64 = d.counters().map(|(_, c)| c.templates_refused).sum();
    assert!(refused > 0);
    // Samplers, too.
    let mut d = Decoder::new(tight());
    let options = set(3, &[1, 1, 0, 2, 0, 1, 1, 46, 0, 4, 0, 34, 0, 4]);
    let values: Vec<u8> = (0..100u32).flat_map(|i| [i.to_be_bytes(), (i + 1).to_be_bytes()].concat()).collect();
    decode(&mut d, &message(10, 0, 1, 1, &[options, set(257, &values)])).0.unwrap();
    within_bounds(&d);
    assert_eq!(d.counters().next().unwrap().1.samplers_refused, 96);
}

#[test]
fn an_sflow_datagram_that_promises_too_much_is_told() {
    let mut bytes = sflow(1, 9, false, &flows(1, 2, false));
    bytes[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
    let (result, got) = decode(&mut decoder(), &bytes);
    let summary = result.unwrap();
    assert_eq!(got.len(), 2);
    assert_eq!(summary.first_error.unwrap().offset(), 24);
    // A gateway record with four thousand million path segments ends with its octets.
    let words = |w: &[u32]| w.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    let sample = words(&[1, 1, 100, 0, 0, 3, 4, 1, 1003, 24, 0, 1, 2, 3, u32::MAX, 2]);
    let bytes = [words(&[5, 1, 0, 0, 1, 1, 1, 1, sample.len() as u32]), sample].concat();
    assert_eq!(decode(&mut decoder(), &bytes).0.unwrap().malformed, 1);
}
