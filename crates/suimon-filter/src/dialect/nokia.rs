//! Writing Nokia SR OS filters for the MD-CLI, in its flat form: every line is a whole command.

use super::compact::Drops;
use super::names::{FLAGS, sros_proto};
use super::terms::{Entry, entries, list_name, nothing, refuse, remark};
use super::{Dialect, Written};
use crate::compile::{CompileError, Options};
use crate::cover::Shape;
use crate::range::Family;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use suimon_base::{Action, Match, PortRange, RuleSet};

const SHAPE: Shape = Shape { port_ranges: true, flag_bits: 0xff, lengths: true, port_protos: &[6, 17, 132] };
/// Distance between entry numbers, so that a person can put an entry between two.
const STEP: usize = 10;
/// Highest entry number.
const MAX_ENTRY: usize = 2_097_151;
/// Longest name of a match list, in characters.
const MAX_LIST_NAME: usize = 32;
/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 80;
/// Highest `rate-limit pir`, in kilobits a second.
const MAX_KBPS: u64 = 2_000_000_000;

pub fn write(rules: &RuleSet, options: &Options, compact: Option<&Drops>) -> Result<Written, CompileError> {
    let lists = entries(rules, Dialect::NokiaSros, SHAPE, compact)?;
    let mut out = nothing(&lists)?;
    let mut match_lists = MatchLists { base: options.full_name(), ..MatchLists::default() };
    let mut body = String::new();
    let mut undo = Vec::new();
    let mut unbind = Vec::new();
    for family in Family::BOTH {
        let list = &lists[family as usize];
        if list.is_empty() {
            continue;
        }
        if list.len() * STEP > MAX_ENTRY {
            let reason = format!("{} entries do not fit below entry number {MAX_ENTRY}", list.len());
            return refuse(Dialect::NokiaSros, 0, &reason);
        }
        let name = list_name(options, family);
        let kind = if family == Family::V4 { "ip-filter" } else { "ipv6-filter" };
        let head = format!("/configure filter {kind} \"{name}\"");
        let mut row = |text: &str| {
            let _ = writeln!(body, "{head} {text}");
        };
        row("default-action accept");
        if !options.remarks().is_empty() {
            let text: String = remark(options).chars().take(MAX_DESCRIPTION).collect();
            row(&format!("description \"{text}\""));
        }
        if list.iter().any(|e| !e.matches.lengths.is_empty()) {
            row("type packet-length");
            out.warnings.push("a filter of type packet-length needs FP4 line cards or later".into());
        }
        for (i, e) in list.iter().enumerate() {
            let number = (i + 1) * STEP;
            entry(e, family, &mut match_lists, &mut |text| row(&format!("entry {number} {text}")))?;
        }
        if list.iter().any(|e| e.matches.fragment.is_some()) {
            out.warnings.push(format!("{name}: fragment non-first-only is evaluated on ingress only"));
        }
        if list.iter().any(|e| !matches!(e.action, Action::Discard | Action::Permit)) {
            out.warnings.push(format!(
                "{name}: a rate limit counts once for each forwarding path; interfaces on different ones have a rate each"
            ));
        }
        out.lines += list.len();
        undo.push(format!("delete {kind} \"{name}\""));
        let side = if family == Family::V4 { "ip" } else { "ipv6" };
        let port = options.interface.as_deref().unwrap_or("INTERFACE");
        let way = if options.outbound { "egress" } else { "ingress" };
        let at = format!("/configure router \"Base\" interface \"{port}\" {way}");
        match options.interface {
            Some(_) => unbind.extend([at.clone(), format!("delete filter {side}")]),
            None => unbind.push(format!("# first, wherever it is bound: {at}, delete filter {side}")),
        }
        out.warnings.push(format!(
            "enter it in `edit-config exclusive`, look with `compare`, then `commit`; first read back what is bound with `info \
             {at} filter` and keep it: `{at} filter {side} \"{name}\"` (in a service: under its sap) replaces it, and what it \
             filtered is then open. Before the undo, unbind and bind again what was read back"
        ));
    }
    for r in options.remarks() {
        let _ = writeln!(out.text, "# {r}");
    }
    out.text.push_str(&match_lists.text);
    out.text.push_str(&body);
    unbind.push("/configure filter".into());
    unbind.extend(undo);
    unbind.extend(match_lists.undo);
    out.undo = unbind.join("\n") + "\n";
    Ok(out)
}

/// Named lists of prefixes and ports, one for each distinct content.
#[derive(Default)]
struct MatchLists {
    base: String,
    nets: BTreeMap<(Family, Vec<IpNet>), String>,
    ports: BTreeMap<Vec<(u16, u16)>, String>,
    protos: BTreeMap<Vec<u8>, String>,
    text: String,
    undo: Vec<String>,
}

impl MatchLists {
    fn name(&self, letter: char, number: usize, rule: usize) -> Result<String, CompileError> {
        let name = format!("{}-{letter}{number}", self.base);
        if name.len() <= MAX_LIST_NAME {
            return Ok(name);
        }
        let reason =
            format!("the name of the match list {name} is longer than {MAX_LIST_NAME} characters; use a shorter name");
        refuse(Dialect::NokiaSros, rule, &reason)
    }

