//! Reading Flowspec text.

use super::names::{decimal, flag_of};
use super::scan::{Word, Words, error};
use super::{Listing, ParseError};
use crate::boxes;
use crate::range::Family;
use ipnet::IpNet;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule};

/// Most rules.
pub const MAX_RULES: usize = 4_000_001;

const COMPONENTS: &str =
    "destination, source, protocol, destination-port, source-port, tcp-flags, packet-length, fragment or then";

pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let mut out = Listing::default();
    let mut last = 1;
    for (i, line) in text.lines().enumerate() {
        let number = i + 1;
        let mut w = Words::new(number, line)?;
        match w.peek() {
            None => continue,
            Some(first) if first.text.starts_with('#') => continue,
            _ => {}
        }
        let start = w.need("match")?;
        if start.text != "match" {
            return Err(w.unknown(start, "match"));
        }
        let (protos, m) = components(&mut w)?;
        let action = action(&mut w)?;
        if let Some(extra) = w.next() {
            return Err(w.unknown(extra, "the end of the line"));
        }
        for proto in protos {
            let matches = Match { proto, ..m.clone() };
            if let Some(reason) = boxes::invalid(&matches) {
                return Err(w.error(start, &reason, "components that can be true together"));
            }
            out.rules.rules.push(Rule { matches, action });
            out.lines.push(number);
        }
        if out.lines.len() > MAX_RULES {
            return Err(error(number, 1, "too many rules", &format!("at most {MAX_RULES}")));
        }
        last = number;
    }
    if out.lines.is_empty() {
        return Err(error(last, 1, "there is no rule", "match COMPONENTS then discard"));
    }
    mixed(&out)?;
    Ok(out)
}

/// RFC 8955 §5.1 orders rules by what they match, not by their place: where actions differ, rules must not overlap.
fn mixed(list: &Listing) -> Result<(), ParseError> {
    let first = list.rules.rules.first().map(|r| r.action);
    if list.rules.rules.iter().all(|r| Some(r.action) == first && r.action == Action::Discard) {
        return Ok(());
    }
    for family in Family::BOTH {
        let all: Vec<_> = list.rules.rules.iter().map(|r| (r.action, boxes::of_match(&r.matches, family))).collect();
        for (i, (action, a)) in all.iter().enumerate() {
            let Some(a) = a else { continue };
            if *action == Action::Discard {
                continue;
            }
            let clash = all.iter().enumerate().position(|(j, (_, b))| {
                j != i && list.lines[j] != list.lines[i] && b.as_ref().is_some_and(|b| boxes::overlap(a, b))
            });
            if let Some(j) = clash {
                let message = format!("this rule and that of line {} overlap with different actions", list.lines[j]);
                return Err(error(
                    list.lines[i],
                    1,
                    &message,
                    "rules that do not overlap (RFC 8955 section 5.1 would order them)",
                ));
            }
        }
    }
    Ok(())
}

fn components(w: &mut Words<'_>) -> Result<(Vec<Option<u8>>, Match), ParseError> {
    let mut m = Match::default();
    let mut protos = vec![None];
    let mut seen: Vec<String> = Vec::new();
    loop {
        let word = w.need(COMPONENTS)?;
        if seen.iter().any(|s| s == word.text) {
            return Err(w.error(word, "a component twice", "each component once (RFC 8955 section 4.2)"));
        }
        seen.push(word.text.to_owned());
        match word.text {
            "then" if seen.len() > 1 => return Ok((protos, m)),
            "destination" => m.dst = vec![prefix(w)?],
            "source" => m.src = vec![prefix(w)?],
            "protocol" => {
                let at = w.need("=17, or a list such as =6|=17")?;
                protos =
                    numeric(w, at, 255)?.iter().flat_map(|r| r.lo..=r.hi).map(|p| Some(p.to_le_bytes()[0])).collect();
            }
            "destination-port" => m.dst_ports = numbers(w)?,
            "source-port" => m.src_ports = numbers(w)?,
            "packet-length" => m.lengths = numbers(w)?,
            "fragment" => {
                let value = w.need("is-fragment")?;
                if value.text != "is-fragment" {
                    return Err(w.unknown(value, "is-fragment"));
                }
                m.fragment = Some(FragmentMatch::Later);
            }
            "tcp-flags" => m.tcp_flags = Some(flags(w)?),
            _ => return Err(w.unknown(word, COMPONENTS)),
        }
    }
}

