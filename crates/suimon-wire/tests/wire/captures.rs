//! Datagrams of real exporters, judged by other decoders.

use crate::common::{decode, decoder, payloads};
use crate::files::{pcap, udp_frame};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use suimon_base::flow::{FlowRecord, Fragment, present};
use suimon_wire::packet::parse_frame;
use suimon_wire::{input, pcap as capture};

/// Files that belong together, in the order in which they are fed. Each group is an exporter of its own.
const GROUPS: &[&[&str]] = &[
    &["netflow5.dat"],
    &["netflow5_test_juniper_mx80.dat"],
    &["../telegraf/netflow_v5_example/netflow_v5.bin"],
    &["netflow9_test_valid01.dat"],
    &["netflow9_test_softflowd_tpl_data.dat"],
    &["netflow9_test_0length_fields_tpl_data.dat"],
    &["netflow9_test_iptnetflow_reduced_size_encoding_tpldata260.dat"],
    &["netflow9_test_cisco_asr9k_tpl260.dat", "netflow9_test_cisco_asr9k_data260.dat"],
    &["netflow9_test_fortigate_fortios_521_tpl.dat", "netflow9_test_fortigate_fortios_521_data256.dat"],
    &["netflow9_test_fortigate_fortios_521_tpl.dat", "netflow9_test_fortigate_fortios_521_data257.dat"],
    &["netflow9_test_huawei_netstream_tpl.dat", "netflow9_test_huawei_netstream_data.dat"],
    &["netflow9_test_paloalto_panos_tpl.dat", "netflow9_test_paloalto_panos_data.dat"],
    &["netflow9_test_ubnt_edgerouter_tpl.dat", "netflow9_test_ubnt_edgerouter_data1024.dat"],
    &["netflow9_test_ubnt_edgerouter_tpl.dat", "netflow9_test_ubnt_edgerouter_data1025.dat"],
    &["netflow9_test_juniper_srx_tplopt.dat"],
    &["ipfix.dat"],
    &["ipfix_test_mikrotik_tpl.dat", "ipfix_test_mikrotik_data258.dat"],
    &["ipfix_test_mikrotik_tpl.dat", "ipfix_test_mikrotik_data259.dat"],
    &["ipfix_test_nokia_bras_tpl.dat", "ipfix_test_nokia_bras_data256.dat"],
    &["ipfix_test_vmware_vds_tpl.dat", "ipfix_test_vmware_vds_data264.dat"],
    &["ipfix_test_vmware_vds_tpl.dat", "ipfix_test_vmware_vds_data266.dat"],
    &["ipfix_test_vmware_vds_tpl.dat", "ipfix_test_vmware_vds_data266_267.dat"],
    &["ipfix_test_yaf_tpl45841.dat", "ipfix_test_yaf_data45841.dat"],
    &["ipfix_test_yaf_tpls_option_tpl.dat", "ipfix_test_yaf_data45873.dat"],
    &["ipfix_test_yaf_tpls_option_tpl.dat", "ipfix_test_yaf_data53248.dat"],
];

#[test]
fn every_file_decodes() {
    let Some(folder) = suimon_testkit::shared_or_skip("every_file_decodes", "captures") else { return };
    // All files to one decoder, in two orders, and each file cut short at every length: nothing may panic.
    let files = payloads(&folder);
    assert!(files.len() >= 50);
    let mut forwards = decoder();
    let mut backwards = decoder();
    for (path, reverse) in files.iter().zip(files.iter().rev()) {
        let bytes = std::fs::read(path).unwrap();
        let (result, _) = decode(&mut forwards, &bytes);
        assert!(result.is_ok(), "{}: {result:?}", path.display());
        decode(&mut backwards, &std::fs::read(reverse).unwrap()).0.unwrap();
        let mut cut = decoder();
        for len in 0..bytes.len() {
            let _ = decode(&mut cut, &bytes[..len]);
        }
    }
}

