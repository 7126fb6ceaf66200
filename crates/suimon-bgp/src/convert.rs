//! An order's rules to routes.
//!
//! What people approved is a text. Where it is Flowspec or black hole text, its lines are what is announced, one route a
//! line, after a proof that they drop exactly what the order's rules say. Where the order was written for another
//! router, its rules are compiled to Flowspec first.

use crate::route::{FlowAction, Route};
use suimon_base::{Action, Rule, RuleSet};
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::{self, Dialect};
use suimon_filter::proof;

/// Most routes of one measure. A larger one is a mistake or needs another means.
pub const MAX_ROUTES: usize = 10_000;

/// Which kind of route is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Black holes.
    Rtbh,
    /// Flowspec.
    Flowspec,
}

/// Why an order gives no routes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The rules cannot be written as routes.
    #[error("the rules cannot be announced: {0}")]
    Compile(String),
    /// The approved text and the rules differ.
    #[error("the approved text does not drop exactly what the measure's rules say")]
    Differs,
    /// Too many.
    #[error("{0} routes, more than {MAX_ROUTES}")]
    TooMany(usize),
    /// A rule that cannot be announced.
    #[error("rule {0}: {1}")]
    Rule(usize, &'static str),
}

/// Routes of an order with these `rules` and this approved `text`.
///
/// # Errors
/// When text and rules differ, or BGP cannot say them.
pub fn routes(rules: &RuleSet, text: &str, means: Means) -> Result<Vec<Route>, ConvertError> {
    let dialect = match means {
        Means::Rtbh => Dialect::Rtbh,
        Means::Flowspec => Dialect::Flowspec,
    };
    let listing = match dialect::parse(text, dialect) {
        Ok(listing) => {
            let proof = proof::compare(rules, &listing.rules).map_err(|e| ConvertError::Compile(e.to_string()))?;
            if !proof.equal {
                return Err(ConvertError::Differs);
            }
            listing
        }
        Err(_) => {
            let compiled =
                compile(rules, dialect, &Options::default()).map_err(|e| ConvertError::Compile(e.to_string()))?;
            dialect::parse(&compiled.text, dialect).map_err(|e| ConvertError::Compile(e.to_string()))?
        }
    };
    let rules = &listing.rules.rules;
    if rules.len() > MAX_ROUTES {
        return Err(ConvertError::TooMany(rules.len()));
    }
    rules.iter().enumerate().map(|(i, r)| route(i, r, means)).collect()
}

fn route(i: usize, rule: &Rule, means: Means) -> Result<Route, ConvertError> {
    match means {
        Means::Rtbh => {
            let m = &rule.matches;
            let only_dst = suimon_base::Match { dst: m.dst.clone(), ..Default::default() } == *m;
            match (&m.dst[..], rule.action, only_dst) {
                ([net], Action::Discard, true) => Ok(Route::black_hole(*net)),
                _ => Err(ConvertError::Rule(i, "a black hole knows one destination and nothing else")),
            }
        }
        Means::Flowspec => Ok(Route::flow(rule.matches.clone(), vec![action(i, rule.action)?])),
    }
}

fn action(i: usize, action: Action) -> Result<FlowAction, ConvertError> {
    Ok(match action {
        Action::Discard => FlowAction::Discard,
        Action::LimitBps(bits) if bits % 8 == 0 && exact(bits / 8) => FlowAction::RateBytes((bits / 8) as f32),
        Action::LimitPps(n) if exact(n) => FlowAction::RatePackets(n as f32),
        Action::Permit => return Err(ConvertError::Rule(i, "Flowspec text has no permit")),
        _ => return Err(ConvertError::Rule(i, "the rate is not exact as a 32-bit float of octets a second")),
    })
}

/// The rate travels as a 32-bit float, and 0 would drop everything.
fn exact(n: u64) -> bool {
    n > 0 && (n as f32) as u64 == n
}

#[cfg(test)]
mod tests {
    use super::*;
    use suimon_base::{Match, PortRange};

    fn rules(text: &str, dialect: Dialect) -> RuleSet {
        dialect::parse(text, dialect).unwrap().rules
    }

    #[test]
    fn a_line_is_a_route() {
        let text = "match destination 192.0.2.1/32 protocol =17 source-port =53 then discard\n\
                    match destination 192.0.2.2/32 protocol =6 destination-port >=80&<=90 then rate-bytes 1000\n";
        let got = routes(&rules(text, Dialect::Flowspec), text, Means::Flowspec).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[1].actions, [FlowAction::RateBytes(1000.0)]);
        let hole = "route 192.0.2.1/32 community 65535:666\n";
        let got = routes(&rules(hole, Dialect::Rtbh), hole, Means::Rtbh).unwrap();
        assert_eq!(got, [Route::black_hole("192.0.2.1/32".parse().unwrap())]);
    }

    #[test]
    fn a_text_that_says_something_else_is_refused() {
        let text = "match destination 192.0.2.1/32 protocol =17 then discard\n";
        let other = "match destination 192.0.2.1/32 then discard\n";
        assert_eq!(routes(&rules(text, Dialect::Flowspec), other, Means::Flowspec), Err(ConvertError::Differs));
    }

    #[test]
    fn rules_for_another_router_are_compiled() {
        let m = Match {
            dst: vec!["192.0.2.0/31".parse().unwrap()],
            proto: Some(17),
            src_ports: vec![PortRange::one(53), PortRange::one(123)],
            ..Match::default()
        };
        let set = RuleSet { rules: vec![Rule { matches: m, action: Action::Discard }] };
        let got = routes(&set, "ip access-list extended X", Means::Flowspec).unwrap();
        assert_eq!(got.len(), 2);
        assert!(routes(&set, "", Means::Rtbh).is_err());
    }
}
