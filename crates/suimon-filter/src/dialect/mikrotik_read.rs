//! Reading MikroTik RouterOS rules: `/ip firewall raw` or `filter`, `/ipv6 firewall …`, and address lists.
//!
//! One chain of each family; a jump to it and rules that only count or log change nothing. A limit is two rules: the first
//! lets packets go on up to the rate, the next drops what fulfils the same conditions.

use super::names::{FLAGS, decimal, routeros_proto_of};
use super::scan::{clip, error};
use super::terms::{Draft, scaled};
use super::{Listing, ParseError};
use crate::boxes;
use crate::range::{Family, RangeSet, number};
use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, PortRange, Rule};

/// Longest command with its continuation lines, in octets.
pub const MAX_COMMAND: usize = 65_536;
/// Most rules and addresses of a text.
pub const MAX_RULES: usize = 2_000_000;

#[derive(Clone, Debug)]
struct Word<'a> {
    text: Cow<'a, str>,
    line: usize,
    column: usize,
}

impl Word<'_> {
    fn fail<T>(&self, message: &str, expected: &str) -> Result<T, ParseError> {
        Err(error(self.line, self.column, message, expected))
    }
    fn unknown<T>(&self, expected: &str) -> Result<T, ParseError> {
        self.fail(&format!("{:?} is not understood here", clip(&self.text)), expected)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Menu {
    Rules(Family),
    Addresses(Family),
}

/// A limit that waits for its drop: where, what, and its conditions.
type Pending = (usize, usize, Action, String);

#[derive(Default)]
struct Reader {
    lists: HashMap<(Family, String), Vec<(u128, u128)>>,
    chains: [Option<String>; 2],
    targets: [Vec<String>; 2],
    table: [Option<String>; 2],
    pending: [Option<Pending>; 2],
    count: usize,
    out: Listing,
}

pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let mut r = Reader::default();
    // Lists may stand after the rules that name them.
    for lists in [true, false] {
        let mut menu = None;
        r.count = 0;
        let mut command = Vec::new();
        let mut more = false;
        let mut octets = 0;
        let mut last = 1;
        for (i, line) in text.lines().enumerate() {
            last = i + 1;
            octets = if more { octets + line.len() } else { line.len() };
            if octets > MAX_COMMAND {
                return Err(error(last, 1, "the command is too long", &format!("at most {MAX_COMMAND} octets")));
            }
            more = words(last, line, &mut command)?;
            if !more && !command.is_empty() {
                r.command(&command, &mut menu, lists)?;
                command.clear();
            }
        }
        if more {
            return Err(error(last, 1, "the text ends in a command that goes on", "the rest of the command"));
        }
    }
    if let Some((line, column, ..)) = r.pending.iter().flatten().next() {
        return Err(error(
            *line,
            *column,
            "a limit that lets packets go on, and nothing drops the rest",
            "action=drop next",
        ));
    }
    if r.out.lines.is_empty() && r.chains.iter().all(Option::is_none) {
        return Err(error(1, 1, "there is no rule", "/ip firewall raw add chain=… action=drop …"));
    }
    Ok(r.out)
}

/// Adds the words of a line; true where it goes on in the next one.
fn words<'a>(number: usize, line: &'a str, out: &mut Vec<Word<'a>>) -> Result<bool, ParseError> {
    let chars: Vec<(usize, char)> = line.char_indices().collect();
    let mut at = 0;
    while at < chars.len() {
        let (start, c) = chars[at];
        if c.is_whitespace() {
            at += 1;
        } else if c == '#' && out.last().is_none_or(|w| w.line != number) {
            return Ok(false);
        } else if c == '\\' && line[start + 1..].trim().is_empty() {
            return Ok(true);
        } else {
            let first = at;
            let mut quoted: Option<usize> = None;
            let mut plain = String::new();
            let mut changed = false;
            while at < chars.len() && (quoted.is_some() || !chars[at].1.is_whitespace()) {
                match (chars[at].1, quoted) {
                    ('"', None) => quoted = Some(at),
                    ('"', Some(_)) => quoted = None,
                    ('\\', Some(_)) if at + 1 < chars.len() => {
                        at += 1;
                        plain.push(chars[at].1);
                        changed = true;
                        at += 1;
                        continue;
                    }
                    (c, _) => {
                        plain.push(c);
                        at += 1;
                        continue;
                    }
                }
                changed = true;
                at += 1;
            }
            if let Some(open) = quoted {
                return Err(error(number, open + 1, "this string does not end on its line", "\""));
            }
            let end = chars.get(at).map_or(line.len(), |c| c.0);
            let text = if changed { Cow::Owned(plain) } else { Cow::Borrowed(&line[start..end]) };
            out.push(Word { text, line: number, column: first + 1 });
        }
    }
    Ok(false)
}

