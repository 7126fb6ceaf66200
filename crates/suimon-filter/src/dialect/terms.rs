//! Entries for dialects whose one entry takes lists of prefixes: Junos terms, SR OS entries, RouterOS rules.
//!
//! What is discarded comes from the least cover; lines that differ only in one address are then written as one entry
//! with a list. Their product is exactly the lines, so nothing is gained or lost.

use super::compact::Drops;
use super::nft::join;
use super::{Dialect, Written};
use crate::boxes::{DPORT, DST, FLAGS, FRAG, HeaderBox, LEN, PROTO, SPORT, SRC, all, flag_test};
use crate::compile::{CompileError, Options, least_lines, parts};
use crate::cover::{Line, Shape};
use crate::range::Family;
use ipnet::IpNet;
use std::collections::BTreeMap;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};

/// One entry; its match names only addresses of one family, and at most one range of ports where it discards.
pub struct Entry {
    /// Index of the first rule of the request that it serves.
    pub rule: usize,
    /// An empty list is "any".
    pub matches: Match,
    /// Several protocols, where the match names none.
    pub protos: Vec<u8>,
    /// Discard or a limit; in profile `compact` also a permit before the discards.
    pub action: Action,
}

impl Entry {
    /// The protocols; none is every one.
    pub fn all_protos(&self) -> Vec<u8> {
        if self.protos.is_empty() { self.matches.proto.into_iter().collect() } else { self.protos.clone() }
    }
}

/// The entries of each family, discards before limits, or why there are none. What is discarded comes from `compact` where
/// it is given, else from the least lines of profile `basic`.
pub fn entries(
    rules: &RuleSet,
    dialect: Dialect,
    shape: Shape,
    compact: Option<&Drops>,
) -> Result<[Vec<Entry>; 2], CompileError> {
    for (rule, r) in rules.rules.iter().enumerate() {
        let ports = !r.matches.src_ports.is_empty() || !r.matches.dst_ports.is_empty();
        if ports && !r.matches.proto.is_some_and(|p| shape.port_protos.contains(&p)) {
            return refuse(dialect, rule, "ports can be named only with tcp and udp (SR OS: also sctp)");
        }
        if r.matches.tcp_flags.is_some_and(|t| t.mask & !shape.flag_bits != 0) {
            return refuse(dialect, rule, "only the TCP flags fin syn rst psh ack urg can be tested, not ece and cwr");
        }
        if !shape.lengths && !r.matches.lengths.is_empty() {
            return refuse(dialect, rule, "the packet length cannot be tested in an ordinary filter");
        }
    }
    let mut out = [Vec::new(), Vec::new()];
    let mut limited = vec![0usize; rules.rules.len()];
    for family in Family::BOTH {
        let list = &mut out[family as usize];
        match compact {
            None => list.extend(fold(least_lines(rules, family, dialect, shape)?.0)),
            Some(drops) => {
                for l in &drops.lines[family as usize] {
                    let action = if l.deny { Action::Discard } else { Action::Permit };
                    list.push(
                        of_box(&l.fields, family, shape, (l.order, action)).or_else(|r| refuse(dialect, l.order, r))?,
                    );
                }
            }
        }
        for (rule, pieces) in parts(rules, family, dialect)?.limits {
            let mut pieces: Vec<(usize, HeaderBox)> = pieces.into_iter().map(|b| (rule, b)).collect();
            join(&mut pieces);
            limited[rule] += pieces.len();
            if limited[rule] > 1 {
                let reason =
                    "it needs several entries, each with a rate of its own; limit one family without exceptions";
                return refuse(dialect, rule, reason);
            }
            for (_, b) in &pieces {
                let action = rules.rules[rule].action;
                let entry = of_box(b, family, shape, (rule, action)).or_else(|reason| refuse(dialect, rule, reason))?;
                if !entry.protos.is_empty() {
                    let reason = "exceptions leave several protocols under one rate; name one protocol";
                    return refuse(dialect, rule, reason);
                }
                list.push(entry);
            }
        }
    }
    Ok(out)
}

/// "The dialect cannot say this".
pub fn refuse<T>(dialect: Dialect, rule: usize, reason: &str) -> Result<T, CompileError> {
    Err(CompileError::Unsupported { dialect, rule, reason: reason.into() })
}

/// An empty result, or the error for one.
pub fn nothing(entries: &[Vec<Entry>; 2]) -> Result<Written, CompileError> {
    if entries.iter().all(Vec::is_empty) {
        return Err(CompileError::Nothing);
    }
    let mut out = Written { text: String::new(), undo: String::new(), lines: 0, least: false, warnings: Vec::new() };
    if entries[Family::V6 as usize].is_empty() {
        out.warnings.push("the request names no IPv6 addresses: IPv6 traffic is not filtered".into());
    }
    Ok(out)
}

/// The remarks in one line without the characters that end strings or comments in the dialects.
pub fn remark(options: &Options) -> String {
    let text = options.remarks().join("; ");
    text.replace("*/", "* /").replace(['"', '$', '`'], "'").replace('\\', "/").replace(['{', '}'], "|")
}

/// The name of the list of a family.
pub fn list_name(options: &Options, family: Family) -> String {
    match family {
        Family::V4 => options.full_name(),
        Family::V6 => format!("{}-V6", options.full_name()),
    }
}

type Rest = (Option<u8>, Option<PortRange>, Option<PortRange>, bool, Option<(u8, u8)>, Option<PortRange>);

