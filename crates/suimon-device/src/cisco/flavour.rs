//! How one family of command lines spells what the driver wants.

use crate::bound::Bound;
use crate::config::{Binding, Direction};

/// A named list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliList {
    /// Its name.
    pub name: String,
    /// Whether it is of IPv6.
    pub v6: bool,
    /// Its entries in IOS's words, without indentation.
    pub entries: Vec<String>,
}

impl CliList {
    /// The list as IOS writes it.
    pub fn text(&self) -> String {
        let head = if self.v6 { "ipv6 access-list" } else { "ip access-list extended" };
        let entries: String = self.entries.iter().map(|e| format!(" {e}\n")).collect();
        format!("{head} {}\n{entries}", self.name)
    }
}

/// The words of one family of command lines. Names were checked before they come here.
pub trait Flavour: Send + Sync {
    /// Lines at the start of a session (no paging); that a platform lacks one is no error.
    fn prepare(&self) -> Vec<&'static str> {
        vec!["terminal length 0", "terminal width 512"]
    }
    /// Shows the configuration.
    fn show(&self) -> &'static str {
        "show running-config"
    }
    /// Every list of the configuration.
    fn lists(&self, config: &str) -> Vec<CliList>;
    /// Every binding of the configuration.
    fn bound(&self, config: &str) -> Vec<Bound>;
    /// Lines that enter a new list, from the configuration mode back to it.
    fn enter(&self, list: &CliList) -> Vec<String>;
    /// Lines that remove a list.
    fn remove(&self, list: &CliList) -> Vec<String>;
    /// Lines that bind or unbind a list.
    fn bind(&self, bound: &Bound, on: bool) -> Vec<String>;
    /// Enters the configuration mode so that the device rolls back by itself after `minutes`; `None` where no such thing is.
    fn revert(&self, minutes: u32) -> Option<String>;
    /// Shows how often entries of a list matched; `None` where nothing counts.
    fn counters(&self, list: &CliList) -> Option<String>;
}

/// Cisco IOS and IOS XE.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ios;

/// Top-level lines with the indented lines below them.
pub(crate) fn blocks(config: &str) -> Vec<(&str, Vec<&str>)> {
    let mut out: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in config.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
        match (line.starts_with(' '), out.last_mut()) {
            (true, Some((_, body))) => body.push(line.trim_start()),
            _ => out.push((line, Vec::new())),
        }
    }
    out
}

fn direction(word: &str) -> Option<Direction> {
    match word {
        "in" => Some(Direction::In),
        "out" => Some(Direction::Out),
        _ => None,
    }
}

impl Flavour for Ios {
    fn lists(&self, config: &str) -> Vec<CliList> {
        let of = |(head, body): (&str, Vec<&str>)| {
            let (v6, name) = match head.split(' ').collect::<Vec<_>>().as_slice() {
                ["ip", "access-list", "extended", name] => (false, (*name).to_owned()),
                ["ipv6", "access-list", name] => (true, (*name).to_owned()),
                _ => return None,
            };
            let remark = |e: &str| e.split(' ').take(3).any(|w| w == "remark");
            let entries = body.into_iter().filter(|e| !remark(e)).map(str::to_owned).collect();
            Some(CliList { name, v6, entries })
        };
        blocks(config).into_iter().filter_map(of).collect()
    }

    fn bound(&self, config: &str) -> Vec<Bound> {
        let mut out = Vec::new();
        for (head, body) in blocks(config) {
            let Some(interface) = head.strip_prefix("interface ") else { continue };
            for line in body {
                let (v6, name, way) = match line.split(' ').collect::<Vec<_>>().as_slice() {
                    ["ip", "access-group", name, way] => (false, *name, *way),
                    ["ipv6", "traffic-filter", name, way] => (true, *name, *way),
                    _ => continue,
                };
                let Some(direction) = direction(way) else { continue };
                let at = Binding { interface: interface.to_owned(), direction };
                out.push(Bound { at, v6, name: name.to_owned() });
            }
        }
        out
    }

