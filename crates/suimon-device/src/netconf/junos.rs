//! Junos over NETCONF: filters enter as the compiler's text and are read back as text.
//!
//! Sources: Juniper, NETCONF XML Management Protocol Developer Guide (`edit-config` with `config-text`,
//! `get-configuration` with `format="text"`, `get-firewall-filter-information`).

use super::message::{below, document, escaped};
use super::{NcList, Platform};
use crate::bound::Bound;
use crate::braces::{self, Statement};
use crate::config::{Binding, Direction};
use crate::observed::Counters;
use suimon_filter::dialect::Dialect;

/// Juniper routers and switches with Junos.
#[derive(Clone, Copy, Debug, Default)]
pub struct Junos;

const FAMILIES: [(&str, bool); 2] = [("inet", false), ("inet6", true)];

fn family(v6: bool) -> &'static str {
    if v6 { "inet6" } else { "inet" }
}

fn way(b: &Binding) -> &'static str {
    if b.direction == Direction::In { "input" } else { "output" }
}

/// `ge-0/0/0.7` is unit 7 of `ge-0/0/0`; without a number unit 0.
fn unit(interface: &str) -> (&str, &str) {
    match interface.rsplit_once('.') {
        Some((name, unit)) if unit.chars().all(|c| c.is_ascii_digit()) && !unit.is_empty() => (name, unit),
        _ => (interface, "0"),
    }
}

fn lists(all: &[Statement]) -> Vec<NcList> {
    let mut out = Vec::new();
    let mut take = |s: &Statement, v6: bool| {
        let [word, name] = s.words.as_slice() else { return };
        if word != "filter" || s.body.is_none() {
            return;
        }
        let wrapped = Statement { words: vec!["family".into(), family(v6).into()], body: Some(vec![s.clone()]) };
        let text = Statement { words: vec!["firewall".into()], body: Some(vec![wrapped]) }.text(0);
        let lines = s.inside().iter().filter(|t| t.words.first().is_some_and(|w| w == "term")).count();
        out.push(NcList { name: name.clone(), v6, text, lines });
    };
    for firewall in all.iter().filter(|s| s.is(&["firewall"])) {
        for s in firewall.inside() {
            for (name, v6) in FAMILIES {
                if s.is(&["family", name]) {
                    s.inside().iter().for_each(|f| take(f, v6));
                }
            }
            // The old place of IPv4 filters.
            take(s, false);
        }
    }
    out
}

fn bound(all: &[Statement]) -> Vec<Bound> {
    let mut out = Vec::new();
    for interface in all.iter().filter(|s| s.is(&["interfaces"])).flat_map(Statement::inside) {
        let Some(name) = interface.words.last() else { continue };
        for u in interface.inside() {
            let [word, number] = u.words.as_slice() else { continue };
            if word != "unit" {
                continue;
            }
            for (family, v6) in FAMILIES {
                let filters = u.inside().iter().filter(|s| s.is(&["family", family])).flat_map(Statement::inside);
                for s in filters.filter(|s| s.is(&["filter"])).flat_map(Statement::inside) {
                    let Some((word, names)) = s.words.split_first() else { continue };
                    let direction = match word.as_str() {
                        "input" | "input-list" => Direction::In,
                        "output" | "output-list" => Direction::Out,
                        _ => continue,
                    };
                    for list in names.iter().map(|n| n.trim_matches(['[', ']'])).filter(|n| !n.is_empty()) {
                        let at = Binding { interface: format!("{name}.{number}"), direction };
                        out.push(Bound { at, v6, name: list.to_owned() });
                    }
                }
            }
        }
    }
    out
}

impl Platform for Junos {
    fn dialect(&self) -> Dialect {
        Dialect::Junos
    }

    fn read(&self) -> String {
        "<get-configuration database=\"committed\" format=\"text\"><configuration><firewall/><interfaces/></configuration>\
         </get-configuration>"
            .into()
    }

    fn understand(&self, reply: &str) -> Result<(Vec<NcList>, Vec<Bound>), String> {
        let doc = document(reply)?;
        let text: String = below(doc.root_element(), "configuration-text").filter_map(|n| n.text()).collect();
        let all = braces::parse(&text)?;
        Ok((lists(&all), bound(&all)))
    }

    fn binding(&self, b: &Binding) -> Binding {
        let (name, unit) = unit(&b.interface);
        Binding { interface: format!("{name}.{unit}"), direction: b.direction }
    }

