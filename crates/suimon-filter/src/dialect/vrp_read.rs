//! Reading Huawei VRP advanced ACLs, IPv4 and IPv6, with the traffic policy beside them.
//!
//! What no rule of an ACL names passes. In a traffic policy a rule that denies drops, so the ACL of a class may only permit.

use super::acl::policies::Texts;
use super::acl::wildcard;
use super::names::{decimal, ios_port_of};
use super::scan::{Word, Words, error};
use super::vrp::PROTOS;
use super::{Listing, ParseError};
use crate::range::{Family, RangeSet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use suimon_base::rule::FragmentMatch;
use suimon_base::{Action, Match, PortRange, Rule};

/// Most rules of a text.
pub const MAX_RULES: usize = 4_000_001;
/// Bits of the unit in which `car` counts.
const KBIT: u64 = 1_000;

#[derive(Clone)]
enum Mode {
    Outside,
    Acl(usize),
    Classifier(usize),
    Behavior(String),
    Policy,
}

struct Reader {
    texts: Texts,
    mode: Mode,
    behaviors: HashMap<String, Action>,
    /// Classifier, behavior, line and column of each.
    bound: Vec<(String, String, (usize, usize))>,
    rules: usize,
}

pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let mut r = Reader {
        texts: Texts::new(false),
        mode: Mode::Outside,
        behaviors: HashMap::new(),
        bound: Vec::new(),
        rules: 0,
    };
    for (i, line) in text.lines().enumerate() {
        r.line(i + 1, line)?;
        if r.rules > MAX_RULES {
            return Err(error(i + 1, 1, "too many rules", &format!("at most {MAX_RULES}")));
        }
    }
    if r.texts.lists.is_empty() {
        return Err(error(text.lines().count().max(1), 1, "there is no ACL", "acl name NAME advance"));
    }
    for (class, behavior, place) in r.bound {
        let Some(action) = r.behaviors.get(&behavior) else {
            return Err(error(
                place.0,
                place.1,
                "the behavior has no rate",
                "car under a traffic behavior of this name",
            ));
        };
        r.texts.police(&class, Some(*action), place);
    }
    r.texts.assemble(false)
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), ParseError> {
        let mut w = Words::new(number, line)?;
        let Some(first) = w.next() else { return Ok(()) };
        if first.text.starts_with('#') {
            return Ok(());
        }
        let mode = self.mode.clone();
        match (first.text, mode) {
            ("quit" | "return" | "commit" | "system-view" | "description" | "step", _) => Ok(()),
            ("acl", _) => self.acl(&mut w),
            ("traffic", _) => self.traffic(&mut w),
            ("rule", Mode::Acl(at)) => self.rule(&mut w, at),
            ("if-match", Mode::Classifier(at)) => self.if_match(&mut w, at),
            ("car", Mode::Behavior(name)) => {
                let action = car(&mut w)?;
                match self.behaviors.insert(name, action) {
                    Some(_) => Err(w.error(first, "a second rate in the same behavior", "one car command")),
                    None => Ok(()),
                }
            }
            ("classifier", Mode::Policy) => {
                let class = w.need("the name of a classifier")?;
                let word = w.need("behavior")?;
                if word.text != "behavior" {
                    return Err(w.unknown(word, "behavior"));
                }
                let behavior = w.need("the name of a behavior")?;
                self.bound.push((class.text.into(), behavior.text.into(), (number, class.column)));
                w.done("the end of the line")
            }
            _ => {
                Err(w.unknown(first, "acl, rule, traffic classifier, traffic behavior, traffic policy or their lines"))
            }
        }
    }

    fn acl(&mut self, w: &mut Words<'_>) -> Result<(), ParseError> {
        let family = if w.take("ipv6") { Family::V6 } else { Family::V4 };
        let named = w.take("name");
        if !named {
            w.take("number");
        }
        let name = w.need("name NAME advance, or a number from 3000 to 3999")?;
        let advanced = |x: &str| x.parse::<u16>().is_ok_and(|n| (3000..=3999).contains(&n));
        if !named && !advanced(name.text) {
            return Err(w.unknown(name, "a number from 3000 to 3999 (a basic ACL cannot name destinations or ports)"));
        }
        while let Some(word) = w.next() {
            match word.text {
                "advance" => {}
                "number" => {}
                "match-order" => {
                    let order = w.need("config")?;
                    if order.text != "config" {
                        return Err(w.error(order, "the order would not be that of the rule numbers", "config"));
                    }
                }
                text if advanced(text) => {}
                _ => return Err(w.unknown(word, "advance, a number from 3000 to 3999, or match-order config")),
            }
        }
        let at = self.texts.list(family, name, w.number())?;
        self.mode = Mode::Acl(at);
        Ok(())
    }

    fn traffic(&mut self, w: &mut Words<'_>) -> Result<(), ParseError> {
        let kind = w.need("classifier, behavior or policy")?;
        let name = w.need("a name")?;
        match kind.text {
            "classifier" => {
                let all = match w.take("operator") {
                    true => !w.take("or") && (w.take("and") || w.peek().is_some()),
                    false => true,
                };
                self.mode = Mode::Classifier(self.texts.class(name, all, w.number())?);
            }
            "behavior" => self.mode = Mode::Behavior(name.text.into()),
            "policy" => {
                self.texts.open_policy(w, name)?;
                self.mode = Mode::Policy;
                if w.take("match-order") {
                    w.take("config");
                }
            }
            _ => return Err(w.unknown(kind, "classifier, behavior or policy")),
        }
        w.done("the end of the line")
    }

    fn if_match(&mut self, w: &mut Words<'_>, at: usize) -> Result<(), ParseError> {
        let family = if w.take("ipv6") { Family::V6 } else { Family::V4 };
        let expected = "acl name NAME or ipv6 acl name NAME";
        let word = w.need(expected)?;
        if word.text != "acl" {
            return Err(w.unknown(word, expected));
        }
        w.take("name");
        let name = w.need("the name or number of an ACL")?;
        self.texts.refer(at, vec![family], name, w.number())?;
        w.done("the end of the line")
    }

    fn rule(&mut self, w: &mut Words<'_>, at: usize) -> Result<(), ParseError> {
        let family = self.texts.lists[at].family;
        let mut number = None;
        if let Some(word) = w.peek().filter(|x| x.text.bytes().all(|b| b.is_ascii_digit())) {
            w.next();
            number = Some(decimal::<u32>(word.text).ok_or_else(|| w.unknown(word, "a rule number below 2^32"))?);
        }
        if w.take("description") {
            return Ok(());
        }
        if w.take("name") {
            w.need("the name of the rule")?;
        }
        let expected = "permit, deny or description";
        let word = w.need(expected)?;
        let action = match word.text {
            "permit" => Action::Permit,
            "deny" => Action::Discard,
            _ => return Err(w.unknown(word, expected)),
        };
        let mut m = conditions(w, family)?;
        if m.src.is_empty() && m.dst.is_empty() {
            m.dst = vec![family.net(0, 0)];
        }
        let line = w.number();
        self.texts.lists[at].push(Rule { matches: m, action }, line, number.map(u64::from));
        self.rules += 1;
        Ok(())
    }
}

