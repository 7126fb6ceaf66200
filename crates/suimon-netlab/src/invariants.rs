//! What must hold at every moment, whatever breaks.
//!
//! 1. No measure in the network without a ledger entry that wants it.
//! 2. No ledger entry that says "applied" without the measure in the network.
//! 3. Nothing forwarded that should be dropped for longer than a stated bound.
//! 4. Nothing dropped after its end for longer than a stated bound.
//!
//! The first two compare `suimon measure list` with what the routers say of themselves; the others are read from the
//! kernel's counters of packets sent and arrived.

use crate::attack::Stream;
use crate::clock;
use crate::lab::Lab;
use crate::meter::Look;
use crate::peers::{self, Peer};
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// What should become of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Should {
    /// It arrives.
    Pass,
    /// It does not.
    Drop,
    /// The written expectation allows either for now (a named exception).
    Either,
}

/// What should become of the streams, from when on.
#[derive(Debug, Default)]
pub struct Expected {
    marks: Vec<(Stream, u64, Should)>,
}

impl Expected {
    /// From now on.
    pub fn from_now(&mut self, stream: Stream, should: Should) {
        self.marks.push((stream, clock::ms(), should));
    }

    /// The longest time that a stream was treated otherwise without a break, milliseconds: wrongly forwarded, wrongly dropped.
    pub fn worst(&self, lab: &Lab) -> (u64, u64) {
        let mut worst = (0, 0);
        for stream in Stream::ALL {
            let marks: Vec<_> = self.marks.iter().filter(|m| m.0 == stream).collect();
            for (i, (_, from, should)) in marks.iter().enumerate() {
                let to = marks.get(i + 1).map_or(u64::MAX, |m| m.1);
                let looks: Vec<_> = lab.meter.looks(stream, *from).into_iter().filter(|l| l.to_ms <= to).collect();
                match should {
                    Should::Drop => worst.0 = worst.0.max(longest(&looks, |l| !l.dropped())),
                    Should::Pass => worst.1 = worst.1.max(longest(&looks, Look::dropped)),
                    Should::Either => {}
                }
            }
        }
        worst
    }
}

/// The longest run of looks that are wrong, milliseconds; looks that say nothing neither begin nor end one.
fn longest(looks: &[Look], wrong: impl Fn(&Look) -> bool) -> u64 {
    let (mut longest, mut since) = (0, None);
    for look in looks.iter().filter(|l| l.says()) {
        if wrong(look) {
            let from = *since.get_or_insert(look.from_ms);
            longest = longest.max(look.to_ms - from);
        } else {
            since = None;
        }
    }
    longest
}

/// Waits until a stream is treated so, two looks in a row.
///
/// # Errors
/// When it is not within `bound_ms`.
pub fn wait_for(lab: &Lab, stream: Stream, should: Should, bound_ms: u64) -> Result<u64> {
    let start = clock::ms();
    let found = clock::until(bound_ms, || {
        let looks: Vec<_> = lab.meter.looks(stream, start).into_iter().filter(Look::says).collect();
        let two = looks.get(looks.len().checked_sub(2)?..)?;
        two.iter().all(|l| l.dropped() == (should == Should::Drop)).then_some(())
    });
    match found {
        Some(((), took)) => Ok(took),
        None => {
            let (sent, arrived) = lab.meter.rates(stream, start);
            bail!(
                "{} to {} should {} and does not within {:.1} s: {sent:.0} packets/s sent, {arrived:.0} arrive",
                stream.name(),
                stream.target(),
                if should == Should::Drop { "be dropped" } else { "pass" },
                bound_ms as f64 / 1_000.0
            )
        }
    }
}

