//! Evidence: reasons for an attack in numbers, made of what is there when it is told.

use crate::attacks::Running;
use crate::detector::Detector;
use crate::profile;
use crate::sample::Seen;
use crate::slot::Rate;
use crate::spoof;
use crate::vectors;
use crate::words;
use ipnet::IpNet;
use std::collections::BTreeMap;
use suimon_base::attack::{Evidence, SamplingEvidence, Share, VectorFinding};
use suimon_base::rule::{FragmentMatch, Match, TcpFlags};
use suimon_base::{Direction, PortRange, Vector};

/// Lines of a top list.
const TOP: usize = 10;
/// Ports are put into a match where at most this many carry nearly all of a vector's packets.
const FEW_PORTS: usize = 4;
/// What "nearly all" is.
const NEARLY_ALL: f64 = 0.95;

pub(crate) fn empty() -> Evidence {
    Evidence {
        fired: Vec::new(),
        sampling: SamplingEvidence { rate: 1, assumed: true, samples: 0, relative_error: 0.0 },
        top_sources: Vec::new(),
        top_src_ports: Vec::new(),
        top_dst_ports: Vec::new(),
        tcp_flags: Vec::new(),
        sizes: Vec::new(),
        ingress: Vec::new(),
        before: Default::default(),
        during: Default::default(),
        spoof_reasons: Vec::new(),
        words_en: String::new(),
        words_ja: String::new(),
    }
}

/// Shares of packets by key, the largest first.
fn top(records: &[(Seen, f64)], key: impl Fn(&Seen) -> Option<String>) -> Vec<Share> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let mut all = 0.0;
    for (r, w) in records {
        let packets = w * f64::from(r.packets);
        all += packets;
        if let Some(k) = key(r) {
            *sums.entry(k).or_default() += packets;
        }
    }
    let mut list: Vec<Share> = sums.into_iter().map(|(key, p)| Share { key, share: p / f64::max(all, 1e-9) }).collect();
    list.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.key.cmp(&b.key)));
    list.truncate(TOP);
    list
}

fn has_ports(r: &Seen) -> bool {
    matches!(r.proto, 6 | 17 | 132 | 136) && r.fragment != suimon_base::flow::Fragment::Later
}

fn flag_names(flags: u8) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set: Vec<&str> = (0..8).filter(|i| flags >> i & 1 == 1).map(|i| names[i]).collect();
    if set.is_empty() { "none".to_owned() } else { set.join("+") }
}

fn size_class(len: u16) -> String {
    let low = len / 100 * 100;
    format!("{low}-{}", low.saturating_add(99))
}

/// The ports that carry nearly all of the packets, if they are few.
fn few_ports(records: &[(Seen, f64)], port: impl Fn(&Seen) -> u16) -> Vec<PortRange> {
    let mut sums: BTreeMap<u16, f64> = BTreeMap::new();
    let mut all = 0.0;
    for (r, w) in records.iter().filter(|(r, _)| has_ports(r)) {
        let packets = w * f64::from(r.packets);
        all += packets;
        *sums.entry(port(r)).or_default() += packets;
    }
    // A handful of records would name ports by chance.
    if records.len() < 20 {
        return Vec::new();
    }
    let mut list: Vec<(u16, f64)> = sums.into_iter().collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let mut ports = Vec::new();
    for (p, packets) in list.into_iter().take(FEW_PORTS) {
        sum += packets;
        ports.push(PortRange::one(p));
        if sum >= NEARLY_ALL * all {
            ports.sort_unstable();
            return ports;
        }
    }
    Vec::new()
}

fn main_proto(records: &[(Seen, f64)]) -> Option<u8> {
    let mut sums: BTreeMap<u8, f64> = BTreeMap::new();
    records.iter().for_each(|(r, w)| *sums.entry(r.proto).or_default() += w * f64::from(r.packets));
    let all: f64 = sums.values().sum();
    sums.into_iter().find(|(_, p)| *p >= NEARLY_ALL * all && all > 0.0).map(|(proto, _)| proto)
}

