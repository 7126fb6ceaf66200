//! Reading access lists, named, numbered and without a heading, IPv4 and IPv6, with the classes and the policy beside them.
//!
//! Two habits of these routers matter for the meaning. A list ends with an implicit deny. And where a non-first fragment
//! meets a line that names ports or flags, a `deny` does not take it; whether a `permit` does is a fact of the platform.

use super::super::names::decimal;
use super::super::scan::{Word, Words, clip, error};
use super::super::{Listing, ParseError};
use super::facts::{Facts, Spelling};
use super::groups::{Defined, is_member};
use super::policies::{Policed, Texts};
use super::words::{address, ports, protocol, tail};
use crate::range::Family;
use suimon_base::rule::FragmentMatch;
use suimon_base::{Action, Match, Rule};

/// Most lines of a list.
pub const MAX_ENTRIES: usize = 4_000_001;

/// Where the lines belong that follow.
#[derive(Clone, Copy)]
enum Mode {
    Outside,
    /// Members, which were read before.
    Group,
    List(usize),
    Class(usize),
    Policy,
}

struct Reader<'f> {
    facts: &'f Facts,
    groups: Defined,
    texts: Texts,
    mode: Mode,
    entries: usize,
    /// Prefixes and ports of all entries beside the first of each.
    members: usize,
}

