//! Where and with what to act: the cost of a filter on each device, the ways ranked, and a plan in stages
//! (catalogue rows 97–101, 129–134).

pub mod cost;
pub mod device;
mod stages;
mod words;

pub use cost::Cost;
pub use device::{Ability, Device, Place};
pub use stages::Stage;

use crate::compile::{self, CompileError, Compiled, Options};
use crate::dialect::{self, Dialect};
use crate::range::{Family, RangeSet, bounds};
use serde::Serialize;
use suimon_base::{Action, Match, Rule, RuleSet};

/// Most devices of one question.
pub const MAX_DEVICES: usize = 64;

/// A way to act at a place, in the order in which ways are thought of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A rate limit.
    Police,
    /// Flowspec rules as narrow as the request.
    Flowspec,
    /// An access list at the customer's edge or the network's.
    AclCustomerEdge,
    /// An access list in the upstream network.
    AclUpstream,
    /// A static route into nothing.
    NullRoute,
    /// A black hole at the own border.
    RtbhEdge,
    /// A black hole in the upstream network.
    RtbhUpstream,
}

impl Way {
    /// Every way.
    pub const ALL: [Way; 7] = [
        Way::Police,
        Way::Flowspec,
        Way::AclCustomerEdge,
        Way::AclUpstream,
        Way::NullRoute,
        Way::RtbhEdge,
        Way::RtbhUpstream,
    ];
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Way::Police => "police",
            Way::Flowspec => "flowspec",
            Way::AclCustomerEdge => "acl-customer-edge",
            Way::AclUpstream => "acl-upstream",
            Way::NullRoute => "null-route",
            Way::RtbhEdge => "rtbh-edge",
            Way::RtbhUpstream => "rtbh-upstream",
        }
    }
    /// Whether it cuts everything to the destination.
    pub const fn cuts_all(self) -> bool {
        matches!(self, Way::NullRoute | Way::RtbhEdge | Way::RtbhUpstream)
    }
    fn fits(self, d: &Device) -> bool {
        let ability = match self {
            Way::Police => Ability::Police,
            Way::Flowspec => Ability::Flowspec,
            Way::AclCustomerEdge | Way::AclUpstream => Ability::Acl,
            Way::NullRoute => Ability::NullRoute,
            Way::RtbhEdge | Way::RtbhUpstream => Ability::Rtbh,
        };
        let place = match self {
            Way::Police | Way::Flowspec => true,
            Way::AclCustomerEdge => d.place != Place::Upstream,
            Way::NullRoute => d.place != Place::Upstream,
            Way::RtbhEdge => d.place == Place::Edge,
            Way::AclUpstream | Way::RtbhUpstream => d.place == Place::Upstream,
        };
        place && d.can.contains(&ability)
    }
}

/// What the planner is asked besides the rules and the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// To what a rate limit is set, in bits a second; a multiple of 8.
    pub police_bps: u64,
    /// Share of entries in use afterwards above which a device is called full, in percent.
    pub full_percent: u64,
}

impl Default for Ask {
    fn default() -> Self {
        Ask { police_bps: 10_000_000, full_percent: 90 }
    }
}

/// One way on one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The way.
    pub way: Way,
    /// The device's name.
    pub device: String,
    /// Where it stands.
    pub place: Place,
    /// The dialect of the text.
    pub dialect: Dialect,
    /// Whether the device can say it and has room.
    pub possible: bool,
    /// Why not, where not.
    pub reason: Option<String>,
    /// Lines to enter; 0 where it cannot be said.
    pub lines: u64,
    /// Hardware entries; none where it cannot be said or the way takes none.
    pub cost: Option<Cost>,
    /// Whether everything to the destination is lost.
    pub cuts_everything: bool,
    /// Customers whose traffic passes the device and meets the list.
    pub customers_passing: u64,
    /// Share of the addresses cut off that the request does not name, 0 to 1.
    pub bystander_share: f64,
    /// How hard it is to carry out and take back; docs/reference/device-profiles.md says how it is counted.
    pub complexity: u64,
    /// What it does, English.
    pub words_en: String,
    /// What it does, Japanese.
    pub words_ja: String,
}

/// The ways ranked and the plan in stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placement {
    /// The best first.
    pub choices: Vec<Choice>,
    /// What to do one after the other.
    pub stages: Vec<Stage>,
}

/// Ranks every way on every device. Those that are possible come first; among them those that leave the destination
/// reachable; then those that leave the device below [`Ask::full_percent`]; then in the order of [`Way`], the narrower place,
/// the lower load.
pub fn rank(rules: &RuleSet, devices: &[Device], ask: &Ask) -> Placement {
    let mut choices = Vec::new();
    for device in devices.iter().take(MAX_DEVICES) {
        for way in Way::ALL.into_iter().filter(|w| w.fits(device)) {
            choices.push(choice(rules, device, way, ask));
        }
    }
    choices.sort_by_key(|c| {
        let load = c.cost.as_ref().map_or(0, |c| c.load_percent);
        (!c.possible, c.cuts_everything, load > ask.full_percent, c.way, c.place, load, c.complexity, c.device.clone())
    });
    let stages = stages::stages(rules, devices, &choices, ask);
    Placement { choices, stages }
}