    fn nets(&mut self, family: Family, list: &[IpNet], rule: usize) -> Result<String, CompileError> {
        let key = (family, list.to_vec());
        if let Some(name) = self.nets.get(&key) {
            return Ok(name.clone());
        }
        let name = self.name('n', self.nets.len() + 1, rule)?;
        let kind = prefix_list(family);
        for n in list {
            let _ = writeln!(self.text, "/configure filter match-list {kind} \"{name}\" prefix {n}");
        }
        self.undo.push(format!("delete match-list {kind} \"{name}\""));
        self.nets.insert(key, name.clone());
        Ok(name)
    }

    fn ports(&mut self, list: &[PortRange], rule: usize) -> Result<String, CompileError> {
        let key: Vec<(u16, u16)> = list.iter().map(|p| (p.lo, p.hi)).collect();
        if let Some(name) = self.ports.get(&key) {
            return Ok(name.clone());
        }
        let name = self.name('p', self.ports.len() + 1, rule)?;
        for p in list {
            let item =
                if p.lo == p.hi { format!("port {}", p.lo) } else { format!("range start {} end {}", p.lo, p.hi) };
            let _ = writeln!(self.text, "/configure filter match-list port-list \"{name}\" {item}");
        }
        self.undo.push(format!("delete match-list port-list \"{name}\""));
        self.ports.insert(key, name.clone());
        Ok(name)
    }
}

impl MatchLists {
    fn protos(&mut self, list: &[u8], rule: usize) -> Result<String, CompileError> {
        if let Some(name) = self.protos.get(list) {
            return Ok(name.clone());
        }
        let name = self.name('t', self.protos.len() + 1, rule)?;
        for &p in list {
            let _ =
                writeln!(self.text, "/configure filter match-list protocol-list \"{name}\" protocol {}", sros_proto(p));
        }
        self.undo.push(format!("delete match-list protocol-list \"{name}\""));
        self.protos.insert(list.to_vec(), name.clone());
        Ok(name)
    }
}

/// The word for the protocol of a family.
pub fn proto_word(family: Family) -> &'static str {
    if family == Family::V4 { "protocol" } else { "next-header" }
}

/// The word for a list of prefixes of a family.
pub fn prefix_list(family: Family) -> &'static str {
    if family == Family::V4 { "ip-prefix-list" } else { "ipv6-prefix-list" }
}

/// Whether SR OS would take non-first fragments too: it compares their ports and flags as zero.
pub fn takes_later(m: &Match) -> bool {
    let zero = |list: &[PortRange]| list.is_empty() || list.iter().any(|p| p.lo == 0);
    let upper = !m.src_ports.is_empty() || !m.dst_ports.is_empty() || m.tcp_flags.is_some();
    upper && zero(&m.src_ports) && zero(&m.dst_ports) && m.tcp_flags.is_none_or(|t| t.value == 0)
}

fn entry(e: &Entry, family: Family, lists: &mut MatchLists, row: &mut dyn FnMut(&str)) -> Result<(), CompileError> {
    let m = &e.matches;
    let no = |reason: &str| refuse(Dialect::NokiaSros, e.rule, reason);
    if takes_later(m) {
        return no("ports and flags of non-first fragments compare as zero, so this entry would take them too");
    }
    if family == Family::V6 && !m.lengths.is_empty() {
        return no("an IPv6 filter compares the payload length, not the length of the packet");
    }
    let word = proto_word(family);
    match &e.all_protos()[..] {
        [] => {}
        [p] => row(&format!("match {word} {}", sros_proto(*p))),
        [6, 17] => row(&format!("match {word} tcp-udp")),
        list => row(&format!("match {word}-list \"{}\"", lists.protos(list, e.rule)?)),
    }
    for (word, list) in [("src-ip", &m.src), ("dst-ip", &m.dst)] {
        match &list[..] {
            [] => {}
            [one] => row(&format!("match {word} address {one}")),
            list => row(&format!("match {word} {} \"{}\"", prefix_list(family), lists.nets(family, list, e.rule)?)),
        }
    }
    for (word, list) in [("src-port", &m.src_ports), ("dst-port", &m.dst_ports)] {
        match &list[..] {
            [] => {}
            [one] => range(word, one, row),
            list => row(&format!("match {word} port-list \"{}\"", lists.ports(list, e.rule)?)),
        }
    }
    match &m.lengths[..] {
        [] => {}
        [one] => range("packet-length", one, row),
        _ => return no("an entry has one range of lengths"),
    }
    if let Some(t) = m.tcp_flags {
        for (name, bit) in FLAGS.iter().filter(|f| t.mask & f.1 != 0) {
            row(&format!("match tcp-flags {name} {}", t.value & bit != 0));
        }
    }
    if m.fragment.is_some() {
        row("match fragment non-first-only");
    }
    match e.action {
        Action::LimitBps(bits) => {
            if bits == 0 || bits % 1000 != 0 || bits / 1000 > MAX_KBPS {
                return no("rate-limit is in whole kilobits a second, from 1 to 2,000,000,000");
            }
            row("action accept");
            row(&format!("action rate-limit pir {}", bits / 1000));
        }
        Action::LimitPps(_) => return no("a filter entry limits bits a second, not packets"),
        Action::Discard => row("action drop"),
        Action::Permit => row("action accept"),
    }
    Ok(())
}

fn range(word: &str, p: &PortRange, row: &mut dyn FnMut(&str)) {
    if p.lo == p.hi {
        row(&format!("match {word} eq {}", p.lo));
    } else {
        row(&format!("match {word} range start {}", p.lo));
        row(&format!("match {word} range end {}", p.hi));
    }
}
