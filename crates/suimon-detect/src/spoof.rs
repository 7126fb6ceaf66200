//! How likely the sources are forged, with reasons.

use crate::sample::Seen;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A judgement.
pub(crate) struct Spoof {
    pub likelihood: f64,
    pub reasons: Vec<String>,
}

/// Fewer records than this say nothing.
pub(crate) const LEAST: usize = 20;

/// Addresses that no packet from the Internet has as its source (IANA special-purpose registries, RFC 6890).
fn is_special(a: IpAddr) -> bool {
    match a {
        IpAddr::V4(a) => special4(a),
        IpAddr::V6(a) => special6(a),
    }
}

fn special4(a: Ipv4Addr) -> bool {
    let [o, p, ..] = a.octets();
    matches!(o, 0 | 10 | 127 | 224..=255)
        || (o == 100 && (64..128).contains(&p))
        || (o == 169 && p == 254)
        || (o == 172 && (16..32).contains(&p))
        || (o == 192 && p == 168)
        || (o == 198 && (p == 18 || p == 19))
        || a.is_documentation()
}

fn special6(a: Ipv6Addr) -> bool {
    let s = a.segments();
    // Global unicast is 2000::/3 (RFC 4291 §2.4, IANA); within it documentation is 2001:db8::/32 and 3fff::/20.
    s[0] >> 13 != 1 || (s[0] == 0x2001 && s[1] == 0xdb8) || (s[0] == 0x3fff && s[1] >> 12 == 0)
}

/// Share of the possible evenness of sources over the address space: first octet (IPv4), bits 3 to 15 (IPv6).
fn evenness(sources: &BTreeSet<IpAddr>) -> f64 {
    let mut bins: BTreeMap<u16, f64> = BTreeMap::new();
    for a in sources {
        let bin = match a {
            IpAddr::V4(a) => u16::from(a.octets()[0]),
            IpAddr::V6(a) => a.segments()[0],
        };
        *bins.entry(bin).or_default() += 1.0;
    }
    let n = sources.len() as f64;
    let entropy: f64 = bins.values().map(|c| -(c / n) * (c / n).log2()).sum();
    // The most that so few sources could show.
    entropy / n.log2().min(224f64.log2()).max(1e-9)
}

fn percent(x: f64) -> String {
    format!("{:.0} %", x * 100.0)
}

/// Judges the attack's records. `reflected` is the share of its packets that reflectors sent.
pub(crate) fn judge(records: &[(Seen, f64)], reflected: f64, distinct: u64) -> Spoof {
    let mut reasons = Vec::new();
    let known: Vec<&Seen> = records.iter().map(|(r, _)| r).filter(|r| r.known).collect();
    if known.len() < LEAST {
        reasons.push(format!("only {} flow records looked at: no judgement", known.len()));
        return Spoof { likelihood: 0.5, reasons };
    }
    if reflected > 0.5 {
        reasons.push(format!(
            "{} of the packets are answers of a service: their sources are real reflectors, the forged address is the target's",
            percent(reflected)
        ));
        return Spoof { likelihood: 0.05, reasons };
    }
    let n = known.len() as f64;
    let mut per_source: BTreeMap<IpAddr, (u32, f32)> = BTreeMap::new();
    for r in &known {
        let s = per_source.entry(r.src).or_default();
        s.0 += 1;
        s.1 += r.packets;
    }
    let mut real = 1.0;
    let mut signal = |weight: f64, text: String| {
        real *= 1.0 - weight;
        reasons.push(text);
    };
    let once = per_source.values().filter(|s| s.0 == 1).count() as f64 / n;
    let syn = known.iter().filter(|r| r.flags & 0x12 == 0x02 && r.proto == 6).count() as f64 / n;
    if once > 0.9 && syn > 0.8 {
        signal(
            0.5,
            format!("{} of the flows are the only one of their source, a SYN that no ACK follows", percent(once)),
        );
    } else if once > 0.9 {
        signal(0.3, format!("{} of the flows are the only one of their source", percent(once)));
    }
    let sources: BTreeSet<IpAddr> = per_source.keys().copied().collect();
    let even = evenness(&sources);
    if sources.len() >= 50 && even > 0.9 {
        signal(
            0.6,
            format!("sources spread evenly over the address space ({} of the possible evenness)", percent(even)),
        );
    }
    let special = sources.iter().filter(|a| is_special(**a)).count() as f64 / sources.len() as f64;
    if special > 0.01 && special < 0.9 {
        signal(0.7, format!("{} of the sources are in special-purpose space that is not routed", percent(special)));
    }
    let mut sizes: BTreeMap<u16, u32> = BTreeMap::new();
    known.iter().for_each(|r| *sizes.entry(r.len).or_default() += 1);
    let same = sizes.values().max().map_or(0.0, |m| f64::from(*m) / n);
    if same > 0.95 && once > 0.9 {
        signal(0.2, format!("{} of the flows have one packet size", percent(same)));
    }
    if distinct > 100_000 {
        signal(0.3, format!("about {distinct} sources"));
    }
    if once < 0.5 {
        reasons.push(format!("sources come back: {} sources in {} flow records looked at", sources.len(), known.len()));
    }
    // Without any sign of forgery one in ten remains open: a careful forger leaves none.
    Spoof { likelihood: (1.0 - real).clamp(0.1, 0.98), reasons }
}
