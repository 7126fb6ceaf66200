//! Lists, classes and a policy put together to rules in the order in which the router asks them.
//!
//! A class selects what its lists permit and becomes one rule with a rate, since its lines share one policer; so the lines
//! must be sources × destinations × ports of one protocol. Lists and policer meet a packet in an order that platforms do not
//! share, so a rate that overlaps what a list drops is an error, in writing as in reading.

use super::super::nft::join;
use super::super::scan::{Word, Words, error};
use super::super::{Listing, ParseError};
use super::read::police_line;
use crate::boxes::{self, DPORT, DST, FLAGS, FRAG, HeaderBox, LEN, PROTO, SPORT, SRC};
use crate::range::Family;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule};

/// Most pieces that the denies of a class may cut its permits into.
pub const MAX_PIECES: usize = 65_536;
/// Most pairs of a dropping line and a class that are compared.
pub const MAX_PAIRS: usize = 20_000_000;
/// Most rates of a policy that are read.
pub const MAX_RATES: usize = 200;

/// Most lists of a text.
pub const MAX_LISTS: usize = 1_000;
/// Most classes of a text.
pub const MAX_CLASSES: usize = 1_000;
/// Most lists that one class names.
pub const MAX_REFERENCES: usize = 16;

/// Line and column, from 1.
pub type Place = (usize, usize);

/// One list.
pub struct List {
    pub family: Family,
    pub name: String,
    pub place: Place,
    rules: Vec<Rule>,
    lines: Vec<usize>,
    /// Sequence numbers; a router asks its lines in their order, not in that of the text.
    numbers: Vec<u64>,
    sorted: bool,
}

/// What a router adds to the last sequence number for a line without one.
const STEP: u64 = 10;

impl List {
    /// An empty list.
    pub fn new(family: Family, name: &str, place: Place) -> Self {
        List {
            family,
            name: name.into(),
            place,
            rules: Vec::new(),
            lines: Vec::new(),
            numbers: Vec::new(),
            sorted: true,
        }
    }
    /// Adds an entry of a line, with its sequence number where it has one.
    pub fn push(&mut self, rule: Rule, line: usize, number: Option<u64>) {
        let last = self.numbers.last().copied().unwrap_or(0);
        let again = self.lines.last() == Some(&line);
        let number = if again { last } else { number.unwrap_or_else(|| last.saturating_add(STEP)) };
        self.sorted &= again || number > last || self.numbers.is_empty();
        self.rules.push(rule);
        self.lines.push(line);
        self.numbers.push(number);
    }
    /// Brings the entries into the order of their numbers.
    fn sort(&mut self) -> Result<(), ParseError> {
        if self.sorted {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..self.rules.len()).collect();
        order.sort_by_key(|&i| self.numbers[i]);
        for pair in order.windows(2) {
            if self.numbers[pair[0]] == self.numbers[pair[1]] && self.lines[pair[0]] != self.lines[pair[1]] {
                let line = self.lines[pair[0]].max(self.lines[pair[1]]);
                return Err(error(line, 1, "the number of another line", "each sequence number once"));
            }
        }
        self.rules = order.iter().map(|&i| self.rules[i].clone()).collect();
        self.lines = order.iter().map(|&i| self.lines[i]).collect();
        self.sorted = true;
        Ok(())
    }
}

/// A list that a class names.
pub struct Reference {
    /// Families in which the name may be found.
    pub families: Vec<Family>,
    pub name: String,
    pub place: Place,
}

/// One class.
pub struct Class {
    pub name: String,
    pub lists: Vec<Reference>,
    /// Whether a packet must be in every list.
    pub all: bool,
    pub place: Place,
}

/// A class inside the policy.
pub struct Policed {
    pub class: String,
    pub action: Option<Action>,
    pub place: Place,
}

/// Everything that was read.
pub struct Texts {
    pub lists: Vec<List>,
    pub classes: Vec<Class>,
    policed: Vec<Policed>,
    policy: Option<String>,
    /// Whether a deny keeps packets out of a class; else it is an error there.
    class_deny: bool,
}

