//! A router's filter as the request (catalogue rows 81, 131: a list from the customer is the fastest and the common
//! language). The dialect's own reader reads it; what was said around it in the mail must say nothing about the filter.

use super::lex;
use super::{Notes, RequestError, at};
use crate::boxes;
use crate::dialect::{self, Dialect};
use crate::range::Family;
use suimon_base::{Action, Rule, RuleSet};

/// Most lines around the list that are passed over and named in a question.
pub const MAX_UNREAD_LINES: usize = 200;

/// What the beginning of a line says about the dialect, most telling first; where several dialects share a line, the
/// first of them that can read the text is taken.
const SIGNS: [(&[&str], &[&str]); 11] = [
    (&["nftables"], &["table inet ", "table ip ", "table ip6 ", "#!/usr/sbin/nft", "add rule inet ", "nft add "]),
    (&["junos"], &["set firewall ", "firewall {", "family inet {", "family inet6 {"]),
    (
        &["nokia-sros"],
        &["/configure filter ", "configure filter ", "/configure { filter", "ip-filter ", "ipv6-filter "],
    ),
    (&["huawei-vrp"], &["acl number ", "acl name ", "acl ipv6 "]),
    (&["mikrotik"], &["/ip firewall ", "/ipv6 firewall ", "/ip/firewall", "/ipv6/firewall"]),
    (&["flowspec"], &["match destination ", "match source ", "match protocol "]),
    (&["rtbh"], &["route "]),
    (&["cisco-xr"], &["ipv4 access-list "]),
    (&["cisco-ios"], &["ip access-list extended ", "access-list 1", "access-list 2"]),
    (&["cisco-nxos", "arista-eos"], &["ip access-list "]),
    (
        &["cisco-ios", "cisco-xr", "cisco-nxos", "arista-eos"],
        &[
            "ipv6 access-list ",
            "permit ip ",
            "permit tcp ",
            "permit udp ",
            "deny ip ",
            "deny tcp ",
            "deny udp ",
            "deny icmp ",
            "deny gre ",
            "deny esp ",
        ],
    ),
];

/// Whether a line begins with one of the signs. "Route" is a word of mails too, so it counts only with a community.
fn shows(line: &str, signs: &[&str]) -> bool {
    signs.iter().any(|s| line.starts_with(s) && (*s != "route " || line.contains(" community ")))
}

/// A line without what a mail program puts before it.
fn unquoted(line: &str) -> &str {
    let mut rest = line;
    loop {
        let cut = rest.strip_prefix("> ").or_else(|| rest.strip_prefix('>')).or_else(|| rest.strip_prefix("| "));
        let Some(next) = cut.or_else(|| rest.trim_start().strip_prefix('>')) else { return rest };
        rest = next;
    }
}

/// `10 deny …` and `sequence 10 deny …` without the number.
fn unnumbered(line: &str) -> &str {
    let line = line.trim_start();
    let line = line.strip_prefix("sequence ").or_else(|| line.strip_prefix("seq ")).unwrap_or(line);
    line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()
}

/// The dialect that a text shows: by the line that says most, wherever it stands. `Err` names a dialect that is known
/// but that this program cannot read.
pub fn recognise(text: &str) -> Option<Result<Dialect, &'static str>> {
    let lines: Vec<&str> = text.lines().map(|l| unnumbered(unquoted(l))).collect();
    let found = SIGNS.iter().find(|(_, signs)| lines.iter().any(|l| shows(l, signs)))?;
    let known: Vec<Dialect> = found.0.iter().filter_map(|n| n.parse().ok()).collect();
    let Some(&first) = known.first() else { return Some(Err(found.0.first().copied().unwrap_or_default())) };
    let reads = |d: &&Dialect| list_of(text).is_ok_and(|(list, _)| dialect::parse(&list, **d).is_ok());
    // Reading is dear only where there is a choice.
    let chosen = if known.len() == 1 { Some(&first) } else { known.iter().find(reads) };
    Some(Ok(chosen.copied().unwrap_or(first)))
}

/// Whether a line may belong to a list of the dialect; others at the beginning and the end are the mail around it.
fn belongs(line: &str) -> bool {
    let l = unnumbered(line);
    const STARTS: [&str; 41] = [
        "ip ",
        "ipv4 ",
        "ipv6 ",
        "access-list",
        "permit",
        "deny",
        "remark",
        "no ",
        "!",
        "#",
        "exit",
        "end",
        "acl ",
        "rule ",
        "step",
        "set ",
        "firewall",
        "family",
        "filter",
        "term",
        "from",
        "then",
        "table",
        "chain",
        "type ",
        "policy",
        "add ",
        "flush",
        "define",
        "match ",
        "/",
        "entry",
        "action",
        "configure",
        "commit",
        "description",
        "statistics",
        "}",
        "{",
        "interface",
        "route ",
    ];
    STARTS.iter().any(|s| l.starts_with(s))
}