    fn enter(&self, list: &CliList) -> Vec<String> {
        let mut lines: Vec<String> = list.text().lines().map(|l| l.trim_start().to_owned()).collect();
        lines.push("exit".into());
        lines
    }

    fn remove(&self, list: &CliList) -> Vec<String> {
        let head = if list.v6 { "ipv6 access-list" } else { "ip access-list extended" };
        vec![format!("no {head} {}", list.name)]
    }

    fn bind(&self, b: &Bound, on: bool) -> Vec<String> {
        let no = if on { "" } else { "no " };
        let word = if b.v6 { "ipv6 traffic-filter" } else { "ip access-group" };
        let way = if b.at.direction == Direction::In { "in" } else { "out" };
        vec![format!("interface {}", b.at.interface), format!("{no}{word} {} {way}", b.name), "exit".into()]
    }

    fn revert(&self, minutes: u32) -> Option<String> {
        Some(format!("configure terminal revert timer {minutes}"))
    }

    fn counters(&self, list: &CliList) -> Option<String> {
        Some(format!("show {} {}", if list.v6 { "ipv6 access-list" } else { "ip access-lists" }, list.name))
    }
}

/// Matches of entries that deny, summed: `10 deny udp any host 192.0.2.9 (42 matches)`.
pub(super) fn matches(said: &str) -> u64 {
    let of = |l: &str| {
        let (rule, rest) = l.rsplit_once('(')?;
        rule.split_whitespace().any(|w| w == "deny").then_some(())?;
        rest.split_once(" match")?.0.parse::<u64>().ok()
    };
    said.lines().filter_map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a router of this family prints it.
    const CONFIG: &str = "Building configuration...\n\nCurrent configuration : 1520 bytes\n!\nversion 15.9\nhostname r1\n!\n\
        interface GigabitEthernet0/0\n ip address 192.0.2.1 255.255.255.0\n ip access-group EDGE-IN in\n \
        ipv6 traffic-filter SUIMON-M-12-V6 in\n duplex auto\n!\ninterface GigabitEthernet0/1\n no ip address\n \
        ip access-group SUIMON-M-12 out\n!\nip access-list extended SUIMON-M-12\n remark case C-1\n 10 deny   udp any host 192.0.2.9\n \
        20 permit ip any any\nipv6 access-list SUIMON-M-12-V6\n sequence 10 deny udp any host 2001:DB8::9\n sequence 20 permit ipv6 any any\n!\nend\n";

    #[test]
    fn lists_and_bindings_are_read_from_a_configuration() {
        let lists = Ios.lists(CONFIG);
        assert_eq!(
            lists.iter().map(|l| (l.name.as_str(), l.v6, l.entries.len())).collect::<Vec<_>>(),
            [("SUIMON-M-12", false, 2), ("SUIMON-M-12-V6", true, 2)]
        );
        let bound = Ios.bound(CONFIG);
        let short: Vec<_> = bound.iter().map(|b| (b.at.interface.as_str(), b.at.direction, b.name.as_str())).collect();
        assert_eq!(
            short,
            [
                ("GigabitEthernet0/0", Direction::In, "EDGE-IN"),
                ("GigabitEthernet0/0", Direction::In, "SUIMON-M-12-V6"),
                ("GigabitEthernet0/1", Direction::Out, "SUIMON-M-12"),
            ]
        );
        // What it reads back is what it would enter.
        let text: String = lists.iter().map(CliList::text).collect();
        let read = suimon_filter::dialect::parse(&text, suimon_filter::dialect::Dialect::CiscoIos).unwrap();
        assert!(read.rules.rules.len() >= 4, "{read:?}");
        assert_eq!(
            Ios.bind(&bound[2], false),
            ["interface GigabitEthernet0/1", "no ip access-group SUIMON-M-12 out", "exit"]
        );
    }

    #[test]
    fn matches_of_denies_are_summed() {
        let said = "Extended IP access list SUIMON-M-12\n    10 deny udp any host 192.0.2.9 (42 matches)\n    \
                    20 deny icmp any any (1 match)\n    30 permit ip any any (999 matches)\n    40 deny ip any any\n";
        assert_eq!(matches(said), 43);
    }
}
