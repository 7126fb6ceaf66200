//! Packets that somebody asks about, and what rules do to them (catalogue row 148: "is it you who drops this?").
//!
//! A question names addresses and protocol; ports may be left open. What a rule asks beyond that is never assumed: it
//! becomes a condition of the answer.

use crate::rule::{Action, Match, RuleSet};
use serde::Serialize;
use std::net::IpAddr;

/// Most conditions and rules that an answer lists.
pub const MAX_STEPS: usize = 32;
/// Protocols that carry ports: TCP, UDP, SCTP, UDP-Lite.
const PORT_PROTOS: [u8; 4] = [6, 17, 132, 136];

/// The packets: whole ones and first fragments, of any length and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PacketQuery {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol.
    pub proto: u8,
    /// Source port; `None` is any.
    pub src_port: Option<u16>,
    /// Destination port; `None` is any.
    pub dst_port: Option<u16>,
}

/// How much of the packets a match takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None of them.
    None,
    /// All of them.
    All,
    /// Those that also fulfil these conditions.
    If(Vec<String>),
}

/// A rule that takes some or all of the packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its index.
    pub rule: usize,
    /// What it does.
    pub action: Action,
    /// What it asks besides; empty where it takes all that is left.
    pub conditions: Vec<String>,
}

/// What rules do to the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// They pass.
    Passes,
    /// Some of them are limited.
    LimitsSome,
    /// All of them are limited.
    Limits,
    /// Some of them are dropped.
    DropsSome,
    /// All of them are dropped.
    Drops,
}

impl PacketQuery {
    /// How much a match takes.
    pub fn takes(&self, m: &Match) -> Takes {
        let has = |list: &[ipnet::IpNet], a: IpAddr| list.is_empty() || list.iter().any(|n| n.contains(&a));
        if m.proto.is_some_and(|p| p != self.proto) || !has(&m.src, self.src) || !has(&m.dst, self.dst) {
            return Takes::None;
        }
        let mut conditions = Vec::new();
        for (name, ports, said) in
            [("source port", &m.src_ports, self.src_port), ("destination port", &m.dst_ports, self.dst_port)]
        {
            match said {
                _ if ports.is_empty() => {}
                _ if !PORT_PROTOS.contains(&self.proto) => return Takes::None,
                Some(port) if ports.iter().any(|r| r.contains(port)) => {}
                Some(_) => return Takes::None,
                None => conditions.push(format!("{name} {}", list(ports))),
            }
        }
        if let Some(t) = m.tcp_flags {
            if self.proto != 6 {
                return Takes::None;
            }
            conditions.push(format!("TCP flags {:#04x} of {:#04x}", t.value, t.mask));
        }
        if m.fragment.is_some() {
            conditions.push("later fragments".to_owned());
        }
        if !m.lengths.is_empty() {
            conditions.push(format!("length {}", list(&m.lengths)));
        }
        if conditions.is_empty() { Takes::All } else { Takes::If(conditions) }
    }

    /// The rules that decide, in order, up to the first that takes all that is left; at most [`MAX_STEPS`].
    pub fn steps(&self, rules: &RuleSet) -> Vec<Step> {
        let mut out = Vec::new();
        for (rule, r) in rules.rules.iter().enumerate() {
            let conditions = match self.takes(&r.matches) {
                Takes::None => continue,
                Takes::All => Vec::new(),
                Takes::If(conditions) => conditions,
            };
            let last = conditions.is_empty();
            out.push(Step { rule, action: r.action, conditions });
            if last || out.len() >= MAX_STEPS {
                break;
            }
        }
        out
    }
}

/// What becomes of the packets after these steps; what no rule takes passes.
pub fn fate(steps: &[Step]) -> Fate {
    let limit = |a: Action| matches!(a, Action::LimitBps(_) | Action::LimitPps(_));
    let whole =
        steps.iter().all(|s| s.action == Action::Discard) && steps.last().is_some_and(|s| s.conditions.is_empty());
    let dropped = steps.iter().any(|s| s.action == Action::Discard);
    let limited = steps.iter().any(|s| limit(s.action));
    match steps {
        [only] if limit(only.action) && only.conditions.is_empty() => Fate::Limits,
        _ if whole => Fate::Drops,
        _ if dropped => Fate::DropsSome,
        _ if limited => Fate::LimitsSome,
        _ => Fate::Passes,
    }
}

