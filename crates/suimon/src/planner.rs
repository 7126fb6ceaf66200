//! The planner: `suimon-filter` plugged into the spine.

use crate::placing::{self, Known};
use ipnet::IpNet;
use suimon_base::attack::{Attack, ProfileClass};
use suimon_base::event::{Alternative, Plan};
use suimon_base::{Match, PacketHeader, RuleSet};
use suimon_filter::compile::{Compiled, Options, compile};
use suimon_filter::dialect::Dialect;
use suimon_filter::plan::{self, Candidate, Means};
use suimon_filter::request;
use suimon_spine::Planner;
use suimon_spine::ports::{PlanAsk, PlanError};

/// Quiet lies at this many times the normal traffic that looks like the attack.
const QUIET_NORMAL_FACTOR: f64 = 3.0;
/// Quiet is never asked to be quieter than this many packets a second: single packets of an attack go on for days.
const QUIET_FLOOR_PPS: f64 = 10.0;
/// Nor louder than this share of the attack's peak.
const QUIET_PEAK_SHARE: f64 = 0.5;

/// Answers with the filter compiler.
#[derive(Clone, Debug, Default)]
pub struct FilterPlanner {
    /// What the configuration says of the operator's own network.
    pub known: Known,
}

impl Planner for FilterPlanner {
    fn plan(&self, ask: &PlanAsk<'_>) -> Result<Plan, PlanError> {
        let dialect: Dialect = ask.dialect.parse().map_err(|e| PlanError::BadAsk(format!("{e}")))?;
        let plan = match (ask.request, ask.attack) {
            (Some(text), _) => from_request(text, dialect, ask, &self.known)?,
            (None, Some(attack)) => from_attack(attack, dialect, ask, &self.known)?,
            (None, None) => {
                return Err(PlanError::BadAsk(
                    "the case has no attack; say what to filter with a written request".to_owned(),
                ));
            }
        };
        guard(&plan, ask.holdings)?;
        let placement = placing::placement(&plan.rules, &self.known);
        Ok(Plan { placement, ..plan })
    }

    fn dialects(&self) -> Vec<&'static str> {
        Dialect::ALL.iter().map(|d| d.name()).collect()
    }

    fn read(&self, text: &str, dialect: &str) -> Result<(RuleSet, Vec<usize>), String> {
        let dialect: Dialect = dialect.parse().map_err(|e| format!("{e}"))?;
        let listing = suimon_filter::dialect::parse(text, dialect).map_err(|e| e.to_string())?;
        Ok((listing.rules, listing.lines))
    }
}

fn options(ask: &PlanAsk<'_>) -> Options {
    let remark = |key: &str| ask.remarks.iter().find_map(|r| r.strip_prefix(key)).map(str::to_owned);
    Options {
        name: ask.name.to_owned(),
        case: remark("case "),
        requester: remark("request "),
        end: remark("end "),
        ..Options::default()
    }
}

fn from_request(text: &str, dialect: Dialect, ask: &PlanAsk<'_>, known: &Known) -> Result<Plan, PlanError> {
    let context = known.context(ask.holdings);
    let parsed = request::parse_with(text, &context).map_err(|e| PlanError::BadAsk(e.to_string()))?;
    let compiled = compile(&parsed.rules, dialect, &options(ask)).map_err(|e| PlanError::Nothing(e.to_string()))?;
    let questions = parsed.questions.iter().map(question).collect();
    let matches = parsed.rules.rules.iter().map(|r| r.matches.clone()).collect();
    Ok(assemble(parsed.rules, compiled, Pieces { questions, attack_matches: matches, ..Pieces::default() }))
}

fn question(q: &request::Question) -> String {
    format!("{} [{}] {}", q.text_en, q.default, q.consequence_en)
}

fn from_attack(attack: &Attack, dialect: Dialect, ask: &PlanAsk<'_>, known: &Known) -> Result<Plan, PlanError> {
    let candidates = plan::candidates(attack, &plan::PlanAsk { dialect, ..plan::PlanAsk::default() });
    let can = |c: &Candidate| c.expressible.iter().any(|e| e.dialect == dialect && e.ok);
    let chosen = match ask.choose {
        Some(i) => {
            let c = candidates.get(i).ok_or_else(|| {
                PlanError::BadAsk(format!("there is no alternative {i}; there are {}", candidates.len()))
            })?;
            if !can(c) {
                return Err(PlanError::BadAsk(format!("{dialect} cannot say alternative {i}")));
            }
            i
        }
        None => candidates.iter().position(can).ok_or_else(|| PlanError::Nothing("no candidate".to_owned()))?,
    };
    let Some(best) = candidates.get(chosen) else { return Err(PlanError::Nothing("no candidate".to_owned())) };
    let compiled = compile(&best.rules, dialect, &options(ask)).map_err(|e| PlanError::Nothing(e.to_string()))?;
    let attack_matches: Vec<Match> = widest(&candidates, best);
    let pieces = Pieces {
        questions: request::concerns(&best.rules, &known.context(ask.holdings)).iter().map(question).collect(),
        alternatives: candidates.iter().map(|c| alternative(c, dialect)).collect(),
        chosen: Some(chosen),
        separates: best.separates,
        quiet_floor_pps: quiet_floor(attack, &attack_matches),
        attack_matches,
    };
    Ok(assemble(best.rules.clone(), compiled, pieces))
}

