//! Findings about how the text is written.

use super::{FindingId, MAX_PLACES, Severity, Subject, like_ios};
use crate::boxes::{self, FIELDS, FRAG};
use crate::dialect::{Dialect, ParseError};
use crate::range::Family;
use crate::text::says_end;
use std::net::Ipv4Addr;
use suimon_base::Match;
use suimon_base::rule::FragmentMatch;

/// A line that the reader does not take.
pub fn syntax(s: &mut Subject<'_>, e: &ParseError) {
    let line = s.lines.get(e.line.saturating_sub(1)).copied().unwrap_or_default();
    let column = e.column;
    let (id, why, fix) = if let Some((addr, mask)) = netmask(line).filter(|_| like_ios(s.dialect)) {
        let wild = Ipv4Addr::from_bits(!mask.to_bits());
        let why =
            format!("{mask} is a netmask; as a wildcard it takes every address whose last bits are those of {addr}");
        (FindingId::NetmaskForWildcard, why, format!("write {addr} {wild}"))
    } else if e.message.contains("port") && e.message.contains("protocol") {
        (FindingId::PortWithoutProtocol, e.message.clone(), format!("write {}", e.expected))
    } else {
        (FindingId::Syntax, e.message.clone(), format!("write {}", e.expected))
    };
    s.find(id, Severity::Error, e.line, why, fix).column = Some(column);
}

/// An address followed by a netmask that is no usual wildcard.
fn netmask(line: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let words: Vec<Option<Ipv4Addr>> = line.split_whitespace().map(|w| w.parse().ok()).collect();
    words.windows(2).find_map(|pair| match pair {
        [Some(a), Some(m)] => {
            let bits = m.to_bits();
            let mask = bits.leading_ones() + bits.trailing_zeros() == 32 && m.octets()[0] == 255 && bits != u32::MAX;
            mask.then_some((*a, *m))
        }
        _ => None,
    })
}

pub fn judge(s: &mut Subject<'_>) {
    end_of_filter(s);
    if like_ios(s.dialect) {
        order(s);
    }
    if s.dialect == Dialect::Nftables {
        fragment_tests(s);
    }
}

/// Rules with ports or flags that the kernel also asks of non-first fragments, where other octets stand; the reader takes
/// such rules as if they tested it, as routers do.
fn fragment_tests(s: &mut Subject<'_>) {
    let mut at: Vec<usize> = Vec::new();
    for family in Family::BOTH {
        let whole = boxes::all(family);
        let open =
            |m: &Match| boxes::of_match(m, family).is_some_and(|b| (0..FIELDS).all(|f| f == FRAG || b[f] == whole[f]));
        for (rule, &line) in s.listing.rules.rules.iter().zip(&s.listing.lines) {
            let m = &rule.matches;
            // Decided here already, so nothing behind it sees such a fragment of the family.
            if m.fragment == Some(FragmentMatch::Later) && open(m) {
                break;
            }
            let asks = !m.src_ports.is_empty() || !m.dst_ports.is_empty() || m.tcp_flags.is_some();
            let own = s.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
            if asks && line > 0 && boxes::of_match(m, family).is_some() && !own.contains("frag") {
                at.push(line);
            }
        }
    }
    at.sort_unstable();
    at.dedup();
    let Some((&first, rest)) = at.split_first() else { return };
    let why = "the kernel reads ports and flags of non-first fragments too, from octets that are no ports: such a fragment \
               may be dropped or let through by chance";
    let fix = "for IPv4 add `ip frag-off & 0x1fff == 0` to the rule; for IPv6 put `frag frag-off != 0 accept` (or drop) before it";
    let found = s.find(FindingId::FragmentTest, Severity::Warning, first, why.into(), fix.into());
    found.others = rest.iter().copied().take(MAX_PLACES).collect();
}

fn end_of_filter(s: &mut Subject<'_>) {
    if s.listing.rules.rules.is_empty() {
        return;
    }
    if says_end(&s.lines.join("\n")) {
        return;
    }
    let why = "no remark says when the filter ends; a filter without an end stays for years";
    let fix = "add a remark with the end, such as `remark end 2026-12-01T00:00Z` (`filter compile --end`)";
    s.find(FindingId::NoEnd, Severity::Warning, 0, why.into(), fix.into());
}

/// Routers ask numbered lines by their numbers, whatever their order in the text.
fn order(s: &mut Subject<'_>) {
    let mut last: Option<(u64, usize)> = None;
    let mut found = Vec::new();
    for (i, line) in s.lines.iter().enumerate() {
        let mut words = line.split_whitespace().peekable();
        if words.peek().is_some_and(|w| {
            matches!(*w, "ip" | "ipv4" | "ipv6" | "acl" | "access-list" | "object-group" | "interface")
        }) {
            last = None;
            continue;
        }
        if words.peek().is_some_and(|w| matches!(*w, "sequence" | "seq" | "rule")) {
            words.next();
        }
        let Some(n) = words.next().and_then(|w| w.parse::<u64>().ok()) else { continue };
        // VRP describes a rule by its number.
        if words.peek() == Some(&"description") {
            continue;
        }
        if let Some((before, at)) = last.filter(|l| n <= l.0) {
            found.push((i + 1, n, before, at));
        }
        last = Some((n, i + 1));
    }
    for (line, n, before, at) in found {
        let why = if n == before {
            format!("the number {n} stands already on line {at}: the router refuses this line or replaces that one")
        } else {
            format!("its number {n} is below {before} on line {at}: the router asks it earlier than the text shows")
        };
        let fix = "number the lines rising, in the order in which they are meant to be asked".into();
        s.find(FindingId::SequenceOrder, Severity::Error, line, why, fix).others = vec![at];
    }
}