/// The lines that the reader is given: the list, with the mail around it left empty so that places stay.
fn list_of(text: &str) -> Result<(String, Vec<String>), RequestError> {
    let lines: Vec<&str> = text.lines().map(unquoted).collect();
    let telling = |l: &&str| {
        let l = unnumbered(l);
        SIGNS.iter().any(|(_, signs)| shows(l, signs))
    };
    // Groups and prefix lists stand before the list that names them.
    let defines = |l: &&str| ["object-group ", "policy-options"].iter().any(|s| l.trim_start().starts_with(s));
    let first = lines.iter().position(|l| telling(l) || defines(l)).unwrap_or(0);
    let last = lines.iter().rposition(|l| belongs(l)).unwrap_or(lines.len().saturating_sub(1)).max(first);
    let mut unread = Vec::new();
    let mut kept = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().enumerate() {
        if (first..=last).contains(&i) || line.trim().is_empty() {
            kept.push(*line);
            continue;
        }
        kept.push("");
        let comment = ["!", "#"].iter().any(|c| line.trim_start().starts_with(c));
        if comment || lex::is_header(line) {
            continue;
        }
        let says = lex::tokens(line).map_err(|e| RequestError { line: i + 1, ..e })?;
        let address = says.iter().find(|t| matches!(t.kind, lex::Kind::Addr(_)));
        if let Some(t) = address.or_else(|| says.iter().find(|t| super::free::changes_meaning(t))) {
            let message =
                "this stands outside the list and may change what it means; put it into the list, or take it away";
            return Err(at(i + 1, t.column, &t.text, message));
        }
        if unread.len() < MAX_UNREAD_LINES {
            unread.push(line.trim().chars().take(60).collect());
        }
    }
    Ok((kept.join("\n"), unread))
}

/// Reads a list as a request.
pub fn parse(text: &str, dialect: Dialect) -> Result<(RuleSet, Notes), RequestError> {
    let (list, unread_lines) = list_of(text)?;
    let listing = dialect::parse(&list, dialect).map_err(|e| {
        let line = text.lines().nth(e.line.saturating_sub(1)).unwrap_or_default();
        at(e.line, e.column, line.trim(), &format!("{dialect}: {}; expected {}", e.message, e.expected))
    })?;
    let says_end = crate::text::says_end(&list);
    let mut notes = Notes { end: says_end, direction: true, unread_lines, ..Notes::default() };
    let rules: Vec<(Rule, usize)> = listing.rules.rules.into_iter().zip(listing.lines).collect();
    let rules = without_the_end(rules, &mut notes);
    Ok((without_idle_permits(rules), notes))
}

/// The end that a router adds. A list of denies alone names what to drop, and nobody means the rest with it; a list with
/// permits says what may pass, and its end is kept.
fn without_the_end(rules: Vec<(Rule, usize)>, notes: &mut Notes) -> Vec<Rule> {
    let permits = rules.iter().any(|(r, l)| *l > 0 && r.action == Action::Permit);
    let ends = rules.iter().any(|(r, l)| *l == 0 && r.action == Action::Discard);
    let whole = |f: Family| {
        let all = |r: &Rule| boxes::of_match(&r.matches, f).is_some_and(|b| b == boxes::all(f));
        rules.iter().any(|(r, l)| *l > 0 && r.action == Action::Permit && all(r))
    };
    let closed = Family::BOTH.map(whole);
    let mut out = Vec::with_capacity(rules.len());
    for (rule, line) in rules {
        let of = Family::BOTH.into_iter().filter(|&f| boxes::of_match(&rule.matches, f).is_some());
        let unreachable = of.clone().all(|f| closed[f as usize]);
        if line == 0 && rule.action == Action::Discard && (unreachable || !permits) {
            continue;
        }
        out.push(rule);
    }
    notes.end_left_out = ends && !permits;
    notes.end_kept = permits && out.iter().any(|r| r.action == Action::Discard && is_whole(r));
    out
}

fn is_whole(r: &Rule) -> bool {
    Family::BOTH.into_iter().any(|f| boxes::of_match(&r.matches, f).is_some_and(|b| b == boxes::all(f)))
}

/// Permits with nothing after them that they could keep from being dropped do nothing, since what matches no rule passes.
fn without_idle_permits(rules: Vec<Rule>) -> RuleSet {
    let boxed: Vec<[Option<boxes::HeaderBox>; 2]> =
        rules.iter().map(|r| Family::BOTH.map(|f| boxes::of_match(&r.matches, f))).collect();
    let mut out = Vec::with_capacity(rules.len());
    let mut later: Vec<usize> = Vec::new();
    for (i, rule) in rules.into_iter().enumerate().rev() {
        let meets = |j: &usize| {
            boxed[i].iter().zip(&boxed[*j]).any(|(a, b)| matches!((a, b), (Some(a), Some(b)) if boxes::overlap(a, b)))
        };
        if rule.action != Action::Permit {
            later.push(i);
        } else if !later.iter().any(meets) {
            continue;
        }
        out.push(rule);
    }
    out.reverse();
    RuleSet { rules: out }
}