impl Reader {
    fn command(&mut self, words: &[Word<'_>], menu: &mut Option<Menu>, lists: bool) -> Result<(), ParseError> {
        let mut rest = words;
        if rest[0].text.starts_with('/') {
            let expected = "/ip firewall raw, /ip firewall filter, /ip firewall address-list, or /ipv6 firewall …";
            let family = match &*rest[0].text {
                "/ip" => Family::V4,
                "/ipv6" => Family::V6,
                _ => return rest[0].unknown(expected),
            };
            if rest.get(1).is_none_or(|w| w.text != "firewall") || rest.len() < 3 {
                return rest.get(1).unwrap_or(&rest[0]).unknown(expected);
            }
            *menu = Some(match &*rest[2].text {
                "address-list" => Menu::Addresses(family),
                table @ ("raw" | "filter") => {
                    let known = self.table[family as usize].get_or_insert_with(|| table.to_owned());
                    if known != table {
                        return rest[2].fail("rules of a second table", "raw or filter, not both");
                    }
                    Menu::Rules(family)
                }
                _ => return rest[2].unknown(expected),
            });
            rest = &rest[3..];
        }
        let Some(verb) = rest.first() else { return Ok(()) };
        if verb.text != "add" {
            return verb.unknown("add");
        }
        self.count += 1;
        if self.count > MAX_RULES {
            return verb.fail("too many rules", &format!("at most {MAX_RULES}"));
        }
        match menu {
            None => verb.fail("a rule before its menu", "/ip firewall raw before it"),
            Some(Menu::Addresses(family)) if lists => self.address(*family, &rest[1..], verb),
            Some(Menu::Rules(family)) if !lists => self.rule(*family, &rest[1..], verb),
            Some(_) => Ok(()),
        }
    }

    fn address(&mut self, family: Family, words: &[Word<'_>], verb: &Word<'_>) -> Result<(), ParseError> {
        let (mut name, mut range, mut off) = (None, None, false);
        for w in words {
            let (key, value) = pair(w)?;
            match key {
                "list" => name = Some(value.to_owned()),
                "address" => range = Some(addresses(w, value, family)?),
                "comment" => {}
                "disabled" => off = yes(w, value)?,
                _ => return w.unknown("list=, address=, comment= or disabled="),
            }
        }
        let (Some(name), Some(range)) = (name, range) else {
            return verb.fail("an address list entry has a list and an address", "add list=NAME address=PREFIX");
        };
        if !off {
            self.lists.entry((family, name)).or_default().push(range);
        }
        Ok(())
    }

    fn rule(&mut self, family: Family, words: &[Word<'_>], verb: &Word<'_>) -> Result<(), ParseError> {
        let mut d = Draft::default();
        let (mut chain, mut action, mut target, mut limit, mut off) = (None, "accept", None, None, false);
        let mut same: Vec<String> = Vec::new();
        for w in words {
            let (key, value) = pair(w)?;
            match key {
                "chain" => chain = Some((value, w)),
                "action" => action = value,
                "jump-target" => target = Some(value),
                "limit" => limit = Some(rate(w, value)?),
                "disabled" => off = yes(w, value)?,
                "comment" | "log" | "log-prefix" => {}
                _ => {
                    self.condition(&mut d, w, key, value, family)?;
                    same.push(w.text.to_string());
                }
            }
        }
        if off {
            return Ok(());
        }
        let Some((chain, at)) = chain else { return verb.fail("a rule without a chain", "chain=NAME") };
        if matches!(action, "passthrough" | "log") {
            return Ok(());
        }
        if action == "jump" {
            let Some(target) = target.filter(|_| same.is_empty() && limit.is_none()) else {
                return verb.fail("a jump with conditions is not supported", "an unconditional jump to the chain");
            };
            self.targets[family as usize].push(target.to_owned());
            return Ok(());
        }
        let known = self.chains[family as usize].get_or_insert_with(|| chain.to_owned());
        if known != chain {
            return at
                .fail(&format!("a second chain, after {:?}", clip(known)), "one chain of each family in one text");
        }
        same.sort();
        self.finish(family, d, (action, limit), same.join(" "), verb)
    }

    fn finish(
        &mut self,
        family: Family,
        d: Draft,
        (action, limit): (&str, Option<Action>),
        same: String,
        verb: &Word<'_>,
    ) -> Result<(), ParseError> {
        let action = match (action, limit) {
            ("accept" | "return", None) => Action::Permit,
            ("accept" | "return", Some(limit)) => {
                if self.pending[family as usize].is_some() {
                    return verb.fail("a second limit before the rest of the first is dropped", "action=drop");
                }
                self.pending[family as usize] = Some((verb.line, verb.column, limit, same));
                return Ok(());
            }
            ("drop" | "reject", None) => match self.pending[family as usize].take() {
                Some((.., limit, conditions)) if conditions == same => limit,
                Some((line, ..)) => {
                    let message = format!("the rest of the limit of line {line} must be dropped first");
                    return verb.fail(&message, "action=drop with the same conditions");
                }
                None => Action::Discard,
            },
            (_, Some(_)) => {
                return verb
                    .fail("this drops packets up to the rate", "action=accept with the limit, then action=drop");
            }
            _ => {
                return verb.fail(&format!("the action {:?} is not supported", clip(action)), "drop, accept or return");
            }
        };
        if let Some((line, ..)) = self.pending[family as usize] {
            return verb.fail(&format!("the rest of the limit of line {line} must be dropped first"), "action=drop");
        }
        let matches = d.matches(family);
        if matches!(action, Action::LimitBps(_) | Action::LimitPps(_)) && matches.len() > 1 {
            return verb.fail("one rate over several protocols is not supported", "one protocol");
        }
        for m in matches {
            let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
            if ports && !m.proto.is_some_and(|p| boxes::PORT_PROTOS.contains(&p)) {
                return verb.fail("a port without a protocol that carries ports", "protocol=tcp or protocol=udp");
            }
            if let Some(reason) = boxes::invalid(&m) {
                return verb.fail(&reason, "conditions that can be true together");
            }
            self.out.rules.rules.push(Rule { matches: m, action });
            self.out.lines.push(verb.line);
        }
        Ok(())
    }

    fn condition(&self, d: &mut Draft, w: &Word<'_>, key: &str, value: &str, family: Family) -> Result<(), ParseError> {
        match key {
            "src-address" | "dst-address" => {
                let (lo, hi) = addresses(w, value, family)?;
                side(d, key == "src-address", w, RangeSet::one(lo, hi).prefixes(family))?;
            }
            "src-address-list" | "dst-address-list" => {
                let Some(list) = self.lists.get(&(family, value.to_owned())) else {
                    return w.unknown("the name of an address list of this text");
                };
                let nets = RangeSet::new(list.iter().copied()).prefixes(family);
                side(d, key == "src-address-list", w, nets)?;
            }
            "protocol" => match routeros_proto_of(value) {
                Some(0) => {}
                Some(p) => d.protos = Some(vec![p]),
                None => return w.unknown("protocol=NAME or a number from 0 to 255"),
            },
            "src-port" => d.m.src_ports = ports(w, value)?,
            "dst-port" => d.m.dst_ports = ports(w, value)?,
            "packet-size" => d.m.lengths = vec![range(w, value)?],
            "fragment" if family == Family::V4 => {
                if !yes(w, value)? {
                    return w.unknown("fragment=yes");
                }
                d.m.fragment = Some(FragmentMatch::Later);
            }
            "tcp-flags" => {
                let mut t = TcpFlags { mask: 0, value: 0 };
                for word in value.split(',') {
                    let (name, set) = word.strip_prefix('!').map_or((word, true), |n| (n, false));
                    let bit = FLAGS.iter().find(|f| f.0 == name).map(|f| f.1).filter(|b| t.mask & b == 0);
                    let Some(bit) = bit else { return w.unknown("tcp-flags=syn,!ack") };
                    t = TcpFlags { mask: t.mask | bit, value: if set { t.value | bit } else { t.value } };
                }
                d.flags = vec![t];
            }
            _ => {
                return w.unknown(
                    "src-address=, dst-address=, src-address-list=, dst-address-list=, protocol=, src-port=, dst-port=, \
                     tcp-flags=, packet-size=, fragment= (IPv4), limit=, comment=",
                );
            }
        }
        Ok(())
    }
}

fn side(d: &mut Draft, source: bool, w: &Word<'_>, nets: Vec<IpNet>) -> Result<(), ParseError> {
    let slot = if source { &mut d.m.src } else { &mut d.m.dst };
    if !slot.is_empty() {
        return w.fail("a second condition on the same side", "an address or a list, not both");
    }
    *slot = nets;
    Ok(())
}

fn pair<'w>(w: &'w Word<'_>) -> Result<(&'w str, &'w str), ParseError> {
    match w.text.split_once('=') {
        Some((key, value)) if key == "tcp-flags" || !value.starts_with('!') => Ok((key, value)),
        Some(_) => w.fail("a negated condition is not supported", "the condition without !"),
        None => w.unknown("KEY=VALUE"),
    }
}

fn yes(w: &Word<'_>, value: &str) -> Result<bool, ParseError> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => w.unknown("yes or no"),
    }
}

/// An address, a prefix or `A-B`, as numbers.
fn addresses(w: &Word<'_>, value: &str, family: Family) -> Result<(u128, u128), ParseError> {
    let of = |s: &str| s.parse::<IpAddr>().ok().filter(|a| Family::of(*a) == family).map(number);
    let found = match value.split_once('-') {
        Some((a, b)) => of(a).zip(of(b)).filter(|(a, b)| a <= b),
        None => of(value).map(|a| (a, a)).or_else(|| {
            let net = value.parse::<IpNet>().ok().filter(|n| Family::of_net(n) == family);
            net.map(|n| crate::range::bounds(&n))
        }),
    };
    found.map_or_else(|| w.unknown("an address, a prefix or A-B of the menu's family"), Ok)
}

fn ports(w: &Word<'_>, value: &str) -> Result<Vec<PortRange>, ParseError> {
    value.split(',').map(|part| range(w, part)).collect()
}

fn range(w: &Word<'_>, value: &str) -> Result<PortRange, ParseError> {
    let (a, b) = value.split_once('-').unwrap_or((value, value));
    match (decimal::<u16>(a), decimal::<u16>(b)) {
        (Some(lo), Some(hi)) if lo <= hi => Ok(PortRange { lo, hi }),
        _ => w.unknown("a number from 0 to 65535, or A-B"),
    }
}

/// `RATE,BURST:packet` or `RATE,BURST:bit`, a second.
fn rate(w: &Word<'_>, value: &str) -> Result<Action, ParseError> {
    let expected = "limit=RATE,BURST:packet or limit=RATE,BURST:bit, a second";
    let parts = value.rsplit_once(':').and_then(|(left, mode)| left.split_once(',').map(|(r, b)| (r, b, mode)));
    let Some((rate, burst, mode)) = parts else { return w.unknown(expected) };
    let rate = rate.strip_suffix("/1s").or_else(|| rate.strip_suffix("/1")).unwrap_or(rate);
    let (Some(rate), Some(_)) = (scaled(rate).filter(|&n| n > 0), scaled(burst)) else { return w.unknown(expected) };
    match mode {
        "packet" => Ok(Action::LimitPps(rate)),
        "bit" => Ok(Action::LimitBps(rate)),
        _ => w.unknown(expected),
    }
}