/// Joins lines that differ in the destination only, then entries that differ in the source only.
fn fold(lines: Vec<Line>) -> Vec<Entry> {
    let mut by_src: BTreeMap<(Rest, IpNet), (usize, Vec<IpNet>)> = BTreeMap::new();
    for l in lines {
        let rest = (l.proto, l.sport, l.dport, l.later, l.flags, l.length);
        let slot = by_src.entry((rest, l.src)).or_insert((l.order, Vec::new()));
        slot.0 = slot.0.min(l.order);
        slot.1.push(l.dst);
    }
    let mut by_dst: BTreeMap<(Rest, Vec<IpNet>), (usize, Vec<IpNet>)> = BTreeMap::new();
    for ((rest, src), (order, mut dsts)) in by_src {
        dsts.sort();
        let slot = by_dst.entry((rest, dsts)).or_insert((order, Vec::new()));
        slot.0 = slot.0.min(order);
        slot.1.push(src);
    }
    let mut out: Vec<Entry> = by_dst
        .into_iter()
        .map(|((rest, dst), (rule, src))| {
            let (proto, sport, dport, later, flags, length) = rest;
            let nets = |list: Vec<IpNet>| if list.iter().any(|n| n.prefix_len() == 0) { Vec::new() } else { list };
            let matches = Match {
                src: nets(src),
                dst: nets(dst),
                proto,
                src_ports: sport.into_iter().collect(),
                dst_ports: dport.into_iter().collect(),
                tcp_flags: flags.map(|(mask, value)| TcpFlags { mask, value }),
                fragment: later.then_some(FragmentMatch::Later),
                lengths: length.into_iter().collect(),
            };
            Entry { rule, matches, protos: Vec::new(), action: Action::Discard }
        })
        .collect();
    out.sort_by_key(|e| e.rule);
    out
}

/// A box as one entry of a rule, or why it is none.
fn of_box(b: &HeaderBox, family: Family, shape: Shape, (rule, action): (usize, Action)) -> Result<Entry, &'static str> {
    let whole = all(family);
    let ranges = |field: usize| -> Vec<PortRange> {
        let list = if b[field] == whole[field] { &[][..] } else { b[field].ranges() };
        list.iter().map(|r| PortRange { lo: r.0 as u16, hi: r.1 as u16 }).collect()
    };
    let nets = |field: usize| if b[field] == whole[field] { Vec::new() } else { b[field].prefixes(family) };
    let mut m = Match {
        src: nets(SRC),
        dst: nets(DST),
        src_ports: ranges(SPORT),
        dst_ports: ranges(DPORT),
        lengths: ranges(LEN),
        ..Match::default()
    };
    let mut protos = Vec::new();
    if b[PROTO] != whole[PROTO] {
        protos.extend(b[PROTO].ranges().iter().flat_map(|r| r.0..=r.1).map(|p| p as u8));
        if let [one] = protos[..] {
            m.proto = Some(one);
            protos.clear();
        }
    }
    if b[FLAGS] != whole[FLAGS] {
        let test = flag_test(&b[FLAGS]).filter(|t| t.0 & !shape.flag_bits == 0);
        let (mask, value) = test.ok_or("after the exceptions the TCP flags are not one test of a mask")?;
        m.tcp_flags = Some(TcpFlags { mask, value });
    }
    if !m.lengths.is_empty() && !shape.lengths {
        return Err("the packet length cannot be tested in an ordinary filter");
    }
    let upper = !m.src_ports.is_empty() || !m.dst_ports.is_empty() || m.tcp_flags.is_some();
    if b[FRAG].is(1, 1) {
        m.fragment = Some(FragmentMatch::Later);
    } else if b[FRAG].is(0, 0) && !upper {
        return Err("only whole packets and first fragments, without a port or flag, cannot be said");
    }
    Ok(Entry { rule, matches: m, protos, action })
}

/// What readers keep of one entry before they know its protocols.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Everything but the protocol.
    pub m: Match,
    /// `None` is every protocol.
    pub protos: Option<Vec<u8>>,
    /// Alternative TCP flag tests; empty is none.
    pub flags: Vec<TcpFlags>,
}

impl Draft {
    /// The matches it stands for, of one family.
    pub fn matches(&self, family: Family) -> Vec<Match> {
        let mut base = self.m.clone();
        if base.src.is_empty() && base.dst.is_empty() {
            base.dst = vec![family.net(0, 0)];
        }
        let protos = self.protos.as_ref().map_or_else(|| vec![None], |l| l.iter().map(|&p| Some(p)).collect());
        let flags: Vec<Option<TcpFlags>> =
            if self.flags.is_empty() { vec![None] } else { self.flags.iter().map(|&t| Some(t)).collect() };
        let mut out = Vec::new();
        for proto in protos {
            out.extend(flags.iter().map(|&tcp_flags| Match { proto, tcp_flags, ..base.clone() }));
        }
        out
    }
}

/// The end of a list that drops what no entry took.
pub fn implicit_deny(family: Family) -> Rule {
    Rule { matches: Match { dst: vec![family.net(0, 0)], ..Match::default() }, action: Action::Discard }
}

/// `10`, `10k`, `10m`, `10g` with decimal thousands.
pub fn scaled(word: &str) -> Option<u64> {
    let (digits, factor) = match word.as_bytes().last()? {
        b'k' | b'K' => (&word[..word.len() - 1], 1_000),
        b'm' | b'M' => (&word[..word.len() - 1], 1_000_000),
        b'g' | b'G' => (&word[..word.len() - 1], 1_000_000_000),
        _ => (word, 1),
    };
    super::names::decimal::<u64>(digits)?.checked_mul(factor)
}
