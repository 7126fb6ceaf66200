//! What the routers hold, asked of themselves.

use crate::net::Net;
use crate::proc;
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// The BGP peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// On edge 1.
    Bird,
    /// On edge 2.
    Frr,
    /// In the transit network.
    Gobgp,
    /// In the management network.
    Exabgp,
}

impl Peer {
    /// All of them.
    pub const ALL: [Peer; 4] = [Peer::Bird, Peer::Frr, Peer::Gobgp, Peer::Exabgp];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Bird => "BIRD",
            Peer::Frr => "FRR",
            Peer::Gobgp => "GoBGP",
            Peer::Exabgp => "ExaBGP",
        }
    }

    /// Its routes: `hole PREFIX` for a black hole, `flow PREFIX` for a Flowspec rule by its destination.
    pub fn routes(self, net: &Net) -> Result<BTreeSet<String>> {
        Ok(match self {
            Peer::Bird => bird(&birdc(net, "show route")?),
            Peer::Frr => {
                let unicast: Value = serde_json::from_str(&vtysh(net, "show bgp ipv4 unicast json")?)?;
                let holes = unicast["routes"].as_object().into_iter().flatten().map(|(k, _)| format!("hole {k}"));
                let flows = vtysh(net, "show bgp ipv4 flowspec")?;
                let flows = flows.lines().filter_map(|l| after(l, " to ")).map(|d| format!("flow {d}"));
                holes.chain(flows).collect()
            }
            Peer::Gobgp => {
                let holes = gobgp_rib(net, "ipv4")?;
                let flows = gobgp_rib(net, "ipv4-flowspec")?;
                let flow = |k: &String| after(k, "destination: ").map(|d| format!("flow {}", d.trim_end_matches(']')));
                holes.iter().map(|k| format!("hole {k}")).chain(flows.iter().filter_map(flow)).collect()
            }
            Peer::Exabgp => exabgp(&std::fs::read_to_string(net.folder().join("exabgp.seen")).unwrap_or_default()),
        })
    }

    /// Whether its session with Suimon stands.
    pub fn is_up(self, net: &Net) -> bool {
        let said = match self {
            Peer::Bird => birdc(net, "show protocols suimon").map(|t| t.contains("Established")),
            Peer::Frr => vtysh(net, "show bgp neighbors 192.0.2.10").map(|t| t.contains("BGP state = Established")),
            Peer::Gobgp => gobgp(net, &["neighbor"]).map(|t| t.contains("Establ")),
            Peer::Exabgp => {
                let seen = std::fs::read_to_string(net.folder().join("exabgp.seen")).unwrap_or_default();
                let mut states =
                    seen.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).filter(|v| v["type"] == "state");
                Ok(states.next_back().is_some_and(|v| v["neighbor"]["state"] == "up"))
            }
        };
        said.unwrap_or(false)
    }

    /// Ends the session from the peer's side.
    pub fn reset(self, net: &Net) -> Result<()> {
        match self {
            Peer::Bird => drop(birdc(net, "restart suimon")?),
            Peer::Frr => drop(vtysh(net, "clear bgp *")?),
            Peer::Gobgp => {
                gobgp(net, &["neighbor", crate::net::SUIMON, "disable"])?;
                crate::clock::sleep_ms(500);
                gobgp(net, &["neighbor", crate::net::SUIMON, "enable"])?;
            }
            Peer::Exabgp => anyhow::bail!("ExaBGP has no such command"),
        }
        Ok(())
    }
}

/// The word after `mark`.
fn after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let rest = line.get(line.find(mark)? + mark.len()..)?;
    rest.split(|c: char| c.is_whitespace() || c == ';' || c == ']').next()
}

fn bird(text: &str) -> BTreeSet<String> {
    let ours = text.lines().filter(|l| l.contains("[suimon "));
    ours.filter_map(|l| match l.strip_prefix("flow4 ") {
        Some(flow) => after(flow, "dst ").map(|d| format!("flow {d}")),
        None => l.split_whitespace().next().map(|d| format!("hole {d}")),
    })
    .collect()
}

/// Follows what ExaBGP wrote down from the last start of the session.
fn exabgp(seen: &str) -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for line in seen.lines() {
        // The last line may be half written.
        let Ok(v) = serde_json::from_str::<Value>(line) else { continue };
        if v["type"] == "state" {
            routes.clear();
        }
        let update = &v["neighbor"]["message"]["update"];
        let mut named = Vec::new();
        names(&update["announce"], &mut named);
        routes.extend(named.drain(..));
        names(&update["withdraw"], &mut named);
        for name in named {
            routes.remove(&name);
        }
    }
    routes
}

