//! Requests as TOML or JSON: the same rules without the ambiguities of free text.

use super::{MAX_ITEMS, Notes, RequestError, at};
use crate::range::{Family, RangeSet, number};
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};

/// Which structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    Toml,
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// Free words about the end; its presence answers the question.
    end: Option<String>,
    rules: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    #[serde(default)]
    src: Vec<String>,
    #[serde(default)]
    dst: Vec<String>,
    proto: Option<NumberOrName>,
    #[serde(default)]
    src_ports: Vec<NumberOrName>,
    #[serde(default)]
    dst_ports: Vec<NumberOrName>,
    tcp_flags: Option<String>,
    fragment: Option<FragmentMatch>,
    #[serde(default)]
    lengths: Vec<NumberOrName>,
    action: Option<Action>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrName {
    Number(u32),
    Name(String),
}

/// The structure of a text, if it has one: JSON begins with a brace, TOML with a table or a key.
pub fn kind(text: &str) -> Option<Structure> {
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'))?;
    if first.starts_with('{') {
        return Some(Structure::Json);
    }
    let (key, value) = first.split_once('=').map_or(("", ""), |(k, v)| (k.trim(), v.trim_start()));
    // Any TOML, also of another purpose: read as free text it would be a filter that nobody wrote.
    let named = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let is_key = named && (matches!(key, "end" | "rules") || value.starts_with(['"', '\'', '[', '{']));
    let table = first.starts_with('[') && first.ends_with(']') && first.bytes().any(|b| b.is_ascii_lowercase());
    let is_table = table && first.trim_matches(['[', ']']).bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    (is_table || is_key).then_some(Structure::Toml)
}

pub fn parse(text: &str, kind: Structure) -> Result<(RuleSet, Notes), RequestError> {
    let file: File = match kind {
        Structure::Json => serde_json::from_str(text).map_err(|e| at(e.line(), e.column(), "", &e.to_string()))?,
        Structure::Toml => toml::from_str(text).map_err(|e| {
            let start = e.span().map_or(0, |s| s.start);
            let before = text.get(..start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            at(line, column, text.lines().nth(line - 1).unwrap_or_default(), e.message())
        })?,
    };
    if file.rules.is_empty() {
        return Err(at(1, 1, "rules", "there is no rule"));
    }
    if file.rules.len() > MAX_ITEMS {
        return Err(at(1, 1, "rules", &format!("more than {MAX_ITEMS} rules")));
    }
    let mut rules = RuleSet::default();
    for e in file.rules {
        rules.rules.push(entry(text, e)?);
    }
    Ok((rules, Notes { end: file.end.is_some(), direction: true, ..Notes::default() }))
}

/// An error at the place where the value is written.
fn value_error(text: &str, value: &str, message: &str) -> RequestError {
    let found = text.find(value).unwrap_or(0);
    let before = text.get(..found).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    at(before.matches('\n').count() + 1, column, value, message)
}

fn entry(text: &str, e: Entry) -> Result<Rule, RequestError> {
    let proto = match e.proto {
        None => None,
        Some(NumberOrName::Number(n)) => {
            Some(u8::try_from(n).map_err(|_| value_error(text, &n.to_string(), "a protocol is 0 to 255"))?)
        }
        Some(NumberOrName::Name(name)) => {
            Some(super::free::protocol(&name).ok_or_else(|| value_error(text, &name, "this protocol is not known"))?)
        }
    };
    let addresses = |list: &[String]| -> Result<Vec<IpNet>, RequestError> {
        let mut out = Vec::new();
        for a in list {
            out.extend(address(a).map_err(|m| value_error(text, a, &m))?);
        }
        Ok(out)
    };
    let ports = |list: Vec<NumberOrName>| -> Result<Vec<PortRange>, RequestError> {
        list.into_iter()
            .map(|p| match p {
                NumberOrName::Number(n) => u16::try_from(n)
                    .map(PortRange::one)
                    .map_err(|_| value_error(text, &n.to_string(), "this must be 0 to 65535")),
                NumberOrName::Name(s) => {
                    range(&s).ok_or_else(|| value_error(text, &s, "this must be N or N-M, 0 to 65535"))
                }
            })
            .collect()
    };
    let matches = Match {
        src: addresses(&e.src)?,
        dst: addresses(&e.dst)?,
        proto,
        src_ports: ports(e.src_ports)?,
        dst_ports: ports(e.dst_ports)?,
        tcp_flags: e.tcp_flags.map(|f| flags(&f).ok_or_else(|| value_error(text, &f, FLAGS_HELP))).transpose()?,
        fragment: e.fragment,
        lengths: ports(e.lengths)?,
    };
    Ok(Rule { matches, action: e.action.unwrap_or(Action::Discard) })
}

const FLAGS_HELP: &str = "TCP flags are written as syn,!ack";

fn flags(text: &str) -> Option<TcpFlags> {
    let mut t = TcpFlags { mask: 0, value: 0 };
    for word in text.split(',').map(str::trim) {
        let (name, set) = word.strip_prefix('!').map_or((word, true), |n| (n, false));
        let bit = crate::dialect::flag_bit(name)?;
        if t.mask & bit != 0 {
            return None;
        }
        t = TcpFlags { mask: t.mask | bit, value: if set { t.value | bit } else { t.value } };
    }
    Some(t)
}

fn range(text: &str) -> Option<PortRange> {
    let (lo, hi) = text.split_once('-').unwrap_or((text, text));
    let r = PortRange { lo: lo.trim().parse().ok()?, hi: hi.trim().parse().ok()? };
    (r.lo <= r.hi).then_some(r)
}

/// `A`, `A/N` or `A-B`.
fn address(text: &str) -> Result<Vec<IpNet>, String> {
    if let Some((a, b)) = text.split_once('-') {
        let parse = |s: &str| s.trim().parse::<IpAddr>().map_err(|_| format!("{:?} is not an address", s.trim()));
        let (a, b) = (parse(a)?, parse(b)?);
        if Family::of(a) != Family::of(b) {
            return Err("a range needs two addresses of one family".into());
        }
        if number(a) > number(b) {
            return Err("the range ends before it starts".into());
        }
        return Ok(RangeSet::one(number(a), number(b)).prefixes(Family::of(a)));
    }
    if let Ok(a) = text.trim().parse::<IpAddr>() {
        return Ok(vec![IpNet::from(a)]);
    }
    let net: IpNet = text.trim().parse().map_err(|_| "this is not an address, prefix or range".to_owned())?;
    if net.trunc() != net {
        return Err(format!("host bits are set; the prefix is {}", net.trunc()));
    }
    Ok(vec![net])
}