/// What names the attack's packets when its effect is measured: the chosen rules, unless they are a null route, which
/// names everything.
fn widest(candidates: &[Candidate], chosen: &Candidate) -> Vec<Match> {
    let source = if chosen.means == Means::NullRoute {
        candidates.iter().find(|c| c.means != Means::NullRoute).unwrap_or(chosen)
    } else {
        chosen
    };
    source.rules.rules.iter().map(|r| r.matches.clone()).collect()
}

#[derive(Default)]
struct Pieces {
    questions: Vec<String>,
    alternatives: Vec<Alternative>,
    chosen: Option<usize>,
    separates: bool,
    attack_matches: Vec<Match>,
    quiet_floor_pps: f64,
}

fn assemble(rules: RuleSet, compiled: Compiled, p: Pieces) -> Plan {
    let mut targets: Vec<IpNet> = rules.rules.iter().flat_map(|r| r.matches.dst.iter().copied()).collect();
    if targets.is_empty() {
        targets = rules.rules.iter().flat_map(|r| r.matches.src.iter().copied()).collect();
    }
    let targets = IpNet::aggregate(&targets);
    let mut questions = p.questions;
    questions.extend(compiled.warnings.iter().cloned());
    Plan {
        dialect: compiled.dialect.to_string(),
        lines: compiled.lines as u64,
        proof: serde_json::to_value(&compiled.proof).unwrap_or_default(),
        text: compiled.text,
        undo: compiled.undo,
        alternatives: p.alternatives,
        chosen: p.chosen,
        separates: p.separates,
        questions,
        attack_matches: p.attack_matches,
        targets,
        placement: None,
        quiet_floor_pps: p.quiet_floor_pps.max(QUIET_FLOOR_PPS),
        rules,
    }
}

fn alternative(c: &Candidate, dialect: Dialect) -> Alternative {
    let here = c.expressible.iter().find(|e| e.dialect == dialect);
    Alternative {
        means: match c.means {
            Means::Police => "police",
            Means::Flowspec => "flowspec",
            Means::Acl => "acl",
            Means::NullRoute => "null-route",
        }
        .to_owned(),
        words_en: c.words_en.clone(),
        words_ja: c.words_ja.clone(),
        attack_dropped: c.attack_share_dropped,
        legitimate_dropped: c.legitimate_share_dropped,
        connections_dropped: c.legitimate_connections_dropped,
        lines: here.and_then(|e| e.lines).map(|l| l as u64),
        refused: here.and_then(|e| e.reason.clone()),
    }
}

/// Normal traffic that looks like the attack must not keep a measure in force for ever.
fn quiet_floor(attack: &Attack, matches: &[Match]) -> f64 {
    let looks_alike = |c: &ProfileClass| {
        let header = header_of(c, attack);
        matches.iter().any(|m| m.matches(&header))
    };
    let normal: f64 = attack.evidence.before.classes.iter().filter(|c| looks_alike(c)).map(|c| c.pps).sum();
    (normal * QUIET_NORMAL_FACTOR).min(attack.peak.pps.0 as f64 * QUIET_PEAK_SHARE)
}

/// A packet that stands for a class of a traffic profile.
fn header_of(c: &ProfileClass, attack: &Attack) -> PacketHeader {
    let target = attack.target.addr();
    PacketHeader {
        // Which peer does not matter: rules against an attack name the target.
        src: target,
        dst: target,
        proto: c.proto,
        ports: matches!(c.proto, 6 | 17)
            .then(|| (c.src_port.unwrap_or(0), c.dst_port.unwrap_or(0)))
            .filter(|_| c.fragment != suimon_base::flow::Fragment::Later),
        tcp_flags: c.tcp_flags,
        icmp: 0,
        fragment: c.fragment,
        ip_len: c.ip_len.lo,
        tos: 0,
        ttl: 0,
    }
}

/// What the customer does not hold is nobody's to filter here; an empty match is everybody's.
fn guard(plan: &Plan, holdings: &[IpNet]) -> Result<(), PlanError> {
    if plan.rules.rules.iter().any(|r| r.matches.dst.is_empty() && r.matches.src.is_empty()) {
        return Err(PlanError::BadAsk("a rule names neither source nor destination; say which addresses".to_owned()));
    }
    let outside = plan.targets.iter().find(|t| !holdings.iter().any(|h| h.contains(*t)));
    match outside {
        Some(t) => Err(PlanError::BadAsk(format!("{t} is not among the addresses that the customer holds"))),
        None => Ok(()),
    }
}