impl Detector {
    /// Renews what is told of a running attack.
    pub(crate) fn tell(&mut self, running: &mut Running, window: &[(u8, Rate)]) {
        let mask = running.mask();
        let second = self.bucket / self.scale.second;
        let sample = self.entities[running.entity as usize].sample;
        let mut all: Vec<(Seen, f64)> = Vec::new();
        let mut sources = 0;
        if let Some(Some(s)) = self.samples.get(sample as usize) {
            sources = s.sources(mask);
            all.extend(s.recent(second).map(|(r, w)| (*r, w)));
        } else {
            // No sample was free: the host's short history is better than nothing.
            let e = &self.entities[running.entity as usize];
            let late = self.bucket.saturating_sub(2 * self.scale.second);
            let records = e.history.iter().flat_map(|h| h.records());
            all.extend(records.filter(|r| r.bucket >= late).map(|r| (r.seen(), 1.0)));
        }
        let ours: Vec<(Seen, f64)> = all.iter().filter(|(r, _)| mask >> r.vector & 1 == 1).copied().collect();
        let e = &self.entities[running.entity as usize];
        let named = running.vectors();
        let told = &mut running.told;
        let (target, direction) = (told.target, told.direction);
        let old = std::mem::take(&mut told.vectors);
        told.vectors = running
            .found
            .iter()
            .map(|f| {
                let vector = vectors::name(f.vector);
                let of: Vec<(Seen, f64)> = ours.iter().filter(|(r, _)| r.vector == f.vector).copied().collect();
                // As for the lists: a remnant must not widen or narrow what a filter was made from.
                let keep = of.is_empty() || running.below.is_some();
                let before = old.iter().find(|o| o.vector == vector && keep).map(|o| o.matches.clone());
                let matches = before.unwrap_or_else(|| self.match_of(vector, target, direction, &of));
                VectorFinding { vector, peak: f.peak.rates(), current: f.current.rates(), matches }
            })
            .collect();
        told.peak = running.peak.rates();
        told.sources = told.sources.max(sources);
        let window_ms = self.config.window_ms;
        let evidence = &mut told.evidence;
        evidence.fired = running.fires.iter().map(|f| f.rule(running.kind, window_ms)).collect();
        let samples = running.samples.round().max(0.0) as u64;
        evidence.sampling = SamplingEvidence {
            rate: e.sampling,
            assumed: e.assumed,
            samples,
            relative_error: if e.sampling > 1 && samples > 0 { 1.0 / (samples as f64).sqrt() } else { 0.0 },
        };
        // What is left while an attack dies away is not what it looked like.
        let shows = running.below.is_none() || evidence.top_sources.is_empty();
        if !all.is_empty() && shows {
            evidence.during = profile::build(&self.table, &all, window);
        }
        evidence.before.clone_from(&running.before);
        if !ours.is_empty() && shows {
            let exporters = &self.exporters;
            let ingress = |r: &Seen| exporters.get(usize::from(r.exporter)).map(|k| format!("{}/{}", k.addr, r.in_if));
            evidence.top_sources = top(&ours, |r| r.known.then(|| r.src.to_string()));
            evidence.top_src_ports = top(&ours, |r| has_ports(r).then(|| r.src_port.to_string()));
            evidence.top_dst_ports = top(&ours, |r| has_ports(r).then(|| r.dst_port.to_string()));
            evidence.tcp_flags = top(&ours, |r| (r.proto == 6).then(|| flag_names(r.flags)));
            evidence.sizes = top(&ours, |r| Some(size_class(r.len)));
            evidence.ingress = top(&ours, |r| if r.known { ingress(r) } else { None });
            let reflected: f64 =
                running.found.iter().filter(|f| self.reflects(f.vector, &named)).map(|f| f.peak.packets).sum();
            let spoof = spoof::judge(&ours, reflected / running.peak.packets.max(1e-9), told.sources);
            if ours.len() >= spoof::LEAST || evidence.spoof_reasons.is_empty() {
                told.spoof_likelihood = spoof.likelihood;
                evidence.spoof_reasons = spoof.reasons;
            }
        }
        told.evidence.words_en = words::english(told);
        told.evidence.words_ja = words::japanese(told);
    }

    /// Whether the vector's senders are reflectors; fragments are where a reflection runs beside them.
    fn reflects(&self, vector: u8, beside: &[Vector]) -> bool {
        let v = vectors::name(vector);
        let udp = |o: &Vector| self.table.is_reflection(*o) && *o != Vector::SynAck;
        self.table.is_reflection(v) || (v == Vector::Fragments && beside.iter().any(udp))
    }

    /// The narrowest match for a vector's packets, from the table and what the sample shows.
    fn match_of(&self, vector: Vector, target: IpNet, direction: Direction, records: &[(Seen, f64)]) -> Match {
        let mut m = Match::default();
        match direction {
            Direction::In => m.dst = vec![target],
            Direction::Out => m.src = vec![target],
        }
        if vector == Vector::Total {
            return m;
        }
        let rows: Vec<_> = self.table.rows_of(vector).collect();
        let Some(row) = rows.first() else { return m };
        m.proto = match row.proto.as_slice() {
            [one] => Some(*one),
            _ => main_proto(records).or_else(|| (vector == Vector::Fragments).then_some(17)),
        };
        if vector == Vector::Icmp {
            m.proto = Some(if target.addr().is_ipv4() { 1 } else { 58 });
        }
        if let Some(f) = row.fragment {
            m.fragment = (f == suimon_base::flow::Fragment::Later).then_some(FragmentMatch::Later);
            return m;
        }
        m.tcp_flags = self.flags_of(vector, records);
        m.src_ports = row.src_ports.iter().map(|p| PortRange::one(*p)).collect();
        if m.src_ports.len() > 1 {
            // Of the ports of the row only those that are used.
            let used: Vec<PortRange> = few_ports(records, |r| r.src_port);
            if !used.is_empty() {
                m.src_ports.retain(|p| used.contains(p));
            }
        }
        if let Some(least) = row.min_len {
            m.lengths = vec![PortRange { lo: least, hi: u16::MAX }];
        }
        if let (Some(most), None) = (row.max_len, row.min_len) {
            m.lengths = vec![PortRange { lo: 0, hi: most }];
        }
        if vector == Vector::UdpOther {
            m.src_ports = few_ports(records, |r| r.src_port);
        }
        m.dst_ports = few_ports(records, |r| r.dst_port);
        m
    }

    /// TCP flags of the row that most of the packets fit.
    fn flags_of(&self, vector: Vector, records: &[(Seen, f64)]) -> Option<TcpFlags> {
        let fits = |t: &TcpFlags| -> f64 {
            let of = records.iter().filter(|(r, _)| r.flags & t.mask == t.value);
            of.map(|(r, w)| w * f64::from(r.packets)).sum()
        };
        let all: f64 = records.iter().map(|(r, w)| w * f64::from(r.packets)).sum();
        let rows: Vec<TcpFlags> = self.table.rows_of(vector).filter_map(|r| r.match_flags).collect();
        let best = rows.iter().copied().max_by(|a, b| fits(a).total_cmp(&fits(b)))?;
        // Where several rows share the packets no one of them may stand for all.
        (rows.len() == 1 || all == 0.0 || fits(&best) >= NEARLY_ALL * all).then_some(best)
    }
}