fn conditions(w: &mut Words<'_>, family: Family) -> Result<Match, ParseError> {
    let any = if family == Family::V4 { "ip" } else { "ipv6" };
    let expected = format!("a protocol: {any}, tcp, udp, icmp, gre, a number from 0 to 255");
    let named = w.need(&expected)?;
    let mut m = Match::default();
    if named.text != any {
        let more = match named.text {
            "ipinip" => Some(4),
            "gre" => Some(47),
            "ospf" => Some(89),
            _ => None,
        };
        let known = PROTOS[family as usize].iter().find(|p| p.0 == named.text).map(|p| p.1);
        m.proto = Some(known.or(more).or_else(|| decimal(named.text)).ok_or_else(|| w.unknown(named, &expected))?);
    }
    let mut seen: Vec<&str> = Vec::new();
    while let Some(word) = w.next() {
        if seen.contains(&word.text) {
            return Err(w.error(word, "the same condition twice", "each condition once"));
        }
        seen.push(word.text);
        match word.text {
            "source" => m.src = address(w, family)?,
            "destination" => m.dst = address(w, family)?,
            "source-port" => m.src_ports = ports(w, m.proto, word, named)?,
            "destination-port" => m.dst_ports = ports(w, m.proto, word, named)?,
            "none-first-fragment" if family == Family::V4 => m.fragment = Some(FragmentMatch::Later),
            "fragment-type" if family == Family::V4 => {
                let kind = w.need("fragment-subseq")?;
                if kind.text != "fragment-subseq" {
                    return Err(w.error(kind, "only non-first fragments can be told apart here", "fragment-subseq"));
                }
                m.fragment = Some(FragmentMatch::Later);
            }
            "logging" => {}
            "fragment" | "tcp-flag" => {
                let message = format!("what {} takes differs between VRP releases", word.text);
                return Err(w.error(word, &message, "fragment-type fragment-subseq, or no such condition"));
            }
            _ => {
                let words = "source, destination, source-port, destination-port, fragment-type, logging, or the end";
                return Err(w.unknown(word, words));
            }
        }
    }
    if m.fragment.is_some() && !(m.src_ports.is_empty() && m.dst_ports.is_empty()) {
        return Err(w.error(named, "non-first fragments carry no ports", "fragments without ports"));
    }
    Ok(m)
}