fn list(ranges: &[crate::rule::PortRange]) -> String {
    let shown: Vec<String> = ranges.iter().take(8).map(ToString::to_string).collect();
    let more = if ranges.len() > 8 { ",…" } else { "" };
    format!("{}{more}", shown.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{PortRange, Rule};

    fn rules(json: &str) -> RuleSet {
        serde_json::from_str(&format!("{{\"rules\":{json}}}")).unwrap()
    }

    fn asks(proto: u8, src_port: Option<u16>, dst_port: Option<u16>) -> PacketQuery {
        let (src, dst) = ("198.51.100.1".parse().unwrap(), "192.0.2.9".parse().unwrap());
        PacketQuery { src, dst, proto, src_port, dst_port }
    }

    #[test]
    fn what_is_not_said_becomes_a_condition() {
        let dns = rules(
            r#"[{"matches":{"dst":["192.0.2.9/32"],"proto":17,"src-ports":[{"lo":53,"hi":53}]},"action":"discard"}]"#,
        );
        let fate_of = |q: PacketQuery| fate(&q.steps(&dns));
        assert_eq!(fate_of(asks(17, Some(53), None)), Fate::Drops);
        assert_eq!(fate_of(asks(17, Some(54), None)), Fate::Passes);
        assert_eq!(fate_of(asks(6, Some(53), None)), Fate::Passes);
        let open = asks(17, None, Some(4000)).steps(&dns);
        assert_eq!(
            (fate(&open), open[0].conditions.as_slice()),
            (Fate::DropsSome, ["source port 53".to_owned()].as_slice())
        );
        assert_eq!(
            fate(&PacketQuery { dst: "192.0.2.8".parse().unwrap(), ..asks(17, None, None) }.steps(&dns)),
            Fate::Passes
        );
    }

    #[test]
    fn an_exception_before_a_drop_leaves_a_part() {
        let set = rules(
            r#"[{"matches":{"proto":6,"dst-ports":[{"lo":80,"hi":80}]},"action":"permit"},{"matches":{"dst":["192.0.2.0/24"]},"action":"discard"}]"#,
        );
        assert_eq!(fate(&asks(6, None, Some(80)).steps(&set)), Fate::Passes);
        assert_eq!(fate(&asks(6, None, Some(81)).steps(&set)), Fate::Drops);
        assert_eq!(fate(&asks(6, None, None).steps(&set)), Fate::DropsSome);
        assert_eq!(fate(&asks(1, None, None).steps(&set)), Fate::Drops, "ports do not exist in ICMP");
    }

    #[test]
    fn limits_are_no_drops() {
        let set = rules(r#"[{"matches":{"proto":17},"action":{"limit-pps":5}}]"#);
        assert_eq!(fate(&asks(17, None, None).steps(&set)), Fate::Limits);
        let flags = rules(r#"[{"matches":{"proto":6,"tcp-flags":{"mask":18,"value":2}},"action":{"limit-pps":5}}]"#);
        assert_eq!(fate(&asks(6, None, None).steps(&flags)), Fate::LimitsSome);
    }

    /// Where the question says everything that the rules ask, the answer is the deciding rule's.
    #[test]
    fn it_agrees_with_the_packet_by_packet_decision() {
        use crate::{PacketHeader, flow::Fragment};
        let ports = |n: u16| vec![PortRange { lo: n, hi: n + 2 }];
        let mut all = Vec::new();
        for proto in [None, Some(6), Some(17)] {
            for (s, d) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                if proto.is_none() && s + d > 0 {
                    continue;
                }
                let m = Match {
                    proto,
                    src_ports: if s > 0 { ports(3) } else { vec![] },
                    dst_ports: if d > 0 { ports(4) } else { vec![] },
                    ..Match::default()
                };
                all.push(Rule { matches: m.clone(), action: Action::Discard });
                all.push(Rule { matches: m, action: Action::Permit });
            }
        }
        let mut compared = 0;
        for a in &all {
            for b in &all {
                let set = RuleSet { rules: vec![a.clone(), b.clone()] };
                for proto in [1, 6, 17] {
                    for (s, d) in [(2, 4), (3, 6), (5, 7), (4, 5)] {
                        let q = asks(proto, Some(s), Some(d));
                        let ports = (proto != 1).then_some((s, d));
                        let header = PacketHeader {
                            src: q.src,
                            dst: q.dst,
                            proto,
                            ports,
                            tcp_flags: 0,
                            icmp: 0,
                            fragment: Fragment::Whole,
                            ip_len: 100,
                            tos: 0,
                            ttl: 0,
                        };
                        let dropped = set.decide(&header).is_some_and(|(_, a)| a == Action::Discard);
                        let expected = if dropped { Fate::Drops } else { Fate::Passes };
                        assert_eq!(fate(&q.steps(&set)), expected, "{set:?} {q:?}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 2_000, "{compared}");
    }
}