fn names(v: &Value, out: &mut Vec<String>) {
    match v {
        Value::Object(map) => match (v["string"].as_str(), v["nlri"].as_str()) {
            (Some(flow), _) => out.extend(after(flow, "destination-ipv4 ").map(|d| format!("flow {d}"))),
            (None, Some(prefix)) => out.push(format!("hole {prefix}")),
            _ => map.values().for_each(|v| names(v, out)),
        },
        Value::Array(list) => list.iter().for_each(|v| names(v, out)),
        _ => {}
    }
}

/// Asks BIRD.
pub fn birdc(net: &Net, ask: &str) -> Result<String> {
    proc::run(Command::new("birdc").arg("-s").arg(net.folder().join("bird.ctl")).args(ask.split(' ')))
}

/// Asks FRR.
pub fn vtysh(net: &Net, ask: &str) -> Result<String> {
    proc::run(
        Command::new("vtysh").arg("--vty_socket").arg(net.folder().join("frr/vty")).args(["-d", "bgpd", "-c", ask]),
    )
}

/// Asks GoBGP.
pub fn gobgp(net: &Net, args: &[&str]) -> Result<String> {
    proc::run(net.command("transit", "gobgp").args(args))
}

fn gobgp_rib(net: &Net, family: &str) -> Result<Vec<String>> {
    let text = gobgp(net, &["global", "rib", "-a", family, "-j"])?;
    let all: Value = serde_json::from_str(&text)?;
    Ok(all.as_object().map(|m| m.keys().cloned().collect()).unwrap_or_default())
}

/// Black holes for the customer in an edge router's kernel.
pub fn kernel_holes(net: &Net, edge: &str) -> Result<BTreeSet<String>> {
    let text = proc::run(Command::new("ip").args(["-n", &net.name(edge), "route", "show", "type", "blackhole"]))?;
    let hosts = text.lines().filter_map(|l| l.split_whitespace().nth(1)).filter(|h| h.starts_with("203.0.113."));
    Ok(hosts.map(str::to_owned).collect())
}

/// Tables of Suimon's in an edge router's kernel.
pub fn tables(net: &Net, edge: &str) -> Result<BTreeSet<String>> {
    let text = proc::run(net.command(edge, "nft").args(["list", "tables"]))?;
    Ok(text
        .lines()
        .filter_map(|l| l.split_whitespace().nth(2))
        .filter(|t| t.starts_with("suimon_"))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_from_what_the_programs_print() {
        let said = "Table master4:\n192.0.2.254/32       blackhole [static1 07:43:17.756] * (200)\n\
                    203.0.113.66/32      blackhole [suimon 07:45:33.294 from 192.0.2.10] * (100/?) [i]\n\nTable ft4:\n\
                    flow4 { dst 203.0.113.80/32; proto 17; sport 53; }  [suimon 07:45:33.294 from 192.0.2.10] * (100) [i]\n";
        let both = BTreeSet::from(["flow 203.0.113.80/32".to_owned(), "hole 203.0.113.66/32".to_owned()]);
        assert_eq!(bird(said), both);
        let state = r#"{"type":"state","neighbor":{"state":"up"}}"#;
        let flow = r#"{"type":"update","neighbor":{"message":{"update":{"announce":{"ipv4 flow":{"no-nexthop":[{"destination-ipv4":["203.0.113.80/32"],"string":"flow destination-ipv4 203.0.113.80/32 protocol =udp"}]}}}}}}"#;
        let hole = r#"{"type":"update","neighbor":{"message":{"update":{"announce":{"ipv4 unicast":{"192.0.2.254":[{"nlri":"203.0.113.66/32"}]}}}}}}"#;
        let gone = r#"{"type":"update","neighbor":{"message":{"update":{"withdraw":{"ipv4 unicast":[{"nlri":"203.0.113.66/32"}]}}}}}"#;
        assert_eq!(exabgp(&[state, flow, hole].join("\n")), both);
        assert_eq!(exabgp(&[state, flow, hole, gone].join("\n")).len(), 1);
        assert_eq!(exabgp(&[flow, hole, state].join("\n")).len(), 0);
        assert_eq!(after("*>i to 203.0.113.80/32 proto = 17", " to "), Some("203.0.113.80/32"));
    }
}