fn address(w: &mut Words<'_>, family: Family) -> Result<Vec<IpNet>, ParseError> {
    let expected =
        if family == Family::V4 { "any, or ADDRESS WILDCARD" } else { "any, PREFIX LENGTH or PREFIX/LENGTH" };
    let word = w.need(expected)?;
    if word.text == "any" {
        return Ok(Vec::new());
    }
    if family == Family::V6 {
        if word.text.contains('/') {
            let net: Ipv6Net = word.text.parse().map_err(|_| w.unknown(word, expected))?;
            return Ok(vec![IpNet::V6(net.trunc())]);
        }
        let addr: Ipv6Addr = word.text.parse().map_err(|_| w.unknown(word, expected))?;
        let len = w.need("a prefix length")?;
        let bits = decimal::<u8>(len.text).and_then(|n| Ipv6Net::new(addr, n).ok());
        let net = bits.ok_or_else(|| w.unknown(len, "a prefix length from 0 to 128"))?;
        return Ok(vec![IpNet::V6(net.trunc())]);
    }
    let addr: Ipv4Addr = word.text.parse().map_err(|_| w.unknown(word, expected))?;
    let mask = w.need("a wildcard mask, or 0 for one address")?;
    if mask.text == "0" {
        return Ok(vec![IpNet::V4(Ipv4Net::from(addr))]);
    }
    let wild: Ipv4Addr = mask.text.parse().map_err(|_| w.unknown(mask, "a wildcard mask such as 0.0.0.255, or 0"))?;
    wildcard(addr.to_bits(), wild.to_bits())
        .ok_or_else(|| w.error(mask, "the wildcard stands for too many prefixes", "a wildcard with fewer one bits"))
}

fn ports(w: &mut Words<'_>, proto: Option<u8>, at: Word<'_>, named: Word<'_>) -> Result<Vec<PortRange>, ParseError> {
    let Some(proto) = proto.filter(|p| matches!(p, 6 | 17)) else {
        let message = format!("{} needs tcp or udp, but the protocol is {}", at.text, super::scan::clip(named.text));
        return Err(w.error(at, &message, "tcp or udp as the protocol, or no port"));
    };
    let expected = "eq, neq, gt, lt or range and a port";
    let op = w.need(expected)?;
    let mut one = || {
        let word = w.need("a port")?;
        let port = ios_port_of(word.text, proto);
        port.map(|p| (p, word)).ok_or_else(|| w.unknown(word, "a port from 0 to 65535 or its name"))
    };
    let (p, word) = one()?;
    let range = |lo: Option<u16>, hi: Option<u16>| lo.zip(hi).map(|(lo, hi)| vec![PortRange { lo, hi }]);
    let list = match op.text {
        "eq" => range(Some(p), Some(p)),
        "gt" => range(p.checked_add(1), Some(u16::MAX)),
        "lt" => range(Some(0), p.checked_sub(1)),
        "range" => {
            let (q, _) = one()?;
            if q < p { None } else { range(Some(p), Some(q)) }
        }
        "neq" => {
            let set = RangeSet::one(0, 65_535).subtract(&RangeSet::one(p.into(), p.into()));
            Some(set.ranges().iter().map(|r| PortRange { lo: r.0 as u16, hi: r.1 as u16 }).collect())
        }
        _ => return Err(w.unknown(op, expected)),
    };
    list.ok_or_else(|| w.error(word, "this takes no port at all", "a condition that some port fulfils"))
}

fn car(w: &mut Words<'_>) -> Result<Action, ParseError> {
    let expected = "cir RATE [cbs N] [green pass] [red discard] [limit-type pps]";
    let word = w.need(expected)?;
    if word.text != "cir" {
        return Err(w.unknown(word, expected));
    }
    let value = w.need("a rate in kbit/s")?;
    let rate: u64 = decimal(value.text).ok_or_else(|| w.unknown(value, "a rate as a number"))?;
    let mut packets = false;
    while let Some(word) = w.next() {
        let wanted = match word.text {
            "cbs" | "pbs" => {
                let n = w.need("a burst in octets")?;
                let _: u64 = decimal(n.text).ok_or_else(|| w.unknown(n, "a burst as a number"))?;
                continue;
            }
            "green" => "pass",
            "red" | "yellow" => "discard",
            "limit-type" => "pps",
            _ => return Err(w.unknown(word, expected)),
        };
        let value = w.need(wanted)?;
        if value.text != wanted {
            return Err(w.error(value, "another action than a limit's", wanted));
        }
        packets |= wanted == "pps";
    }
    match (packets, rate.checked_mul(KBIT)) {
        (true, _) => Ok(Action::LimitPps(rate)),
        (false, Some(bits)) => Ok(Action::LimitBps(bits)),
        (false, None) => Err(w.error(value, "the rate is too large", "a rate that fits 64 bits")),
    }
}