/// Reads a text of one platform.
pub fn parse(facts: &Facts, text: &str) -> Result<Listing, ParseError> {
    let groups = Defined::of(facts, text)?;
    let texts = Texts::new(facts.class_deny);
    let mut r = Reader { facts, groups, texts, mode: Mode::Outside, entries: 0, members: 0 };
    for (i, line) in text.lines().enumerate() {
        r.line(i + 1, line)?;
        if r.entries > MAX_ENTRIES {
            return Err(error(i + 1, 1, "too many lines", &format!("at most {MAX_ENTRIES}")));
        }
        if r.members > MAX_ENTRIES {
            return Err(error(i + 1, 1, "too many members in all lines", &format!("at most {MAX_ENTRIES}")));
        }
    }
    if r.texts.lists.is_empty() {
        let expected = format!("{} NAME", facts.head[0]);
        return Err(error(text.lines().count().max(1), 1, "there is no access list", &expected));
    }
    r.texts.assemble(true)
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str) -> Result<(), ParseError> {
        let mut w = Words::new(number, line)?;
        let Some(first) = w.peek() else { return Ok(()) };
        if first.text.starts_with('!') {
            return Ok(());
        }
        if matches!(self.mode, Mode::Group) && is_member(line) {
            return Ok(());
        }
        match first.text {
            "object-group" if self.facts.groups.is_some() => {
                self.mode = Mode::Group;
                return Ok(());
            }
            "end" | "exit" | "remark" => return Ok(()),
            "commit" if self.facts.commit => return Ok(()),
            "statistics" | "counters" | "resequence" if matches!(self.mode, Mode::List(_)) => return Ok(()),
            "end-class-map" | "end-policy-map" if self.facts.police.spelling == (Spelling::Rate { ends: true }) => {
                self.mode = Mode::Outside;
                return Ok(());
            }
            "ip" | "ipv4" | "ipv6" => return self.heading(&mut w),
            "class-map" => return self.class_map(&mut w),
            "policy-map" => return self.policy_map(&mut w),
            _ => {}
        }
        match self.mode {
            Mode::Class(at) => self.class_line(&mut w, at),
            Mode::Policy => self.texts.policy_line(&mut w, first),
            Mode::Outside | Mode::Group | Mode::List(_) => self.list_line(&mut w),
        }
    }

    fn list_line(&mut self, w: &mut Words<'_>) -> Result<(), ParseError> {
        if w.take("access-list") {
            let expected = "a list number from 100 to 199 or 2000 to 2699";
            let name = w.need(expected)?;
            let ios = self.facts.numbered;
            if !ios || !name.text.parse::<u16>().is_ok_and(|n| matches!(n, 100..=199 | 2000..=2699)) {
                return Err(w.unknown(name, expected));
            }
            let at = self.open(w, Family::V4, name)?;
            return if w.take("remark") { Ok(()) } else { self.entry(w, at, None) };
        }
        w.take("sequence");
        let mut sequence = None;
        if let Some(word) = w.peek().filter(|x| x.text.bytes().all(|b| b.is_ascii_digit())) {
            w.next();
            sequence = Some(decimal::<u32>(word.text).ok_or_else(|| w.unknown(word, "a sequence number below 2^32"))?);
        }
        if w.take("remark") {
            return Ok(());
        }
        let at = match self.mode {
            Mode::List(at) => at,
            _ => self.open(w, Family::V4, Word { text: "", column: 1 })?,
        };
        self.entry(w, at, sequence.map(u64::from))
    }

    fn heading(&mut self, w: &mut Words<'_>) -> Result<(), ParseError> {
        let [v4, v6] = self.facts.head;
        let expected = format!("{v4} NAME or {v6} NAME");
        let first = w.need(&expected)?;
        let family =
            Family::BOTH.into_iter().find(|f| self.facts.head[*f as usize].starts_with(&format!("{} ", first.text)));
        let Some(family) = family else { return Err(w.unknown(first, &expected)) };
        for part in self.facts.head[family as usize].split(' ').skip(1) {
            let word = w.need(&expected)?;
            if word.text != part {
                let more = "extended (a standard list cannot name destinations or ports)";
                return Err(w.unknown(word, if part == "extended" { more } else { &expected }));
            }
        }
        let name = w.need("the name of the list")?;
        self.open(w, family, name)?;
        w.done("the end of the line")
    }

    fn open(&mut self, w: &Words<'_>, family: Family, name: Word<'_>) -> Result<usize, ParseError> {
        let at = self.texts.list(family, name, w.number())?;
        self.mode = Mode::List(at);
        Ok(at)
    }

    fn entry(&mut self, w: &mut Words<'_>, at: usize, sequence: Option<u64>) -> Result<(), ParseError> {
        let family = self.texts.lists[at].family;
        let expected = "permit, deny or remark";
        let word = w.need(expected)?;
        let action = match word.text {
            "permit" => Action::Permit,
            "deny" => Action::Discard,
            _ => return Err(w.unknown(word, expected)),
        };
        let (proto, src) = protocol(self.facts, w, family)?;
        let mut m = Match { proto, ..Match::default() };
        m.src = address(self.facts, &self.groups, w, family)?;
        m.src_ports = ports(self.facts, &self.groups, w, proto, src)?;
        m.dst = address(self.facts, &self.groups, w, family)?;
        m.dst_ports = ports(self.facts, &self.groups, w, proto, src)?;
        let counts = [m.src.len(), m.dst.len(), m.src_ports.len(), m.dst_ports.len()];
        self.members += counts.iter().map(|n| n.saturating_sub(1)).sum::<usize>();
        if m.src.is_empty() && m.dst.is_empty() {
            // "any any" of an IPv4 list says nothing about IPv6.
            m.dst = vec![family.net(0, 0)];
        }
        for m in tail(self.facts, w, m, src, family)? {
            let upper = !m.src_ports.is_empty() || !m.dst_ports.is_empty() || m.tcp_flags.is_some();
            let fragments = (upper && action == Action::Permit && self.facts.permit_takes_fragments).then(|| Match {
                src_ports: Vec::new(),
                dst_ports: Vec::new(),
                tcp_flags: None,
                fragment: Some(FragmentMatch::Later),
                ..m.clone()
            });
            for matches in std::iter::once(m).chain(fragments) {
                self.texts.lists[at].push(Rule { matches, action }, w.number(), sequence);
                self.entries += 1;
            }
        }
        Ok(())
    }

    fn class_map(&mut self, w: &mut Words<'_>) -> Result<(), ParseError> {
        let head = self.facts.police.class.trim_end_matches(" match-any");
        skip(w, head)?;
        let all = w.take("match-all") || !w.take("match-any");
        let name = w.need("the name of the class")?;
        self.mode = Mode::Class(self.texts.class(name, all, w.number())?);
        w.done("the end of the line")
    }

    fn class_line(&mut self, w: &mut Words<'_>, at: usize) -> Result<(), ParseError> {
        if w.take("description") {
            return Ok(());
        }
        let forms = self.facts.police.matches;
        let expected = format!("{} LIST or {} LIST", forms[0], forms[1]);
        let first = w.need(&expected)?;
        let words = |form: &str| form.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let given: Vec<Word<'_>> = std::iter::once(first).chain(std::iter::from_fn(|| w.next())).collect();
        let same = |form: &str| {
            let form = words(form);
            given.len() == form.len() + 1 && given.iter().zip(&form).all(|(g, f)| g.text == f)
        };
        let families: Vec<Family> = Family::BOTH.into_iter().filter(|f| same(forms[*f as usize])).collect();
        let (Some(last), false) = (given.last(), families.is_empty()) else { return Err(w.unknown(first, &expected)) };
        self.texts.refer(at, families, *last, w.number())
    }

    fn policy_map(&mut self, w: &mut Words<'_>) -> Result<(), ParseError> {
        skip(w, self.facts.police.policy)?;
        let name = w.need("the name of the policy")?;
        self.texts.open_policy(w, name)?;
        self.mode = Mode::Policy;
        w.done("the end of the line")
    }
}