    fn enter(&self, text: &str, bind: &[Bound]) -> String {
        let mut all = text.to_owned();
        for b in bind {
            let (name, unit) = unit(&b.at.interface);
            let (family, way) = (family(b.v6), way(&b.at));
            all.push_str(&format!(
                "interfaces {{\n    {name} {{\n        unit {unit} {{\n            family {family} {{\n                filter {{\n                    \
                 {way} {};\n                }}\n            }}\n        }}\n    }}\n}}\n",
                b.name
            ));
        }
        format!(
            "<default-operation>merge</default-operation><config-text><configuration-text>{}</configuration-text></config-text>",
            escaped(&all)
        )
    }

    fn remove(&self, lists: &[NcList], unbind: &[Bound]) -> String {
        let delete = "nc:operation=\"delete\"";
        let mut out = String::new();
        for b in unbind {
            let (name, unit) = unit(&b.at.interface);
            let (f, way) = (family(b.v6), way(&b.at));
            out.push_str(&format!(
                "<interfaces><interface><name>{name}</name><unit><name>{unit}</name><family><{f}><filter><{way} {delete}/>\
                 </filter></{f}></family></unit></interface></interfaces>"
            ));
        }
        for l in lists {
            let f = family(l.v6);
            out.push_str(&format!(
                "<firewall><family><{f}><filter {delete}><name>{}</name></filter></{f}></family></firewall>",
                l.name
            ));
        }
        format!(
            "<default-operation>none</default-operation><config><configuration xmlns:nc=\"{}\">{out}</configuration></config>",
            super::message::BASE
        )
    }

    fn count(&self, list: &NcList) -> Option<String> {
        let name = &list.name;
        Some(format!(
            "<get-firewall-filter-information><filtername>{name}</filtername></get-firewall-filter-information>"
        ))
    }

    fn counted(&self, reply: &str) -> Option<Counters> {
        let doc = document(reply).ok()?;
        let sum = |name: &'static str| -> u64 {
            let numbers = below(doc.root_element(), name).filter_map(|n| n.text()?.trim().parse::<u64>().ok());
            numbers.fold(0, u64::saturating_add)
        };
        below(doc.root_element(), "counter").next()?;
        Some(Counters { packets: sum("packet-count"), octets: Some(sum("byte-count")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_bindings_are_read_from_text() {
        let text = "## Last commit: 2026-11-22 05:00:00 UTC by suimon\ninterfaces {\n ge-0/0/0 {\n  unit 7 {\n   family inet {\n    filter {\n     \
            input SUIMON-M-12;\n     output-list [ EDGE-OUT SUIMON-M-13 ];\n    }\n   }\n  }\n }\n}\nfirewall {\n family inet {\n  \
            filter SUIMON-M-12 {\n   term T10 {\n    from {\n     destination-address {\n      192.0.2.9/32;\n     }\n    }\n    then {\n     count T10;\n     \
            discard;\n    }\n   }\n   term REST {\n    then accept;\n   }\n  }\n }\n}\n";
        let reply = format!(
            "<rpc-reply><configuration-text xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\">{text}</configuration-text></rpc-reply>"
        );
        let (lists, bound) = Junos.understand(&reply).unwrap();
        assert_eq!((lists.len(), lists[0].lines, lists[0].v6), (1, 2, false));
        assert!(suimon_filter::dialect::parse(&lists[0].text, Dialect::Junos).is_ok());
        let names: Vec<_> = bound.iter().map(|b| (b.at.interface.as_str(), b.name.as_str())).collect();
        assert_eq!(names, [("ge-0/0/0.7", "SUIMON-M-12"), ("ge-0/0/0.7", "EDGE-OUT"), ("ge-0/0/0.7", "SUIMON-M-13")]);
    }

    #[test]
    fn counters_of_terms_are_summed() {
        let reply = "<rpc-reply><firewall-information><filter-information><filter-name>SUIMON-M-12</filter-name>\
            <counter><counter-name>T10</counter-name><packet-count>40</packet-count><byte-count>4000</byte-count></counter>\
            <counter><counter-name>T20</counter-name><packet-count>2</packet-count><byte-count>200</byte-count></counter>\
            </filter-information></firewall-information></rpc-reply>";
        assert_eq!(Junos.counted(reply), Some(Counters { packets: 42, octets: Some(4_200) }));
        assert_eq!(Junos.counted("<rpc-reply/>"), None);
    }
}
