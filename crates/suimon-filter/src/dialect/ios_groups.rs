//! Object groups of addresses in Cisco IOS lists: each line with a group is read as one line for each member.

use super::scan::{Word, Words, error};
use super::{Listing, ParseError};
use crate::range::{Family, RangeSet, number};
use ipnet::Ipv4Net;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Most lines after members were written out.
pub const MAX_LINES: usize = 1_000_000;

/// The text with groups written out, and for each of its lines the line it came from, from 1.
///
/// # Errors
/// At the first line of a group that is not understood, or at a group that is not defined.
pub fn written_out(text: &str) -> Result<(Cow<'_, str>, Vec<usize>), ParseError> {
    if !text.contains("object-group") {
        return Ok((Cow::Borrowed(text), Vec::new()));
    }
    let groups = groups(text)?;
    let mut out = String::with_capacity(text.len() * 2);
    let mut from = Vec::new();
    let mut inside = false;
    let mut last = 0;
    for (i, line) in text.lines().enumerate() {
        let mut w = Words::new(i + 1, line)?;
        let first = w.peek().map_or("", |f| f.text);
        if first == "object-group" {
            inside = true;
            continue;
        }
        inside &= is_member(first);
        if inside {
            continue;
        }
        let mut rows: Vec<String> = vec![String::new()];
        // Numbers in rising order say nothing more than the order of the lines, and members have no number of their own.
        if first == "sequence" {
            w.next();
        }
        if let Some(word) = w.peek().filter(|x| x.text.bytes().all(|b| b.is_ascii_digit())) {
            let number = word.text.parse::<u32>().ok().filter(|n| *n > last);
            last = number
                .ok_or_else(|| w.unknown(word, "a higher number than before: with groups, lines stand in order"))?;
            w.next();
        } else if matches!(first, "ip" | "ipv6") {
            last = 0;
        }
        while let Some(word) = w.next() {
            let options: Vec<String> = if word.text == "object-group" {
                let name = w.need("the name of a group")?;
                let known = groups.get(name.text);
                known.cloned().ok_or_else(|| w.unknown(name, "the name of a group that is defined in this text"))?
            } else {
                vec![word.text.to_owned()]
            };
            if rows.len().saturating_mul(options.len()) + from.len() > MAX_LINES {
                return Err(w.error(word, "too many members", &format!("at most {MAX_LINES} lines when written out")));
            }
            rows = rows.iter().flat_map(|r| options.iter().map(move |o| format!("{r} {o}"))).collect();
        }
        for row in rows {
            out.push_str(&row);
            out.push('\n');
            from.push(i + 1);
        }
    }
    Ok((Cow::Owned(out), from))
}

/// Puts the lines of the original text into what was read of the written-out one.
pub fn renumber(read: Result<Listing, ParseError>, from: &[usize]) -> Result<Listing, ParseError> {
    if from.is_empty() {
        return read;
    }
    let of = |line: usize| line.checked_sub(1).and_then(|i| from.get(i).copied()).unwrap_or(0);
    match read {
        Ok(mut listing) => {
            listing.lines.iter_mut().for_each(|l| *l = of(*l));
            Ok(listing)
        }
        // The column would be that of a line that nobody wrote.
        Err(e) => Err(ParseError { line: of(e.line).max(1), column: 1, ..e }),
    }
}

fn is_member(first: &str) -> bool {
    first.is_empty()
        || matches!(first, "host" | "range" | "any" | "description" | "group-object")
        || first.parse::<Ipv4Addr>().is_ok()
}

/// Members of each group as addresses of a list.
fn groups(text: &str) -> Result<BTreeMap<String, Vec<String>>, ParseError> {
    let mut out: BTreeMap<String, Vec<(u128, u128)>> = BTreeMap::new();
    let mut current: Option<String> = None;
    for (i, line) in text.lines().enumerate() {
        let mut w = Words::new(i + 1, line)?;
        let Some(first) = w.next() else { continue };
        if first.text == "object-group" {
            let kind = w.need("network NAME")?;
            if kind.text != "network" {
                return Err(w.unknown(kind, "network (groups of services are not read)"));
            }
            let name = w.need("the name of the group")?;
            if out.insert(name.text.to_owned(), Vec::new()).is_some() {
                return Err(w.error(name, "a group twice", "each group once"));
            }
            current = Some(name.text.to_owned());
            continue;
        }
        let Some(name) = current.clone().filter(|_| is_member(first.text)) else {
            current = None;
            continue;
        };
        let known = out.clone();
        let Some(list) = out.get_mut(&name) else { continue };
        match first.text {
            "description" => {}
            "any" => list.push((0, Family::V4.max())),
            "host" => {
                let a = address(&mut w)?;
                list.push((a, a));
            }
            "range" => {
                let (a, b) = (address(&mut w)?, address(&mut w)?);
                if b < a {
                    return Err(w.error(first, "the range ends before it starts", "the lower address first"));
                }
                list.push((a, b));
            }
            "group-object" => {
                let other = w.need("the name of a group")?;
                let members = known.get(other.text).ok_or_else(|| w.unknown(other, "a group that stands above"))?;
                list.extend(members);
            }
            text => {
                let mask = w.need("a subnet mask such as 255.255.255.0")?;
                let net = (text.parse().ok(), mask.text.parse().ok());
                let net = match net {
                    (Some(a), Some(m)) => Ipv4Net::with_netmask(a, m).ok(),
                    _ => None,
                };
                let net = net.ok_or_else(|| w.unknown(mask, "a subnet mask such as 255.255.255.0"))?;
                list.push((number(IpAddr::V4(net.network())), number(IpAddr::V4(net.broadcast()))));
            }
        }
        if let Some(extra) = w.next() {
            return Err(w.unknown(extra, "the end of the line"));
        }
    }
    let mut written = BTreeMap::new();
    for (name, list) in out {
        if list.is_empty() {
            return Err(error(1, 1, &format!("the group {name:?} has no members"), "host, range or network members"));
        }
        written.insert(name, RangeSet::new(list).prefixes(Family::V4).iter().map(member).collect());
    }
    Ok(written)
}

fn member(net: &ipnet::IpNet) -> String {
    match net {
        ipnet::IpNet::V4(n) if n.prefix_len() == 0 => "any".into(),
        ipnet::IpNet::V4(n) => format!("{} {}", n.network(), n.hostmask()),
        ipnet::IpNet::V6(n) => n.to_string(),
    }
}

fn address(w: &mut Words<'_>) -> Result<u128, ParseError> {
    let word: Word<'_> = w.need("an IPv4 address")?;
    let a: Ipv4Addr = word.text.parse().map_err(|_| w.unknown(word, "an IPv4 address"))?;
    Ok(a.to_bits().into())
}
