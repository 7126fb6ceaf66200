//! Lists and the interfaces they are bound to, in configurations of the IOS kind.

use super::{FindingId, LintOptions, Severity, Subject};
use crate::range::Family;
use ipnet::{IpNet, Ipv4Net};
use std::net::Ipv4Addr;
use suimon_base::Action;

/// A list on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    interface: String,
    /// `true` for packets that arrive at the router by it.
    inbound: bool,
    family: Family,
    list: String,
    /// The line of the text, from 1.
    line: usize,
    /// Networks of the interface's own addresses.
    connected: Vec<IpNet>,
}

/// The text without its interface parts, line by line, and what those bind.
pub fn take_interfaces(text: &str) -> (Vec<String>, Vec<Binding>) {
    let mut kept = Vec::new();
    let mut out: Vec<Binding> = Vec::new();
    let mut interface: Option<(String, Vec<IpNet>)> = None;
    for (i, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["interface", name @ ..] => {
                interface = Some((name.join(" "), Vec::new()));
                kept.push(String::new());
                continue;
            }
            // A list begins, or a line that does not belong to the interface.
            [] | ["!", ..] => {}
            _ if !line.starts_with(char::is_whitespace) || words.contains(&"access-list") => interface = None,
            _ => {}
        }
        let Some((name, connected)) = &mut interface else {
            kept.push(line.to_owned());
            continue;
        };
        kept.push(String::new());
        if let Some(net) = own_network(&words) {
            connected.push(net);
        }
        if let Some((family, list, inbound)) = bound(&words) {
            let (interface, connected, list) = (name.clone(), connected.clone(), list.to_owned());
            out.push(Binding { interface, inbound, family, list, line: i + 1, connected });
        }
    }
    (kept, out)
}

fn own_network(words: &[&str]) -> Option<IpNet> {
    match words {
        ["ip" | "ipv4" | "ipv6", "address", net] => net.parse::<IpNet>().ok().map(|n| n.trunc()),
        ["ip" | "ipv4", "address", a, m, ..] => {
            let (a, m): (Ipv4Addr, Ipv4Addr) = (a.parse().ok()?, m.parse().ok()?);
            Ipv4Net::with_netmask(a, m).ok().map(|n| IpNet::V4(n.trunc()))
        }
        _ => None,
    }
}

fn bound<'a>(words: &[&'a str]) -> Option<(Family, &'a str, bool)> {
    let way = |w: &str| match w {
        "in" | "ingress" | "inbound" => Some(true),
        "out" | "egress" | "outbound" => Some(false),
        _ => None,
    };
    match words {
        ["ip" | "ipv4", "access-group", list, dir, ..] => Some((Family::V4, list, way(dir)?)),
        ["ipv6", "access-group" | "traffic-filter", list, dir, ..] => Some((Family::V6, list, way(dir)?)),
        ["traffic-filter", dir, "acl", "name", list, ..] => Some((Family::V4, list, way(dir)?)),
        ["traffic-filter", dir, "ipv6", "acl", "name", list, ..] => Some((Family::V6, list, way(dir)?)),
        ["traffic-filter", dir, "acl", list, ..] => Some((Family::V4, list, way(dir)?)),
        _ => None,
    }
}

fn word(inbound: bool) -> &'static str {
    if inbound { "in" } else { "out" }
}

/// The names of lists in a configuration, with their lines.
fn names<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(usize, &'a str)> {
    let of = |l: &'a str| {
        let w: Vec<&str> = l.split_whitespace().collect();
        match w.as_slice() {
            ["ip", "access-list", "extended", name] => Some(*name),
            ["ip" | "ipv4" | "ipv6", "access-list", name] => Some(*name),
            ["acl", "name" | "number", name, ..] | ["acl", name] => Some(*name),
            _ => None,
        }
    };
    lines.enumerate().filter_map(|(i, l)| of(l).map(|n| (i + 1, n))).collect()
}