/// What differs between ledger and network now, in words. `except` names places that are not looked at: an edge router
/// or a peer that is down, which the fault's expectation must say.
pub fn differences(lab: &Lab, except: &[&str]) -> Result<Vec<String>> {
    let mut tables = [BTreeSet::new(), BTreeSet::new()];
    let mut routes = BTreeSet::new();
    let mut out = Vec::new();
    for m in lab.list()?.iter().filter(|m| m["act"] != "collect-flows") {
        let (id, status) = (m["id"].as_str().unwrap_or_default(), m["status"].as_str().unwrap_or_default());
        if matches!(status, "applying" | "releasing") {
            out.push(format!("{id} is still {status}"));
        }
        if status != "applied" {
            continue;
        }
        let whole = lab.measure(id)?;
        let text = whole["draft"]["plan"]["text"].as_str().unwrap_or_default();
        match whole["draft"]["hand"].as_str() {
            Some("edge1") => drop(tables[0].insert(table_of(id))),
            Some("edge2") => drop(tables[1].insert(table_of(id))),
            Some("bgp") => routes.extend(text.lines().filter_map(route_of)),
            _ => {}
        }
    }
    for (edge, wanted) in ["edge1", "edge2"].iter().zip(&tables) {
        if !except.contains(edge) {
            compare(edge, wanted, &peers::tables(lab.net(), edge)?, &mut out);
        }
    }
    for peer in Peer::ALL {
        if !except.contains(&peer.name()) {
            compare(peer.name(), &routes, &peer.routes(lab.net())?, &mut out);
        }
    }
    for (edge, peer) in [("edge1", Peer::Bird), ("edge2", Peer::Frr)] {
        if !except.contains(&peer.name()) {
            let holes = |set: &BTreeSet<String>| -> BTreeSet<String> {
                set.iter()
                    .filter_map(|r| r.strip_prefix("hole "))
                    .map(|p| p.trim_end_matches("/32").to_owned())
                    .collect()
            };
            compare(&format!("{edge}'s kernel"), &holes(&routes), &peers::kernel_holes(lab.net(), edge)?, &mut out);
        }
    }
    Ok(out)
}

fn compare(place: &str, wanted: &BTreeSet<String>, there: &BTreeSet<String>, out: &mut Vec<String>) {
    out.extend(there.difference(wanted).map(|x| format!("{place} has {x}, and the ledger does not want it")));
    out.extend(
        wanted.difference(there).map(|x| format!("the ledger says that {x} is in force, and {place} does not have it")),
    );
}

fn table_of(id: &str) -> String {
    format!("suimon_m_{}", id.trim_start_matches("M-"))
}

/// `hole PREFIX` or `flow PREFIX` of a line of a measure's text.
fn route_of(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    match (words.next()?, words.next()?) {
        ("route", prefix) => Some(format!("hole {prefix}")),
        ("match", "destination") => Some(format!("flow {}", words.next()?)),
        _ => None,
    }
}

/// Waits until ledger and network agree.
///
/// # Errors
/// With what differs, when they do not within `bound_ms`.
pub fn wait_agreed(lab: &Lab, except: &[&str], bound_ms: u64) -> Result<u64> {
    let mut last = Vec::new();
    let found = clock::until(bound_ms, || {
        last = differences(lab, except).unwrap_or_else(|e| vec![format!("{e:#}")]);
        last.is_empty().then_some(())
    });
    match found {
        Some(((), took)) => Ok(took),
        None => bail!("ledger and network differ after {:.1} s: {}", bound_ms as f64 / 1_000.0, last.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(n: u64, sent: u64, arrived: u64) -> Look {
        Look { from_ms: n * 200, to_ms: (n + 1) * 200, sent, arrived }
    }

    #[test]
    fn the_longest_wrong_time_is_measured_over_looks_that_say_something() {
        let looks =
            [look(0, 100, 100), look(1, 100, 0), look(2, 0, 0), look(3, 100, 0), look(4, 100, 90), look(5, 100, 2)];
        assert_eq!(longest(&looks, Look::dropped), 600);
        assert_eq!(longest(&looks, |l| !l.dropped()), 200);
        assert_eq!(longest(&[], Look::dropped), 0);
    }

    #[test]
    fn routes_are_read_from_a_measure() {
        let flow = "match destination 203.0.113.80/32 protocol =17 source-port =53 then discard";
        assert_eq!(route_of(flow).as_deref(), Some("flow 203.0.113.80/32"));
        assert_eq!(route_of("route 203.0.113.66/32 community 65535:666").as_deref(), Some("hole 203.0.113.66/32"));
        assert_eq!(route_of("# SUIMON-M-3"), None);
        assert_eq!(table_of("M-12"), "suimon_m_12");
    }
}
