//! What the configuration knows of the operator's own network, and the ranking of ways and places in a proposal.

use ipnet::IpNet;
use suimon_base::RuleSet;
use suimon_base::placement::{PlaceChoice, PlaceStage, Placement};
use suimon_filter::place::{self, Ask, Device};
use suimon_filter::request::{Context, Critical};

/// Most prefixes of rules that are ranked: every way on every device compiles them anew.
const MAX_RANKED: usize = 5_000;

/// A device profile and who acts there.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The profile.
    pub device: Device,
    /// The hand; `None` is another network.
    pub hand: Option<String>,
}

/// What is known besides the request.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The operator's own addresses.
    pub own: Vec<IpNet>,
    /// 重要通信.
    pub critical: Vec<Critical>,
    /// Devices.
    pub devices: Vec<Placed>,
    /// What the ranking is asked besides.
    pub ask: Ask,
}

impl Known {
    /// What a request is held against.
    pub fn context(&self, holdings: &[IpNet]) -> Context {
        Context { holdings: holdings.to_vec(), own: self.own.clone(), critical: self.critical.clone(), format: None }
    }
}

/// Ways and places ranked; `None` where no device is known, or the rules are too many to be compiled for each.
pub fn placement(rules: &RuleSet, known: &Known) -> Option<Placement> {
    let prefixes: usize = rules.rules.iter().map(|r| r.matches.src.len() + r.matches.dst.len()).sum();
    if known.devices.is_empty() || prefixes > MAX_RANKED {
        return None;
    }
    let devices: Vec<Device> = known.devices.iter().map(|p| p.device.clone()).collect();
    let ranked = place::rank(rules, &devices, &known.ask);
    let hand = |device: &str| known.devices.iter().find(|p| p.device.name == device).and_then(|p| p.hand.clone());
    let choices = ranked.choices.into_iter().map(|c| PlaceChoice {
        hand: hand(&c.device),
        way: c.way.name().to_owned(),
        device: c.device,
        place: c.place.name().to_owned(),
        dialect: c.dialect.to_string(),
        possible: c.possible,
        reason: c.reason,
        lines: c.lines,
        entries: c.cost.as_ref().map(|k| k.entries),
        free: c.cost.as_ref().map(|k| k.free),
        load_percent: c.cost.as_ref().map(|k| k.load_percent),
        cuts_everything: c.cuts_everything,
        customers_passing: c.customers_passing,
        bystander_share: c.bystander_share,
        complexity: c.complexity,
        words_en: c.words_en,
        words_ja: c.words_ja,
    });
    let stages = ranked.stages.into_iter().map(|s| PlaceStage {
        id: s.id.to_owned(),
        device: s.device,
        lines: s.lines,
        words_en: s.words_en,
        words_ja: s.words_ja,
        until_en: s.until_en,
        until_ja: s.until_ja,
    });
    Some(Placement { choices: choices.collect(), stages: stages.collect() })
}