pub fn judge(s: &mut Subject<'_>, options: &LintOptions) {
    let bindings = s.bindings.clone();
    let running = options.running.as_deref().filter(|_| super::like_ios(s.dialect));
    let before = running.map(|r| take_interfaces(r).1).unwrap_or_default();
    for (i, b) in bindings.iter().enumerate() {
        let place = |x: &&Binding| x.interface == b.interface && x.inbound == b.inbound && x.family == b.family;
        let own = bindings[..i].iter().rfind(place);
        let Some(old) = own.or_else(|| before.iter().rfind(place)).filter(|o| o.list != b.list) else { continue };
        let from = if own.is_some() { format!("bound on line {}", old.line) } else { "bound there now".to_owned() };
        let why = format!(
            "an interface takes one list for each direction and family: {} replaces {} ({from}) on {} {}, and what that list drops passes from then on",
            b.list,
            old.list,
            b.interface,
            word(b.inbound)
        );
        let fix = format!("read {} back first and put its lines into {}, or use another place", old.list, b.list);
        s.find(FindingId::ReplacesList, Severity::Error, b.line, why, fix);
    }
    if let Some(running) = running {
        let known: Vec<&str> = names(running.lines()).into_iter().map(|n| n.1).collect();
        let mine: Vec<(usize, String)> =
            names(s.lines.iter().copied()).into_iter().map(|(l, n)| (l, n.to_owned())).collect();
        for (line, name) in mine.into_iter().filter(|(_, n)| known.contains(&n.as_str())) {
            let why =
                format!("a list {name} exists on the device: these lines are added to it, after or between its own");
            let fix =
                "use a fresh versioned name (`filter compile --name`) and rebind, so that the undo is exact".into();
            s.find(FindingId::AddsToList, Severity::Error, line, why, fix);
        }
    }
    for b in &bindings {
        remark_says(s, b);
        connected(s, b);
    }
}

/// A remark that names the other direction than the binding.
fn remark_says(s: &mut Subject<'_>, b: &Binding) {
    let remarks = crate::text::remarks(&s.lines);
    let says = |inbound: bool| {
        let list: &[&str] = if inbound {
            &["inbound", "ingress", "direction in", "受信方向", "流入"]
        } else {
            &["outbound", "egress", "direction out", "送信方向", "流出"]
        };
        remarks.iter().find(|(_, l)| {
            let words: Vec<String> = l.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
            let line = format!(" {} ", words.join(" "));
            list.iter().any(|w| line.contains(&format!(" {w} ")) || (!w.is_ascii() && line.contains(w)))
        })
    };
    if let (Some(&(at, _)), None) = (says(!b.inbound), says(b.inbound)) {
        let why = format!("it is bound {}, and the remark on line {at} says {}", word(b.inbound), word(!b.inbound));
        let fix = "look at which side of the interface the attack comes from, and correct the one that is wrong".into();
        s.find(FindingId::WrongDirection, Severity::Error, b.line, why, fix).others = vec![at];
    }
}

/// A list bound so that packets cannot pass it the way its lines say: what is connected to an interface is the source
/// of what comes in by it and the destination of what goes out by it.
fn connected(s: &mut Subject<'_>, b: &Binding) {
    let inside = |list: &[IpNet]| !list.is_empty() && list.iter().all(|n| b.connected.iter().any(|c| c.contains(n)));
    let mut lines: Vec<usize> = (s.listing.rules.rules.iter().zip(&s.listing.lines))
        .filter(|(r, l)| {
            let m = &r.matches;
            let (gone, other) = if b.inbound { (&m.dst, &m.src) } else { (&m.src, &m.dst) };
            **l > 0 && r.action != Action::Permit && inside(gone) && !inside(other)
        })
        .map(|(_, l)| *l)
        .collect();
    lines.dedup();
    let Some((&first, rest)) = lines.split_first() else { return };
    let (end, must) = if b.inbound { ("destination", "out") } else { ("source", "in") };
    let why = format!(
        "its {end} is connected to {}, but the list is bound {} there: such packets pass the interface in the other direction",
        b.interface,
        word(b.inbound)
    );
    let fix = format!(
        "bind the list {must} on {} (line {}), or {} at the interface where the attack enters",
        b.interface,
        b.line,
        word(b.inbound)
    );
    s.find(FindingId::WrongDirection, Severity::Error, first, why, fix).others =
        rest.iter().copied().take(super::MAX_PLACES).collect();
}
