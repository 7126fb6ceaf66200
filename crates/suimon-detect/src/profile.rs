//! What a target's traffic is made of, as classes a rule can be tried against (catalogue row 61).

use crate::detector::Detector;
use crate::entity::{Kind, Recent};
use crate::sample::Seen;
use crate::slot::Rate;
use crate::vectors::{self, VectorTable};
use std::collections::BTreeMap;
use suimon_base::attack::{ProfileClass, TrafficProfile};
use suimon_base::flow::Fragment;
use suimon_base::{PortRange, Timestamp};

/// Hosts of a prefix whose short histories make its profile from before an attack.
const HOSTS_OF_PREFIX: usize = 64;
/// A service's port is kept from this share of its protocol's packets on; below it is noise of random ports.
const SERVICE_SHARE: f64 = 0.002;
/// Any other port is kept from this share on, and only where this many peers share it.
const SHARED_SHARE: f64 = 0.02;
const SHARED_BY: usize = 4;

/// Ports that name a service wherever they stand.
fn is_service(table: &VectorTable, proto: u8, port: u16) -> bool {
    let high = matches!(port, 1194 | 1433 | 1701 | 1812 | 3306 | 3389 | 3478 | 5060 | 5061 | 5222 | 5353 | 5432 | 6379)
        || matches!(port, 8080 | 8443 | 25565 | 27015 | 51820);
    (port != 0 && port < 1_024) || high || (proto == 17 && table.names_port(port))
}

#[derive(Default)]
struct Port {
    packets: f64,
    peers: Vec<u32>,
}

/// Which ports of a set of records tell something: key is protocol and port.
struct Ports<'a> {
    table: &'a VectorTable,
    src: BTreeMap<(u8, u16), Port>,
    dst: BTreeMap<(u8, u16), Port>,
    proto: BTreeMap<u8, f64>,
}

impl<'a> Ports<'a> {
    fn new(table: &'a VectorTable, records: &[(Seen, f64)]) -> Self {
        let mut ports = Ports { table, src: BTreeMap::new(), dst: BTreeMap::new(), proto: BTreeMap::new() };
        for (r, w) in records {
            let packets = w * f64::from(r.packets);
            *ports.proto.entry(r.proto).or_default() += packets;
            for (map, port) in [(&mut ports.src, r.src_port), (&mut ports.dst, r.dst_port)] {
                let p = map.entry((r.proto, port)).or_default();
                p.packets += packets;
                if p.peers.len() < SHARED_BY && !p.peers.contains(&r.peer) {
                    p.peers.push(r.peer);
                }
            }
        }
        ports
    }

    fn keep(&self, map: &BTreeMap<(u8, u16), Port>, r: &Seen, port: u16) -> Option<u16> {
        let carries = matches!(r.proto, 6 | 17 | 132 | 136) && r.fragment != Fragment::Later;
        let found = map.get(&(r.proto, port)).filter(|_| carries)?;
        let share = found.packets / self.proto.get(&r.proto).copied().unwrap_or(0.0).max(1e-9);
        let service = is_service(self.table, r.proto, port) && share >= SERVICE_SHARE;
        (service || (found.peers.len() >= SHARED_BY && share >= SHARED_SHARE)).then_some(port)
    }
}

/// Which lengths may share a class. A rule on lengths can tell an attack's packets from others of the same kind only
/// where they are not lumped together: bare SYNs differ by their options, answers of reflectors by their size, ICMP
/// errors from echoes. Elsewhere a mean length says little and a finer split would only crowd out other classes.
fn length_class(r: &Seen) -> u16 {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    match (r.proto, r.len) {
        (6, len) if r.flags & (SYN | ACK) == SYN => len,
        (1 | 58, len @ 0..=128) => len,
        (1 | 58, len) => 1_000 + len / 128,
        (17, 0..=128) => 1,
        (17, 129..=512) => 2,
        (17, _) => 3,
        _ => 0,
    }
}

/// Classes of records, each record weighted by what it stands for. The packets and flows of each vector are scaled to
/// the vector's own counted rates, so that only the split within a vector has the sample's error.
pub(crate) fn build(table: &VectorTable, records: &[(Seen, f64)], strata: &[(u8, Rate)]) -> TrafficProfile {
    let ports = Ports::new(table, records);
    let mut sums: BTreeMap<u8, (f64, f64)> = BTreeMap::new();
    for (r, w) in records {
        let s = sums.entry(r.vector).or_default();
        s.0 += w * f64::from(r.packets);
        s.1 += w * f64::from(r.flows);
    }
    let rate = |v: u8| strata.iter().find(|(o, _)| *o == v).map(|(_, r)| *r).unwrap_or_default();
    type Key = (u8, u8, Option<u16>, Option<u16>, u8, u8, u16);
    let mut classes: BTreeMap<Key, ProfileClass> = BTreeMap::new();
    for (r, w) in records {
        let (sum, real) = (sums.get(&r.vector).copied().unwrap_or_default(), rate(r.vector));
        let pps = w * f64::from(r.packets) * real.packets / sum.0.max(1e-9);
        let fps = w * f64::from(r.flows) * real.flows / sum.1.max(1e-9);
        let (src, dst) = (ports.keep(&ports.src, r, r.src_port), ports.keep(&ports.dst, r, r.dst_port));
        let key = (r.vector, r.proto, src, dst, r.flags, r.fragment as u8, length_class(r));
        let class = ProfileClass {
            proto: r.proto,
            src_port: src,
            dst_port: dst,
            tcp_flags: r.flags,
            fragment: r.fragment,
            ip_len: PortRange::one(r.len),
            pps,
            fps,
        };
        classes.entry(key).and_modify(|c| merge(c, &class)).or_insert(class);
    }
    let mut list: Vec<ProfileClass> = classes.into_values().filter(|c| c.pps > 0.0).collect();
    for (v, r) in strata {
        if r.packets > 0.0 && !sums.contains_key(v) {
            list.push(unseen(table, *v, r));
        }
    }
    let records = records.len() as u64;
    TrafficProfile { records, classes: fold(list) }
}

