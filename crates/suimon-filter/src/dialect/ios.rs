//! Writing Cisco IOS named extended access lists.

use super::names::{FLAGS, ios_proto};
use super::{Dialect, Written};
use crate::compile::{CompileError, Options, least_lines};
use crate::cover::{Line, Shape};
use crate::range::Family;
use ipnet::IpNet;
use std::fmt::Write as _;
use suimon_base::{Action, PortRange, RuleSet};

const SHAPE: Shape = Shape { port_ranges: false, flag_bits: 0x3f, lengths: false, port_protos: &[6, 17] };
/// Distance between sequence numbers, so that a person can put a line between two.
const STEP: usize = 10;

/// Lists for the families that the rules touch.
pub fn write(rules: &RuleSet, options: &Options) -> Result<Written, CompileError> {
    for (rule, r) in rules.rules.iter().enumerate() {
        if let Some(reason) = refused(r) {
            return Err(CompileError::Unsupported { dialect: Dialect::CiscoIos, rule, reason: reason.into() });
        }
    }
    let name = options.full_name();
    let mut out = Written { text: String::new(), undo: String::new(), lines: 0, least: true, warnings: Vec::new() };
    let mut undo = Vec::new();
    for family in Family::BOTH {
        let (lines, least) = least_lines(rules, family, Dialect::CiscoIos, SHAPE)?;
        if lines.is_empty() {
            continue;
        }
        out.least &= least;
        out.lines += lines.len() + 1;
        let (list, kind) = match family {
            Family::V4 => (name.clone(), "ip access-list extended"),
            Family::V6 => (format!("{name}-V6"), "ipv6 access-list"),
        };
        list_text(&mut out.text, family, &format!("{kind} {list}"), &lines, options);
        undo.push(format!("no {kind} {list}"));
        let group = if family == Family::V4 { "ip access-group" } else { "ipv6 traffic-filter" };
        out.warnings.push(format!(
            "bind it with `{group} {list} in|out`; what is bound there before is replaced, so read it back first, and \
             unbind before the undo"
        ));
    }
    if out.text.is_empty() {
        return Err(CompileError::Nothing);
    }
    if !out.text.contains("\nipv6 ") && !out.text.starts_with("ipv6 ") {
        out.warnings.push("the request names no IPv6 addresses: IPv6 traffic is not filtered".into());
    }
    out.undo = undo.join("\n") + "\n";
    Ok(out)
}

/// Why IOS cannot say this, if it cannot.
fn refused(rule: &suimon_base::Rule) -> Option<&'static str> {
    let m = &rule.matches;
    if matches!(rule.action, Action::LimitPps(_) | Action::LimitBps(_)) {
        return Some("an access list passes or drops; a rate needs a policy-map on the interface");
    }
    if !m.lengths.is_empty() {
        return Some("an access list cannot test the packet length; nftables and Flowspec can");
    }
    if m.tcp_flags.is_some_and(|t| t.mask & !SHAPE.flag_bits != 0) {
        return Some("an access list tests only the TCP flags fin syn rst psh ack urg, not ece and cwr");
    }
    if m.tcp_flags.is_some() && crate::boxes::of_match(m, Family::V6).is_some() {
        return Some("an IPv6 access list cannot say that a TCP flag is not set; name the IPv4 addresses");
    }
    let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
    if ports && !m.proto.is_some_and(|p| SHAPE.port_protos.contains(&p)) {
        return Some("an access list takes ports only with tcp and udp");
    }
    None
}

fn list_text(out: &mut String, family: Family, head: &str, lines: &[Line], options: &Options) {
    let _ = writeln!(out, "{head}");
    for r in options.remarks() {
        let _ = writeln!(out, " remark {r}");
    }
    let mut number = 0;
    let mut row = |body: &str| {
        number += STEP;
        // IPv6 lists number their lines with a keyword.
        let _ = match family {
            Family::V4 => writeln!(out, " {number} {body}"),
            Family::V6 => writeln!(out, " sequence {number} {body}"),
        };
    };
    for l in lines {
        row(&entry(l, family));
    }
    row(match family {
        Family::V4 => "permit ip any any",
        Family::V6 => "permit ipv6 any any",
    });
}

fn entry(l: &Line, family: Family) -> String {
    let any = if family == Family::V4 { "ip" } else { "ipv6" };
    let proto = l.proto.map_or_else(|| any.to_owned(), |p| ios_proto(p, family));
    let mut s = format!("deny {proto} {}{} {}{}", address(&l.src), port(l.sport), address(&l.dst), port(l.dport));
    if let Some((mask, value)) = l.flags {
        s.push_str(" match-all");
        for (name, bit) in FLAGS.iter().filter(|f| mask & f.1 != 0) {
            let sign = if value & bit != 0 { '+' } else { '-' };
            let _ = write!(s, " {sign}{name}");
        }
    }
    if l.later {
        s.push_str(" fragments");
    }
    s
}

fn port(p: Option<PortRange>) -> String {
    p.map_or_else(String::new, |p| format!(" eq {}", p.lo))
}

fn address(net: &IpNet) -> String {
    match net {
        n if n.prefix_len() == 0 => "any".into(),
        IpNet::V4(n) if n.prefix_len() == 32 => format!("host {}", n.addr()),
        IpNet::V4(n) => format!("{} {}", n.network(), n.hostmask()),
        IpNet::V6(n) if n.prefix_len() == 128 => format!("host {}", n.addr()),
        IpNet::V6(n) => n.to_string(),
    }
}
