//! Remotely triggered black holes as text: one route with the BLACKHOLE community (RFC 7999 §5) a line.
//!
//! `route 192.0.2.7/32 community 65535:666`. A route knows only its destination, so everything else is refused.

use super::scan::{Words, error};
use super::{Dialect, Listing, ParseError, Written};
use crate::compile::{CompileError, Options, least_lines};
use crate::cover::{Line, Shape};
use crate::range::Family;
use ipnet::IpNet;
use std::fmt::Write as _;
use suimon_base::{Action, Match, Rule, RuleSet};

/// The BLACKHOLE community.
pub const BLACKHOLE: &str = "65535:666";
/// Most routes of a text.
pub const MAX_ROUTES: usize = 4_000_001;
const SHAPE: Shape = Shape { port_ranges: false, flag_bits: 0, lengths: false, port_protos: &[] };

pub fn write(rules: &RuleSet, options: &Options) -> Result<Written, CompileError> {
    let refuse = |rule: usize, reason: &str| {
        Err(CompileError::Unsupported { dialect: Dialect::Rtbh, rule, reason: reason.into() })
    };
    for (rule, r) in rules.rules.iter().enumerate() {
        if let Some(reason) = refused(r) {
            return refuse(rule, reason);
        }
    }
    let mut out = Written { text: String::new(), undo: String::new(), lines: 0, least: true, warnings: Vec::new() };
    let _ = writeln!(out.text, "# {}", options.full_name());
    for r in options.remarks() {
        let _ = writeln!(out.text, "# {r}");
    }
    let mut wide = None;
    for family in Family::BOTH {
        let (lines, least) = least_lines(rules, family, Dialect::Rtbh, SHAPE)?;
        out.least &= least;
        for l in &lines {
            if !destination_only(l) {
                return refuse(l.order, "an exception leaves more than destinations, and a route knows nothing else");
            }
            let _ = writeln!(out.text, "route {} community {BLACKHOLE}", l.dst);
            let _ = writeln!(out.undo, "withdraw route {}", l.dst);
            out.lines += 1;
            wide = wide.or((l.dst.prefix_len() < l.dst.max_prefix_len()).then_some(l.dst));
        }
        if let Some(first) = lines.first() {
            let afi = if family == Family::V4 { "ipv4" } else { "ipv6" };
            out.warnings.push(format!(
                "before announcing, read back whether the prefix is announced already and by whom: `show bgp {afi} unicast \
                 {}` on the route server or router that announces it, for every line",
                first.dst
            ));
        }
    }
    if out.lines == 0 {
        return Err(CompileError::Nothing);
    }
    out.warnings.push(
        "every packet to these destinations is dropped wherever the route goes: they become unreachable, and for them the \
         attack has succeeded"
            .into(),
    );
    if let Some(wide) = wide {
        out.warnings.push(format!(
            "{wide} is longer than one address: many networks take black holes only as /32 and /128 (RFC 7999 §3.3)"
        ));
    }
    Ok(out)
}

fn destination_only(l: &Line) -> bool {
    l.proto.is_none()
        && l.sport.is_none()
        && l.dport.is_none()
        && !l.later
        && l.flags.is_none()
        && l.length.is_none()
        && l.src.prefix_len() == 0
}

/// Why a route cannot say this, if it cannot.
fn refused(rule: &Rule) -> Option<&'static str> {
    let m = &rule.matches;
    match rule.action {
        Action::LimitPps(_) | Action::LimitBps(_) => return Some("a black hole drops everything; it has no rate"),
        Action::Permit => return None,
        Action::Discard => {}
    }
    if !m.src_ports.is_empty() || !m.dst_ports.is_empty() {
        return Some("a route knows no ports; a black hole would drop every packet to the destination. Flowspec can");
    }
    if m.proto.is_some() || m.tcp_flags.is_some() {
        return Some(
            "a route knows no protocol; a black hole would drop every packet to the destination. Flowspec can",
        );
    }
    if m.fragment.is_some() || !m.lengths.is_empty() {
        return Some(
            "a route knows neither fragments nor lengths; a black hole would drop every packet to the destination",
        );
    }
    if !m.src.is_empty() {
        return Some("a route knows no sources; a black hole would drop every packet to the destination. Flowspec can");
    }
    None
}

/// Reads routes; each must carry the community.
pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let mut out = Listing::default();
    for (i, line) in text.lines().enumerate() {
        let mut w = Words::new(i + 1, line)?;
        let Some(first) = w.next() else { continue };
        if first.text.starts_with('#') {
            continue;
        }
        if first.text != "route" {
            return Err(w.unknown(first, "route PREFIX community 65535:666"));
        }
        let word = w.need("a prefix such as 192.0.2.7/32")?;
        let net: IpNet = word.text.parse().map_err(|_| w.unknown(word, "a prefix such as 192.0.2.7/32"))?;
        if net.trunc() != net {
            return Err(w.error(word, "bits behind the prefix length are set", &net.trunc().to_string()));
        }
        let word = w.need("community")?;
        if word.text != "community" {
            return Err(w.unknown(word, "community"));
        }
        let mut black = false;
        let mut count = 0;
        while let Some(word) = w.next() {
            let good = matches!(word.text, "blackhole" | "no-export" | "no-advertise") || community(word.text);
            if !good {
                return Err(w.unknown(word, "a community such as 65535:666"));
            }
            black |= word.text == BLACKHOLE || word.text == "blackhole";
            count += 1;
        }
        if !black {
            let message =
                if count == 0 { "the line ends here" } else { "without BLACKHOLE the route attracts traffic" };
            return Err(w.error(word, message, BLACKHOLE));
        }
        out.rules.rules.push(Rule { matches: Match { dst: vec![net], ..Match::default() }, action: Action::Discard });
        out.lines.push(i + 1);
        if out.lines.len() > MAX_ROUTES {
            return Err(error(i + 1, 1, "too many routes", &format!("at most {MAX_ROUTES}")));
        }
    }
    if out.lines.is_empty() {
        let expected = "route PREFIX community 65535:666";
        return Err(error(text.lines().count().max(1), 1, "there is no route", expected));
    }
    Ok(out)
}

fn community(word: &str) -> bool {
    word.split_once(':')
        .is_some_and(|(a, b)| super::names::decimal::<u16>(a).is_some() && super::names::decimal::<u16>(b).is_some())
}
