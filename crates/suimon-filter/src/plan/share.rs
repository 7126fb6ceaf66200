//! Which share of the attack and of the legitimate traffic a rule takes, from the profiles before and during.

use crate::boxes;
use suimon_base::attack::ProfileClass;
use suimon_base::flow::Fragment;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Attack, Match, PortRange, RuleSet, Vector};

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Shares lost under some rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lost {
    /// Of the attack's packets.
    pub attack: f64,
    /// Of legitimate packets; `None` where nothing is known.
    pub legitimate: Option<f64>,
    /// Of legitimate new connections; `None` where nothing is known.
    pub connections: Option<f64>,
}

/// Traffic taken apart: attack = during − before.
pub struct Split {
    /// What was added to the normal traffic, `pps` being the excess.
    pub attack: Vec<ProfileClass>,
    /// The normal traffic.
    pub normal: Vec<ProfileClass>,
    /// Whether anything is known of it.
    pub known: bool,
}

/// Whether an attack has a reflection among its vectors: its answers arrive in fragments too.
pub fn reflects(attack: &Attack) -> bool {
    use Vector::{AckRst, Fragments, Gre, Icmp, OtherProtocol, Syn, SynAck, TcpOther, Total, UdpOther};
    let others = [AckRst, Fragments, Gre, Icmp, OtherProtocol, Syn, SynAck, TcpOther, Total, UdpOther];
    attack.vectors.iter().any(|v| !others.contains(&v.vector))
}

impl Split {
    /// The excess of each class over the normal traffic that fits it, among what the vectors describe (and the later
    /// fragments of a reflection). What grew beside the vectors is not attack.
    pub fn of(attack: &Attack) -> Self {
        let (before, during) = (&attack.evidence.before, &attack.evidence.during);
        let mut excess: Vec<ProfileClass> = during.classes.clone();
        for n in &before.classes {
            let mut left = n.pps;
            // The same kind first, then kinds that may contain it.
            for exact in [true, false] {
                for d in excess.iter_mut().filter(|d| fits(d, n, exact)) {
                    let part = left.min(d.pps);
                    d.pps -= part;
                    left -= part;
                }
            }
        }
        let vectors: Vec<&Match> = attack.vectors.iter().map(|v| &v.matches).collect();
        let fragments = reflects(attack);
        excess.retain(|c| {
            let described = vectors.iter().any(|m| taken(m, c).0 > 0.0);
            let fragment = fragments && c.fragment == Fragment::Later && c.proto == 17;
            c.pps > 0.0 && (described || fragment)
        });
        Split { attack: excess, normal: before.classes.clone(), known: before.records > 0 }
    }

    /// Normal packets a second that one of the matches takes.
    pub fn legitimate_pps(&self, matches: &[Match]) -> f64 {
        self.normal.iter().map(|c| c.pps * matches.iter().map(|m| normally_taken(m, c).0).fold(0.0, f64::max)).sum()
    }

    /// Whether the flows of a normal class are new connections: a TCP flow without SYN goes on with an old one. Where no
    /// exporter tells TCP flags, every flow counts.
    fn opens(&self, c: &ProfileClass) -> bool {
        c.proto != 6 || c.tcp_flags & SYN != 0 || self.normal.iter().all(|n| n.proto != 6 || n.tcp_flags == 0)
    }

    /// What the rules would lose.
    pub fn judge(&self, rules: &RuleSet) -> Lost {
        // A limit drops the same share of everything it takes.
        let shares: Vec<f64> = rules
            .rules
            .iter()
            .map(|r| {
                let total: f64 = self.attack.iter().chain(&self.normal).map(|c| c.pps * taken(&r.matches, c).0).sum();
                match r.action {
                    Action::Permit => 0.0,
                    Action::Discard => 1.0,
                    Action::LimitPps(n) => (1.0 - n as f64 / total.max(1e-9)).clamp(0.0, 1.0),
                    Action::LimitBps(n) => {
                        let bits: f64 = self
                            .attack
                            .iter()
                            .chain(&self.normal)
                            .map(|c| {
                                c.pps * taken(&r.matches, c).0 * 4.0 * (f64::from(c.ip_len.lo) + f64::from(c.ip_len.hi))
                            })
                            .sum();
                        (1.0 - n as f64 / bits.max(1e-9)).clamp(0.0, 1.0)
                    }
                }
            })
            .collect();
        let class = |c: &ProfileClass, normal: bool| {
            let mut most = (0.0f64, 0.0f64);
            for (r, share) in rules.rules.iter().zip(&shares) {
                let (packets, connections) = if normal { normally_taken(&r.matches, c) } else { taken(&r.matches, c) };
                most = (most.0.max(packets * share), most.1.max(connections * share));
            }
            most
        };
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let sum = |list: &[ProfileClass], f: &dyn Fn(&ProfileClass) -> f64| list.iter().map(f).sum::<f64>();
        let attack = ratio(sum(&self.attack, &|c| c.pps * class(c, false).0), sum(&self.attack, &|c| c.pps));
        let legitimate = ratio(sum(&self.normal, &|c| c.pps * class(c, true).0), sum(&self.normal, &|c| c.pps));
        let opening = |c: &ProfileClass| if self.opens(c) { c.fps } else { 0.0 };
        let connections = ratio(sum(&self.normal, &|c| opening(c) * class(c, true).1), sum(&self.normal, &opening));
        Lost { attack, legitimate: self.known.then_some(legitimate), connections: self.known.then_some(connections) }
    }
}