/// Takes the words of a fixed head.
fn skip(w: &mut Words<'_>, head: &str) -> Result<(), ParseError> {
    for part in head.split(' ') {
        let word = w.need(head)?;
        if word.text != part {
            return Err(w.unknown(word, head));
        }
    }
    Ok(())
}

/// Reads `police …` and the lines of its actions into the class that is open.
pub fn police_line(w: &mut Words<'_>, first: Word<'_>, class: &mut Policed) -> Result<(), ParseError> {
    let expected = "police, conform-action transmit, exceed-action drop or class";
    if first.text == "police" {
        w.next();
        let _ = w.take("rate") || w.take("cir");
        let value = w.need("a rate")?;
        let rate: u64 = decimal(value.text).ok_or_else(|| w.unknown(value, "a rate as a number"))?;
        let unit = w.peek().map_or("bps", |x| x.text);
        let scale = match unit {
            "pps" => None,
            "kbps" => Some(1_000),
            "mbps" => Some(1_000_000),
            "gbps" => Some(1_000_000_000),
            _ => Some(1),
        };
        if matches!(unit, "bps" | "pps" | "kbps" | "mbps" | "gbps") {
            w.next();
        }
        let overflow = || w.error(value, "the rate is too large", "a rate that fits 64 bits");
        let action = match scale {
            None => Action::LimitPps(rate),
            Some(s) => Action::LimitBps(rate.checked_mul(s).ok_or_else(overflow)?),
        };
        if class.action.replace(action).is_some() {
            return Err(w.error(value, "a second rate for the same class", "one police command for each class"));
        }
    }
    while let Some(word) = w.next() {
        match word.text {
            "burst" | "bc" | "burst-size" => {
                let n = w.need("a burst")?;
                let _: u64 = decimal(n.text).ok_or_else(|| w.unknown(n, "a burst as a number"))?;
                if w.peek().is_some_and(|u| {
                    matches!(u.text, "bytes" | "kbytes" | "mbytes" | "packets" | "ms" | "us" | "kb" | "mb")
                }) {
                    w.next();
                }
            }
            "conform-action" | "conform" => expect(w, "transmit")?,
            "exceed-action" | "violate-action" | "violate" | "exceed" => expect(w, "drop")?,
            _ => return Err(w.unknown(word, expected)),
        }
    }
    Ok(())
}

fn expect(w: &mut Words<'_>, what: &str) -> Result<(), ParseError> {
    let word = w.need(what)?;
    if word.text == what {
        return Ok(());
    }
    let message = format!("{:?} is another action than a limit's", clip(word.text));
    Err(w.error(word, &message, what))
}