fn choice(rules: &RuleSet, device: &Device, way: Way, ask: &Ask) -> Choice {
    let (entered, dialect) = said(rules, device, way, ask);
    let bystander_share = entered.as_ref().map_or(0.0, |e| bystanders(rules, e, way));
    let compiled = entered
        .and_then(|r| compile::compile(&r, dialect, &Options::default()).map_err(|e: CompileError| e.to_string()));
    let mut reason = compiled.as_ref().err().cloned();
    let (mut lines, mut cost) = (0, None);
    if let Ok(c) = &compiled {
        lines = c.lines as u64;
        // A black hole is a route: it takes no entry for filters.
        cost = if way.cuts_all() { None } else { taken(c, device) };
        if let Some(short) = cost.as_ref().filter(|c| !c.fits) {
            reason = Some(format!(
                "{} entries are needed and {} are free: {} too few",
                short.entries, short.free, short.short
            ));
        } else if let Some(room) = device.lines.filter(|&room| lines > room && !way.cuts_all()) {
            reason = Some(format!("{lines} lines are needed and there is room for {room}"));
        }
    }
    let inside = compiled.is_ok() && !way.cuts_all() && reason.is_none();
    let (words_en, words_ja) = words::say(way, device, ask);
    Choice {
        way,
        device: device.name.clone(),
        place: device.place,
        dialect,
        possible: reason.is_none(),
        lines,
        cuts_everything: way.cuts_all(),
        customers_passing: device.customers,
        bystander_share,
        complexity: complexity(lines, device, way, inside),
        cost,
        reason,
        words_en,
        words_ja,
    }
}

/// The rules that a way enters, and in which dialect.
fn said(rules: &RuleSet, device: &Device, way: Way, ask: &Ask) -> (Result<RuleSet, String>, Dialect) {
    match way {
        Way::Police => (Ok(limited(rules, ask.police_bps)), device.dialect),
        Way::Flowspec => (Ok(rules.clone()), Dialect::Flowspec),
        Way::AclCustomerEdge | Way::AclUpstream => (Ok(rules.clone()), device.dialect),
        Way::NullRoute | Way::RtbhEdge | Way::RtbhUpstream => (destinations(rules, device), Dialect::Rtbh),
    }
}

/// The same rules with a rate in place of each discard.
pub(crate) fn limited(rules: &RuleSet, bps: u64) -> RuleSet {
    let rate = |r: &Rule| match r.action {
        Action::Discard => Rule { matches: r.matches.clone(), action: Action::LimitBps(bps) },
        _ => r.clone(),
    };
    RuleSet { rules: rules.rules.iter().map(rate).collect() }
}

/// Everything to the destinations; routing sees nothing else.
fn destinations(rules: &RuleSet, device: &Device) -> Result<RuleSet, String> {
    let mut dst = Vec::new();
    for r in rules.rules.iter().filter(|r| r.action != Action::Permit) {
        if r.matches.dst.is_empty() {
            return Err("a rule names no destination, and a route sees destinations only".into());
        }
        dst.extend(r.matches.dst.iter().copied());
    }
    let longest = |f: Family| if f == Family::V4 { device.route_longest_v4 } else { device.route_longest_v6 };
    let wide = |n: &ipnet::IpNet| {
        let f = Family::of_net(n);
        bounds(&f.net(crate::range::number(n.network()), n.prefix_len().min(longest(f))).trunc())
    };
    let dst: Vec<ipnet::IpNet> = Family::BOTH
        .iter()
        .flat_map(|&f| RangeSet::new(dst.iter().filter(|n| Family::of_net(n) == f).map(wide)).prefixes(f))
        .collect();
    Ok(RuleSet { rules: vec![Rule { matches: Match { dst, ..Match::default() }, action: Action::Discard }] })
}

fn taken(c: &Compiled, device: &Device) -> Option<Cost> {
    dialect::parse(&c.text, c.dialect).ok().map(|listing| cost::cost(&listing, device))
}

/// Addresses that a route cuts off although the request does not name them, as a share of all it cuts off. A filter is
/// proved to take exactly what the request names, so it has none.
fn bystanders(asked: &RuleSet, entered: &RuleSet, way: Way) -> f64 {
    if !way.cuts_all() {
        return 0.0;
    }
    let count = |rules: &RuleSet| -> f64 {
        let nets = || rules.rules.iter().filter(|r| r.action != Action::Permit).flat_map(|r| &r.matches.dst);
        let set = |f: Family| RangeSet::new(nets().filter(|n| Family::of_net(n) == f).map(bounds));
        Family::BOTH.iter().map(|&f| set(f).count() as f64).sum()
    };
    let (named, cut) = (count(asked), count(entered));
    if cut > 0.0 { (1.0 - named / cut).max(0.0) } else { 0.0 }
}

/// Points: one for each doubling of the lines, three where another network has to act, two where a device has to look
/// beyond addresses, one where more than one customer passes the device, two where its processor is busy (70 % or more).
fn complexity(lines: u64, device: &Device, way: Way, inside: bool) -> u64 {
    let doublings = u64::from((lines + 1).ilog2());
    let parts = [
        (device.place == Place::Upstream, 3),
        (inside && way != Way::NullRoute, 2),
        (device.customers > 1, 1),
        (device.cpu_percent >= 70, 2),
    ];
    doublings + parts.iter().filter(|p| p.0).map(|p| p.1).sum::<u64>()
}
