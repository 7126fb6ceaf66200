//! IOS XR over NETCONF: its own command text both ways, in the module `Cisco-IOS-XR-cli-cfg` of releases from 7.1 on.
//!
//! Source: Cisco's published examples of that module (`get-config` with the filter `<cli/>`, `edit-config` with `<cli>`).

use super::message::{below, document, escaped};
use super::{NcList, Platform};
use crate::bound::Bound;
use crate::cisco::blocks;
use crate::config::{Binding, Direction};
use crate::observed::Counters;
use suimon_filter::dialect::Dialect;

/// Cisco routers with IOS XR.
#[derive(Clone, Copy, Debug, Default)]
pub struct IosXr;

const CLI: &str = "http://cisco.com/ns/yang/Cisco-IOS-XR-cli-cfg";

fn family(v6: bool) -> &'static str {
    if v6 { "ipv6" } else { "ipv4" }
}

fn way(b: &Binding) -> &'static str {
    if b.direction == Direction::In { "ingress" } else { "egress" }
}

fn edit(text: &str) -> String {
    format!("<default-operation>merge</default-operation><config><cli xmlns=\"{CLI}\">{}</cli></config>", escaped(text))
}

impl Platform for IosXr {
    fn dialect(&self) -> Dialect {
        Dialect::CiscoXr
    }

    fn read(&self) -> String {
        format!(
            "<get-config><source><running/></source><filter type=\"subtree\"><cli xmlns=\"{CLI}\"/></filter></get-config>"
        )
    }

    fn understand(&self, reply: &str) -> Result<(Vec<NcList>, Vec<Bound>), String> {
        let doc = document(reply)?;
        // A router that does not know the module answers with empty data: that is not "nothing is there".
        let cli = below(doc.root_element(), "cli").next();
        let text = cli.and_then(|n| n.text()).ok_or("no <cli>: the release lacks the module Cisco-IOS-XR-cli-cfg")?;
        let (mut lists, mut bound) = (Vec::new(), Vec::new());
        for (head, body) in blocks(text) {
            match head.split(' ').collect::<Vec<_>>().as_slice() {
                [family @ ("ipv4" | "ipv6"), "access-list", name] => {
                    let rule = |e: &&&str| e.split(' ').nth(1).is_some_and(|w| w == "permit" || w == "deny");
                    let rules: Vec<&str> = body.iter().filter(rule).copied().collect();
                    // What is no rule of ours stays in the text, so that the comparison sees it.
                    let shown = body.iter().filter(|e| **e != "!" && e.split(' ').nth(1) != Some("remark"));
                    let entries: String = shown.map(|e| format!(" {e}\n")).collect();
                    let text = format!("{family} access-list {name}\n{entries}");
                    let (name, v6) = ((*name).to_owned(), *family == "ipv6");
                    lists.push(NcList { name, v6, text, lines: rules.len() });
                }
                ["interface", rest @ ..] => {
                    // `interface preconfigure X` binds nothing yet and is read like any other.
                    let Some(interface) = rest.last() else { continue };
                    for line in body {
                        let words: Vec<&str> = line.split(' ').collect();
                        let [family @ ("ipv4" | "ipv6"), "access-group", name, way, ..] = words.as_slice() else {
                            continue;
                        };
                        let direction = if *way == "ingress" { Direction::In } else { Direction::Out };
                        let at = Binding { interface: (*interface).to_owned(), direction };
                        bound.push(Bound { at, v6: *family == "ipv6", name: (*name).to_owned() });
                    }
                }
                _ => {}
            }
        }
        Ok((lists, bound))
    }

    fn enter(&self, text: &str, bind: &[Bound]) -> String {
        // Committing is the protocol's here, not the text's.
        let mut all: String = text.lines().filter(|l| *l != "commit").flat_map(|l| [l, "\n"]).collect();
        for b in bind {
            let (f, w) = (family(b.v6), way(&b.at));
            all.push_str(&format!("interface {}\n {f} access-group {} {w}\n", b.at.interface, b.name));
        }
        edit(&all)
    }

    fn remove(&self, lists: &[NcList], unbind: &[Bound]) -> String {
        let mut all = String::new();
        for b in unbind {
            let (f, w) = (family(b.v6), way(&b.at));
            all.push_str(&format!("interface {}\n no {f} access-group {} {w}\n", b.at.interface, b.name));
        }
        for l in lists {
            all.push_str(&format!("no {} access-list {}\n", family(l.v6), l.name));
        }
        edit(&all)
    }

    fn count(&self, _: &NcList) -> Option<String> {
        None
    }

    fn counted(&self, _: &str) -> Option<Counters> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_bindings_are_read_from_the_text() {
        let text = "!! IOS XR Configuration 7.1.1\nhostname r1\ninterface GigabitEthernet0/0/0/0\n ipv4 access-group EDGE-IN ingress\n \
            ipv6 access-group SUIMON-M-12-V6 egress\n!\nipv4 access-list SUIMON-M-12\n 10 remark case C-1\n 20 deny udp any host 192.0.2.9\n \
            30 permit ipv4 any any\n!\nend\n";
        let reply = format!("<rpc-reply><data><cli xmlns=\"{CLI}\">{text}</cli></data></rpc-reply>");
        let (lists, bound) = IosXr.understand(&reply).unwrap();
        assert_eq!((lists.len(), lists[0].lines), (1, 2));
        assert!(suimon_filter::dialect::parse(&lists[0].text, Dialect::CiscoXr).is_ok());
        assert_eq!((bound.len(), bound[1].v6, bound[1].at.direction), (2, true, Direction::Out));
        assert!(IosXr.understand("<rpc-reply><data/></rpc-reply>").unwrap_err().contains("lacks the module"));
    }
}