impl Texts {
    /// Nothing read yet.
    pub fn new(class_deny: bool) -> Self {
        Texts { lists: Vec::new(), classes: Vec::new(), policed: Vec::new(), policy: None, class_deny }
    }

    /// The list of a name, new or known.
    pub fn list(&mut self, family: Family, name: Word<'_>, line: usize) -> Result<usize, ParseError> {
        if let Some(known) = self.lists.iter().position(|l| l.family == family && l.name == name.text) {
            return Ok(known);
        }
        if self.lists.len() >= MAX_LISTS {
            return Err(error(line, name.column, "too many lists", &format!("at most {MAX_LISTS}")));
        }
        self.lists.push(List::new(family, name.text, (line, name.column)));
        Ok(self.lists.len() - 1)
    }

    /// Begins a class.
    pub fn class(&mut self, name: Word<'_>, all: bool, line: usize) -> Result<usize, ParseError> {
        if self.classes.len() >= MAX_CLASSES {
            return Err(error(line, name.column, "too many classes", &format!("at most {MAX_CLASSES}")));
        }
        self.classes.push(Class { name: name.text.into(), lists: Vec::new(), all, place: (line, name.column) });
        Ok(self.classes.len() - 1)
    }

    /// Adds a list to a class.
    pub fn refer(
        &mut self,
        class: usize,
        families: Vec<Family>,
        name: Word<'_>,
        line: usize,
    ) -> Result<(), ParseError> {
        let lists = &mut self.classes[class].lists;
        if lists.len() >= MAX_REFERENCES {
            return Err(error(line, name.column, "too many lists in a class", &format!("at most {MAX_REFERENCES}")));
        }
        lists.push(Reference { families, name: name.text.into(), place: (line, name.column) });
        Ok(())
    }

    /// Begins or continues the policy; there is one.
    pub fn open_policy(&mut self, w: &Words<'_>, name: Word<'_>) -> Result<(), ParseError> {
        match &self.policy {
            Some(known) if known != name.text => {
                Err(w.error(name, &format!("a second policy, after {known:?}"), "one policy in one text"))
            }
            _ => {
                self.policy = Some(name.text.into());
                Ok(())
            }
        }
    }

    /// A line inside a policy.
    pub fn policy_line(&mut self, w: &mut Words<'_>, first: Word<'_>) -> Result<(), ParseError> {
        if w.take("description") {
            return Ok(());
        }
        if w.take("class") {
            if w.take("type") {
                w.need("the type of the class")?;
            }
            let name = w.need("the name of a class")?;
            self.police(name.text, None, (w.number(), name.column));
            return w.done("the end of the line");
        }
        match self.policed.last_mut() {
            Some(class) => police_line(w, first, class),
            None => Err(w.unknown(first, "class NAME")),
        }
    }

    /// Adds a class with its rate to the policy.
    pub fn police(&mut self, class: &str, action: Option<Action>, place: Place) {
        self.policed.push(Policed { class: class.into(), action, place });
    }

    /// The rules. `implicit_deny` says whether what no line of a list names is dropped.
    pub fn assemble(mut self, implicit_deny: bool) -> Result<Listing, ParseError> {
        if let (None, Some(class)) = (&self.policy, self.classes.first()) {
            return Err(at(class.place, "the class is in no policy", "a policy that uses it"));
        }
        for list in &mut self.lists {
            list.sort()?;
        }
        let limits = self.limits()?;
        let classes = &self.classes;
        self.lists.retain(|l| !classes.iter().flat_map(|c| &c.lists).any(|r| r.takes(l)));
        for (i, list) in self.lists.iter().enumerate() {
            if let Some(other) = self.lists[..i].iter().find(|o| o.family == list.family) {
                let message = format!("a second list of the same family, after {:?}", other.name);
                return Err(at(list.place, &message, "one IPv4 and one IPv6 list in one text"));
            }
        }
        if limits.is_empty() {
            return Ok(self.lists_only(implicit_deny));
        }
        with_limits(self.lists, limits)
    }