/// Whether normal class `n` may be part of class `d`.
fn fits(d: &ProfileClass, n: &ProfileClass, exact: bool) -> bool {
    let later = |c: &ProfileClass| c.fragment == Fragment::Later;
    if d.proto != n.proto || later(d) != later(n) {
        return false;
    }
    let lengths = d.ip_len.lo <= n.ip_len.hi && n.ip_len.lo <= d.ip_len.hi;
    if exact {
        return lengths && d.src_port == n.src_port && d.dst_port == n.dst_port && d.tcp_flags == n.tcp_flags;
    }
    let port = |a: Option<u16>, b: Option<u16>| a.is_none() || b.is_none() || a == b;
    port(d.src_port, n.src_port) && port(d.dst_port, n.dst_port) && d.tcp_flags == n.tcp_flags && lengths
}

/// The shares of a class's packets and of its new connections that a match takes. Addresses are not asked: a profile is
/// of the target's traffic.
pub fn taken(m: &Match, c: &ProfileClass) -> (f64, f64) {
    let later = c.fragment == Fragment::Later;
    let ported = boxes::PORT_PROTOS.contains(&c.proto) && !later;
    let port = |list: &[PortRange], p: Option<u16>| {
        list.is_empty() || (ported && p.is_some_and(|p| list.iter().any(|r| r.contains(p))))
    };
    let basic = m.proto.is_none_or(|p| p == c.proto)
        && port(&m.src_ports, c.src_port)
        && port(&m.dst_ports, c.dst_port)
        && m.fragment.is_none_or(|FragmentMatch::Later| later);
    if !basic {
        return (0.0, 0.0);
    }
    let length = length_share(&m.lengths, c.ip_len);
    let (packets, connections) = m.tcp_flags.map_or((1.0, 1.0), |t| if later { (0.0, 0.0) } else { flag_share(t, c) });
    (packets * length, connections * length)
}

/// Whether the lengths of a class are those of its packets. A profile keeps the mean of each flow, and a mean of many
/// packets says nothing about one of them.
pub fn lengths_known(m: &Match, c: &ProfileClass) -> bool {
    let single = c.pps <= 1.5 * c.fps || (c.proto != 6 && c.ip_len.lo == c.ip_len.hi);
    single && m.tcp_flags.is_none_or(|t| c.tcp_flags & t.mask == t.value)
}

/// [`taken`] for normal traffic: where lengths are not known, all of it is taken to be lost.
fn normally_taken(m: &Match, c: &ProfileClass) -> (f64, f64) {
    if m.lengths.is_empty() || lengths_known(m, c) {
        return taken(m, c);
    }
    taken(&Match { lengths: Vec::new(), ..m.clone() }, c)
}

/// A class holds the union of the flags of its flows. A SYN without ACK stands once at the start of each connection, so
/// a rule on it takes one packet of each and with it the connection.
fn flag_share(t: TcpFlags, c: &ProfileClass) -> (f64, f64) {
    if c.tcp_flags & t.mask == t.value {
        return (1.0, 1.0);
    }
    let first_packet = t.mask & (SYN | ACK) == SYN | ACK && t.value & (SYN | ACK) == SYN;
    if first_packet && c.tcp_flags & (SYN | ACK) == SYN | ACK {
        return ((c.fps / c.pps.max(1e-9)).min(1.0), 1.0);
    }
    (0.0, 0.0)
}

/// The share of mean lengths `class` that lies in the ranges, as if spread evenly.
fn length_share(list: &[PortRange], class: PortRange) -> f64 {
    if list.is_empty() {
        return 1.0;
    }
    let width = f64::from(class.hi.saturating_sub(class.lo)) + 1.0;
    let inside: f64 = list
        .iter()
        .map(|r| f64::from(r.hi.min(class.hi)) - f64::from(r.lo.max(class.lo)) + 1.0)
        .filter(|n| *n > 0.0)
        .sum();
    (inside / width).min(1.0)
}