fn read(folder: &Path, group: &[&str]) -> Vec<Vec<u8>> {
    let one = |name: &&str| std::fs::read(folder.join(name)).unwrap();
    // tshark takes what follows the first message of ipfix.dat for sets; it is a second message.
    group.iter().flat_map(|name| input::messages(&one(name)).map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

#[test]
fn tshark_sees_the_same_flows() {
    let name = "tshark_sees_the_same_flows";
    let Some(folder) = suimon_testkit::shared_or_skip(name, "captures/flow") else { return };
    if !suimon_testkit::program_or_skip(name, "tshark") {
        return;
    }
    let (mut compared, mut flows_compared) = (0, 0);
    let groups: Vec<Vec<Vec<u8>>> = GROUPS.iter().map(|group| read(&folder, group)).collect();
    let found = tshark_flows(&groups);
    for ((group, datagrams), theirs) in GROUPS.iter().zip(&groups).zip(&found) {
        let mut d = decoder();
        let ours: Vec<FlowRecord> = datagrams.iter().flat_map(|bytes| decode(&mut d, bytes).1).collect();
        let what = group.last().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{what}: flows");
        for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            same(what, i, ours, theirs);
        }
        compared += 1;
        flows_compared += ours.len();
    }
    assert!(compared >= 20 && flows_compared >= 180, "{compared} groups, {flows_compared} flows");
}

fn same(what: &str, i: usize, ours: &FlowRecord, theirs: &Value) {
    let text = |names: &[&str]| {
        // Of an element that stands in a record twice (YAF's reverse elements, say) the first counts.
        let first = |v: &Value| v.get(0).unwrap_or(v).as_str().map(str::to_owned);
        names.iter().find_map(|n| first(theirs.get(*n)?))
    };
    let number = |names: &[&str]| text(names).and_then(|t| t.parse::<u64>().ok());
    let address = |names: &[&str]| text(names).map(|t| t.parse::<IpAddr>().unwrap());
    let has = |bit, value: u64| ours.has(bit).then_some(value);
    let check = |fact: &str, ours: String, theirs: String| {
        assert_eq!(ours, theirs, "{what} flow {i}: {fact} (left: ours)");
    };
    let is_icmp = matches!(ours.proto, 1 | 58);
    check(
        "src",
        format!("{:?}", ours.has(present::SRC).then_some(ours.src)),
        format!("{:?}", address(&["cflow.srcaddr", "cflow.srcaddrv6"])),
    );
    check(
        "dst",
        format!("{:?}", ours.has(present::DST).then_some(ours.dst)),
        format!("{:?}", address(&["cflow.dstaddr", "cflow.dstaddrv6"])),
    );
    check(
        "bytes",
        format!("{:?}", has(present::BYTES, ours.bytes)),
        format!(
            "{:?}",
            number(&["cflow.octets", "cflow.post_octets", "cflow.permanent_octets", "cflow.initiator_octets"])
        ),
    );
    check(
        "packets",
        format!("{:?}", has(present::PACKETS, ours.packets)),
        format!(
            "{:?}",
            number(&["cflow.packets", "cflow.post_packets", "cflow.permanent_packets", "cflow.initiator_packets"])
        ),
    );
    check(
        "proto",
        format!("{:?}", has(present::PROTO, ours.proto.into())),
        format!("{:?}", number(&["cflow.protocol"])),
    );
    if !is_icmp {
        check(
            "src_port",
            format!("{:?}", has(present::PORTS, ours.src_port.into())),
            format!("{:?}", number(&["cflow.srcport"])),
        );
        check(
            "dst_port",
            format!("{:?}", has(present::PORTS, ours.dst_port.into())),
            format!("{:?}", number(&["cflow.dstport"])),
        );
    }
}

/// What tshark finds in the datagrams of each group: its objects "Flow n" and "pdu n/m", without those of options data.
/// Each group comes from an address of its own, for which tshark keeps templates apart.
fn tshark_flows(groups: &[Vec<Vec<u8>>]) -> Vec<Vec<Value>> {
    let mut frames = Vec::new();
    let mut group_of = Vec::new();
    for (i, datagrams) in groups.iter().enumerate() {
        for datagram in datagrams {
            let from = Ipv4Addr::new(198, 51, 100, i as u8);
            frames.push(udp_frame(from, Ipv4Addr::new(192, 0, 2, 2), 2055, datagram));
            group_of.push(i);
        }
    }
    let file = temp_file(&pcap(&frames));
    let output = Command::new("tshark")
        .args(["-d", "udp.port==2055,cflow", "-T", "json", "--no-duplicate-keys", "-r"])
        .arg(&file)
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let packets: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut options = BTreeSet::new();
    let mut found = vec![Vec::new(); groups.len()];
    for (packet, group) in packets.as_array().unwrap().iter().zip(group_of) {
        let flows = &mut found[group];
        let Some(sets) = packet.pointer("/_source/layers/cflow").and_then(Value::as_object) else { continue };
        for (title, set) in in_order(sets) {
            if let Some((_, id)) = title.split_once("(Options Template): ") {
                options.extend(id.split(", ").map(|id| (group, id.to_owned())));
            }
            let id = title.split_once("[id=").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(id, _)| id);
            if title.starts_with("pdu ") {
                flows.push(set.clone());
            } else if let Some(set) = set.as_object().filter(|_| !options.contains(&(group, id.to_owned()))) {
                flows.extend(in_order(set).filter(|(k, _)| k.starts_with("Flow ")).map(|(_, flow)| flow.clone()));
            }
        }
    }
    found
}

/// The members of an object by the number in their name ("Flow 10" comes after "Flow 9").
fn in_order(object: &serde_json::Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let number = |name: &str| {
        let digits = name.split([' ', '/']).nth(1).unwrap_or_default();
        digits.parse::<u32>().unwrap_or(0)
    };
    let mut members: Vec<_> = object.iter().collect();
    members.sort_by_key(|(name, _)| number(name));
    members.into_iter()
}