    fn lists_only(self, implicit_deny: bool) -> Listing {
        let mut out = Listing::default();
        let mut families: Vec<Family> = Vec::new();
        for list in self.lists {
            families.push(list.family);
            out.rules.rules.extend(list.rules);
            out.lines.extend(list.lines);
        }
        families.sort_unstable();
        for family in families.into_iter().filter(|_| implicit_deny) {
            let matches = Match { dst: vec![family.net(0, 0)], ..Match::default() };
            out.rules.rules.push(Rule { matches, action: Action::Discard });
            out.lines.push(0);
        }
        out
    }

    fn limits(&self) -> Result<Vec<(Rule, usize)>, ParseError> {
        let mut out = Vec::new();
        for p in &self.policed {
            if p.class == "class-default" && p.action.is_none() {
                continue;
            }
            let Some(action) = p.action else {
                return Err(at(p.place, "the class has no rate", "police under the class"));
            };
            let Some(class) = self.classes.iter().find(|c| c.name == p.class) else {
                return Err(at(p.place, "a class of this name is not in the text", "the name of a class above"));
            };
            let matches = self.selected(class)?;
            out.push((Rule { matches, action }, p.place.0));
            if out.len() > MAX_RATES {
                return Err(at(p.place, "too many rates", &format!("at most {MAX_RATES}")));
            }
        }
        Ok(out)
    }

    fn selected(&self, class: &Class) -> Result<Match, ParseError> {
        if class.all && class.lists.len() > 1 {
            return Err(at(class.place, "a packet would have to be in every list", "match-any"));
        }
        let mut found: [Option<HeaderBox>; 2] = [None, None];
        for reference in &class.lists {
            let mut lists = self.lists.iter().filter(|l| reference.takes(l)).peekable();
            if lists.peek().is_none() {
                return Err(at(reference.place, "a list of this name is not in the text", "the name of a list above"));
            }
            for list in lists {
                let deny = list.rules.iter().position(|r| r.action != Action::Permit);
                if let Some(i) = deny.filter(|_| !self.class_deny) {
                    let message = "a deny in the list of a class does not keep packets out of it on this platform";
                    return Err(error(list.lines[i], 1, message, "a list that only permits"));
                }
                let product = product(list).map_err(|message| at(list.place, &message, "one rule in one class"))?;
                let slot = &mut found[list.family as usize];
                if slot.is_some() {
                    return Err(at(
                        reference.place,
                        "a second list of the same family in a class",
                        "one for each family",
                    ));
                }
                *slot = Some(product);
            }
        }
        one_match(&found).ok_or_else(|| {
            at(
                class.place,
                "the lists of the class are not one rule",
                "the same protocol, ports and flags in both families",
            )
        })
    }
}

impl Reference {
    fn takes(&self, list: &List) -> bool {
        self.name == list.name && self.families.contains(&list.family)
    }
}

fn at(place: Place, message: &str, expected: &str) -> ParseError {
    error(place.0, place.1, message, expected)
}

/// What a list permits, if that is one product.
fn product(list: &List) -> Result<HeaderBox, String> {
    let mut denied: Vec<HeaderBox> = Vec::new();
    let mut taken: Vec<(usize, HeaderBox)> = Vec::new();
    for rule in &list.rules {
        let Some(b) = boxes::of_match(&rule.matches, list.family) else { continue };
        if rule.action != Action::Permit {
            denied.push(b);
            continue;
        }
        let mut pieces = vec![b];
        for d in &denied {
            pieces = pieces.iter().flat_map(|p| boxes::subtract(p, d)).collect();
            if taken.len() + pieces.len() > MAX_PIECES {
                return Err(format!("the denies of the list cut it into more than {MAX_PIECES} pieces"));
            }
        }
        taken.extend(pieces.into_iter().map(|p| (0, p)));
        if taken.len().saturating_mul(denied.len() + 1) > MAX_PAIRS {
            return Err("the list has too many lines for a class".into());
        }
    }
    join(&mut taken);
    match &taken[..] {
        [(_, one)] => Ok(one.clone()),
        [] => Err("the list permits nothing".into()),
        _ => Err("the lines of the list are not one rule: sources × destinations × ports of one protocol".into()),
    }
}