/// The class of a vector of which the sample holds no record.
fn unseen(table: &VectorTable, vector: u8, r: &Rate) -> ProfileClass {
    let row = table.rows_of(vectors::name(vector)).next();
    let len = (r.bytes / r.packets.max(1e-9)).round().clamp(0.0, 65_535.0) as u16;
    ProfileClass {
        proto: row.and_then(|r| r.proto.first().copied()).unwrap_or(0),
        src_port: row.and_then(|r| (r.src_ports.len() == 1).then(|| r.src_ports[0])),
        dst_port: None,
        tcp_flags: row.and_then(|r| r.match_flags).map_or(0, |f| f.value),
        fragment: row.and_then(|r| r.fragment).unwrap_or_default(),
        ip_len: PortRange::one(len),
        pps: r.packets,
        fps: r.flows,
    }
}

fn merge(into: &mut ProfileClass, c: &ProfileClass) {
    into.ip_len = PortRange { lo: into.ip_len.lo.min(c.ip_len.lo), hi: into.ip_len.hi.max(c.ip_len.hi) };
    into.pps += c.pps;
    into.fps += c.fps;
    into.tcp_flags |= c.tcp_flags;
}

/// At most [`TrafficProfile::MAX_CLASSES`], the largest first; the rest loses its ports, then its flags.
fn fold(mut list: Vec<ProfileClass>) -> Vec<ProfileClass> {
    let by_size = |list: &mut Vec<ProfileClass>| list.sort_by(|a, b| b.pps.total_cmp(&a.pps));
    by_size(&mut list);
    for keep_flags in [true, false] {
        if list.len() <= TrafficProfile::MAX_CLASSES {
            break;
        }
        // Half of the places for classes kept whole, so that the folded ones find room.
        let rest = list.split_off(TrafficProfile::MAX_CLASSES / 2);
        let mut folded: BTreeMap<(u8, u8, u8), ProfileClass> = BTreeMap::new();
        for c in rest {
            let key = if keep_flags { (c.proto, c.tcp_flags, c.fragment as u8) } else { (c.proto, 0, 0) };
            let bare = ProfileClass { src_port: None, dst_port: None, ..c };
            folded.entry(key).and_modify(|f| merge(f, &bare)).or_insert(bare);
        }
        list.extend(folded.into_values());
        by_size(&mut list);
    }
    list.truncate(TrafficProfile::MAX_CLASSES);
    list
}

impl Detector {
    /// The normal traffic of a target up to `started`.
    pub(crate) fn profile_before(&self, at: u32, bucket: u32, started: Timestamp) -> TrafficProfile {
        let e = &self.entities[at as usize];
        let weight = e.history_weight(bucket, &self.scale);
        if weight <= 0.0 {
            return TrafficProfile::default();
        }
        let strata: Vec<(u8, Rate)> = e
            .slots
            .iter()
            .map(|s| {
                let n = s.normal();
                let real = |x: f64| x / weight;
                (s.vector, Rate { bytes: real(n.bytes), packets: real(n.packets), flows: real(n.flows), samples: 0.0 })
            })
            .collect();
        let earlier = |r: &&Recent| self.starts(r.bucket) < started;
        let of = |h: &crate::entity::Entity| -> Vec<(Seen, f64)> {
            let history = h.history.iter().flat_map(|h| h.records());
            history.filter(earlier).map(|r| (r.seen(), 1.0)).collect()
        };
        let records = if e.kind == Kind::Host {
            of(e)
        } else {
            let inside = |h: &&crate::entity::Entity| {
                h.live && h.kind == Kind::Host && h.direction == e.direction && e.target.contains(&h.target)
            };
            let busy = self.entities.iter().filter(inside).take(HOSTS_OF_PREFIX).flat_map(of);
            let quiet = self.quiets.iter().filter(|(_, _, k)| k.direction == e.direction && e.target.contains(&k.addr));
            let kept =
                quiet.take(HOSTS_OF_PREFIX).flat_map(|(_, _, k)| k.kept().filter(earlier).map(|r| (r.seen(), 1.0)));
            busy.chain(kept).collect()
        };
        build(&self.table, &records, &strata)
    }
}