fn prefix(w: &mut Words<'_>) -> Result<IpNet, ParseError> {
    let word = w.need("a prefix such as 192.0.2.1/32")?;
    let net: IpNet = word.text.parse().map_err(|_| w.unknown(word, "a prefix such as 192.0.2.1/32"))?;
    if net.trunc() == net { Ok(net) } else { Err(w.error(word, "host bits are set", &net.trunc().to_string())) }
}

fn numbers(w: &mut Words<'_>) -> Result<Vec<PortRange>, ParseError> {
    let at = w.need("=53, >=1000&<=2000, or a list with |")?;
    numeric(w, at, u16::MAX)
}

/// `=N`, `>=N`, `<=N`, `>=N&<=M`, joined by `|`.
fn numeric(w: &Words<'_>, at: Word<'_>, max: u16) -> Result<Vec<PortRange>, ParseError> {
    let bad = || w.unknown(at, &format!("=N, >=N&<=M or a list with |, N from 0 to {max}"));
    let mut out = Vec::new();
    for part in at.text.split('|') {
        let mut r = PortRange { lo: 0, hi: max };
        for term in part.split('&') {
            let number = |s: &str| decimal::<u16>(s).filter(|&n| n <= max);
            if let Some(n) = term.strip_prefix(">=").and_then(number) {
                r.lo = r.lo.max(n);
            } else if let Some(n) = term.strip_prefix("<=").and_then(number) {
                r.hi = r.hi.min(n);
            } else if let Some(n) = term.strip_prefix('=').and_then(number) {
                r = PortRange { lo: r.lo.max(n), hi: r.hi.min(n) };
            } else {
                return Err(bad());
            }
        }
        if r.lo > r.hi {
            return Err(w.error(at, "no number fulfils this", "the lower bound first"));
        }
        out.push(r);
    }
    Ok(out)
}

/// `=syn+fin&!ack`: all of the first set, none of the second.
fn flags(w: &mut Words<'_>) -> Result<TcpFlags, ParseError> {
    let expected = "=syn&!ack";
    let at = w.need(expected)?;
    let mut t = TcpFlags { mask: 0, value: 0 };
    for part in at.text.split('&') {
        let (names, set) = match (part.strip_prefix('='), part.strip_prefix('!')) {
            (Some(n), _) => (n, true),
            (_, Some(n)) => (n, false),
            _ => return Err(w.unknown(at, expected)),
        };
        for name in names.split('+') {
            let bit = flag_of(name).filter(|b| t.mask & b == 0).ok_or_else(|| w.unknown(at, expected))?;
            t = TcpFlags { mask: t.mask | bit, value: if set { t.value | bit } else { t.value } };
        }
    }
    Ok(t)
}

fn action(w: &mut Words<'_>) -> Result<Action, ParseError> {
    let expected = "discard, accept, rate-bytes N or rate-packets N";
    let word = w.need(expected)?;
    let mut rate = |what: &str| -> Result<u64, ParseError> {
        let n = w.need(what)?;
        decimal(n.text).filter(|&x: &u64| x <= u64::MAX / 8).ok_or_else(|| w.unknown(n, what))
    };
    Ok(match word.text {
        "discard" => Action::Discard,
        "accept" => Action::Permit,
        "rate-bytes" => Action::LimitBps(rate("octets a second")? * 8),
        "rate-packets" => Action::LimitPps(rate("packets a second")?),
        _ => return Err(w.unknown(word, expected)),
    })
}