/// The match that takes exactly these boxes, if one does.
fn one_match(found: &[Option<HeaderBox>; 2]) -> Option<Match> {
    let some: Vec<(Family, &HeaderBox)> =
        Family::BOTH.into_iter().filter_map(|f| found[f as usize].as_ref().map(|b| (f, b))).collect();
    let first = some.first()?.1;
    if some.iter().any(|(_, b)| (PROTO..=DPORT).any(|f| b[f] != first[f])) {
        return None;
    }
    let nets = |field: usize| some.iter().flat_map(|(f, b)| b[field].prefixes(*f)).collect();
    let ranges = |field: usize| -> Vec<PortRange> {
        let list = first[field].ranges();
        if first[field].is(0, u128::from(u16::MAX)) {
            return Vec::new();
        }
        list.iter().map(|r| PortRange { lo: r.0 as u16, hi: r.1 as u16 }).collect()
    };
    let proto = match first[PROTO].ranges() {
        [(0, 255)] => None,
        [(a, b)] if a == b => Some(*a as u8),
        _ => return None,
    };
    let tcp_flags = match first[FLAGS].is(0, 255) {
        true => None,
        false => {
            let (mask, value) = boxes::flag_test(&first[FLAGS])?;
            Some(TcpFlags { mask, value })
        }
    };
    let fragment = first[FRAG].is(1, 1).then_some(FragmentMatch::Later);
    let m = Match {
        src: nets(SRC),
        dst: nets(DST),
        proto,
        src_ports: ranges(SPORT),
        dst_ports: ranges(DPORT),
        tcp_flags,
        fragment,
        lengths: ranges(LEN),
    };
    // What a match cannot say, such as "no non-first fragments" without a port, shows here.
    let same = |f: Family| boxes::of_match(&m, f).as_ref() == found[f as usize].as_ref();
    (boxes::invalid(&m).is_none() && Family::BOTH.into_iter().all(same)).then_some(m)
}

/// Rules of dropping lists and rates; the lists drop first and then pass everything.
fn with_limits(lists: Vec<List>, limits: Vec<(Rule, usize)>) -> Result<Listing, ParseError> {
    let mut out = Listing::default();
    let mut passed: Vec<(Rule, usize)> = Vec::new();
    let regions: Vec<[Option<HeaderBox>; 2]> =
        limits.iter().map(|(r, _)| Family::BOTH.map(|f| boxes::of_match(&r.matches, f))).collect();
    for list in lists {
        let permit = list.rules.iter().position(|r| r.action == Action::Permit).unwrap_or(list.rules.len());
        let whole = list.rules.get(permit).and_then(|r| boxes::of_match(&r.matches, list.family));
        if whole != Some(boxes::all(list.family)) {
            let message = "beside a policy a list drops first and then permits everything in one line";
            return Err(at(list.place, message, "permit of everything as the first permit"));
        }
        if permit.saturating_mul(regions.len()) > MAX_PAIRS {
            return Err(at(list.place, "the list is too long to be compared with the rates", "fewer lines"));
        }
        for (rule, &line) in list.rules[..permit].iter().zip(&list.lines) {
            let Some(own) = boxes::of_match(&rule.matches, list.family) else { continue };
            if regions.iter().filter_map(|r| r[list.family as usize].as_ref()).any(|r| boxes::overlap(r, &own)) {
                let message =
                    "this line and a rate take the same packets, and which comes first depends on the platform";
                return Err(error(line, 1, message, "a list and rates that do not overlap"));
            }
        }
        let mut rules = list.rules.into_iter().zip(list.lines);
        for (rule, line) in rules.by_ref().take(permit) {
            out.rules.rules.push(rule);
            out.lines.push(line);
        }
        passed.extend(rules.next());
    }
    for (rule, line) in limits.into_iter().chain(passed) {
        out.rules.rules.push(rule);
        out.lines.push(line);
    }
    Ok(out)
}