fn temp_file(bytes: &[u8]) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("suimon-wire-{}-{n}.pcap", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn telegraf_agrees() {
    let Some(folder) = suimon_testkit::shared_or_skip("telegraf_agrees", "captures/telegraf") else { return };
    for case in std::fs::read_dir(&folder).unwrap() {
        let case = case.unwrap().path();
        let what = case.file_name().unwrap().to_string_lossy().into_owned();
        let expected = std::fs::read_to_string(case.join("expected.out")).unwrap();
        let mut d = decoder();
        let ours: Vec<FlowRecord> =
            payloads(&case).iter().flat_map(|p| decode(&mut d, &std::fs::read(p).unwrap()).1).collect();
        let counters = d.counters().next().unwrap().1.clone();
        assert_eq!(counters.malformed, 0, "{what}");
        // A counter sample is a line there, and so is a record of options data.
        let (flows, options): (Vec<&str>, Vec<&str>) =
            expected.lines().filter(|l| !l.is_empty()).partition(|l| l.starts_with("netflow,"));
        let flows: Vec<&str> = flows.into_iter().filter(|l| !l.contains("interface_type=")).collect();
        assert_eq!(ours.len(), flows.len(), "{what}: flows");
        assert_eq!(counters.options_records, options.len() as u64, "{what}: options");
        assert_eq!(counters.counter_samples, u64::from(what == "sflow_v5_example"), "{what}");
        for (ours, line) in ours.iter().zip(flows) {
            let field = |name: &str| {
                let at = line.find(&format!("{name}="))? + name.len() + 1;
                Some(line[at..].split([',', ' ']).next()?.trim_matches(['"', 'u']).to_owned())
            };
            let pairs = [
                ("src", ours.src.to_string()),
                ("dst", ours.dst.to_string()),
                ("src_port", ours.src_port.to_string()),
                ("dst_port", ours.dst_port.to_string()),
                ("in_bytes", ours.bytes.to_string()),
                ("in_packets", ours.packets.to_string()),
                ("in_snmp", ours.in_if.to_string()),
                ("out_snmp", ours.out_if.to_string()),
            ];
            for (name, ours) in pairs {
                let theirs = field(&format!(",{name}")).or_else(|| field(&format!(" {name}")));
                assert!(theirs.as_ref().is_none_or(|t| *t == ours), "{what}: {name}: {ours}, not {theirs:?}");
            }
        }
    }
}

#[test]
fn tshark_sees_the_same_packets() {
    let name = "tshark_sees_the_same_packets";
    let Some(folder) = suimon_testkit::shared_or_skip(name, "captures/ddos") else { return };
    if !suimon_testkit::program_or_skip(name, "tshark") {
        return;
    }
    for (file, packets) in [("amp.UDP.snmp.src161.pcapng", 4_373), ("amp.dns.RRSIG.fragmented.pcap", 4_412)] {
        let path = folder.join(file);
        let bytes = std::fs::read(&path).unwrap();
        let fields = [
            "frame.time_epoch",
            "ip.src",
            "ip.dst",
            "ip.proto",
            "ip.len",
            "ip.frag_offset",
            "ip.flags.mf",
            "ipv6.src",
            "ipv6.dst",
        ];
        let output = Command::new("tshark")
            .args(["-n", "-o", "ip.defragment:FALSE", "-E", "occurrence=f", "-T", "fields"])
            .args(fields.iter().flat_map(|f| ["-e", f]))
            .args(["-e", "udp.srcport", "-e", "tcp.srcport", "-r"])
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let ours = capture::frames(&bytes).unwrap().map(Result::unwrap);
        let mut count = 0;
        for (frame, line) in ours.zip(text.lines()) {
            let (header, _) = parse_frame(frame.link, frame.bytes, frame.wire_len).unwrap();
            let later = header.fragment == Fragment::Later;
            let port = header.ports.map_or(String::new(), |(src, _)| src.to_string());
            let (udp, tcp) = if header.proto == 17 { (port, String::new()) } else { (String::new(), port) };
            let time = format!("{}.{:06}000", frame.time.as_secs(), frame.time.as_micros() % 1_000_000);
            let parts: Vec<&str> = line.split('\t').collect();
            assert_eq!(parts[0], time, "{file}: time of packet {count}");
            if header.src.is_ipv6() {
                assert_eq!(parts[7..9], [header.src.to_string(), header.dst.to_string()], "{file}: packet {count}");
                count += 1;
                continue;
            }
            let facts =
                [header.src.to_string(), header.dst.to_string(), header.proto.to_string(), header.ip_len.to_string()];
            assert_eq!(parts[1..5], facts, "{file}: packet {count}");
            assert_eq!(later, parts[5] != "0", "{file}: packet {count}: fragment offset");
            assert_eq!(
                header.fragment != Fragment::Whole,
                later || parts[6] == "1",
                "{file}: packet {count}: fragment"
            );
            // Of an ICMP error tshark also prints the ports of the packet within.
            if matches!(header.proto, 6 | 17) {
                assert_eq!((parts[9], parts[10]), (&udp[..], &tcp[..]), "{file}: packet {count}: ports");
            }
            count += 1;
        }
        assert_eq!((count, text.lines().count()), (packets, packets), "{file}");
    }
}
