//! From a customer's BGP session to the spine: what stands within the memorandum becomes a request in the customer's name and
//! a proposal that rests on it. The policy pack decides; where it wants a person's approval, the proposal waits for it.
//! The memorandum does not stand in for that person.

use super::judge::{self, Refused};
use super::{AdjIn, Memorandum};
use crate::hand::BgpHand;
use crate::route::{FlowAction, Route, RouteKey, Target};
use crate::update::Update;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use suimon_base::measure::Status;
use suimon_base::party::{ContactChannel, Requester};
use suimon_base::{
    Action, Actor, Asn, CaseId, Clock, Match, MeasureId, RequestId, Rule, RuleSet, Timestamp, state::State,
};
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::Dialect;
use suimon_spine::command::{Proposal, RequestDraft};
use suimon_spine::{Command, CommandError, Handle};

/// How often the sessions are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a route that is gone may come back before it counts as withdrawn, milliseconds: a re-announcement, or a
/// session that has just come up and has not said everything.
pub const SETTLE_MS: i64 = 2_000;
/// Refusals that are put on record for one customer in one hour; all are counted.
pub const TOLD_AN_HOUR: usize = 50;
const HOUR_MS: i64 = 3_600_000;
/// A request that could not be put on record is tried again after this, milliseconds.
const AGAIN_MS: i64 = 5_000;

/// What stands of one customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeskStatus {
    /// Whether its session is up.
    pub up: bool,
    /// Requests that stand, with their measures; without one where the pack said no.
    pub standing: Vec<(String, Option<MeasureId>)>,
    /// Offers refused so far, by kind.
    pub refused: BTreeMap<&'static str, u64>,
    /// Offers refused now, with the reason.
    pub reasons: Vec<(String, String)>,
    /// Requests put on record.
    pub requests: u64,
    /// Requests taken back by the customer, or by the end of its session.
    pub withdrawn: u64,
}

struct Asked {
    case: CaseId,
    request: RequestId,
    measure: Option<MeasureId>,
    text: String,
    gone_since: Option<Timestamp>,
}

struct Desk {
    peer: String,
    asn: Asn,
    memo: Memorandum,
    asked: BTreeMap<RouteKey, Asked>,
    /// What was refused, and why, so that it is counted and told once.
    refused: BTreeMap<RouteKey, (Arc<Update>, String)>,
    again: BTreeMap<RouteKey, Timestamp>,
    complaints: Option<CaseId>,
    told: (Timestamp, usize),
    last_up: Timestamp,
    status: DeskStatus,
}

/// The desks of all customers.
pub struct Desks {
    hand: Arc<BgpHand>,
    clock: Arc<dyn Clock>,
    status: Mutex<BTreeMap<String, DeskStatus>>,
}

impl Desks {
    /// The desks of a hand; `None` where no customer has a session.
    pub fn of(hand: Arc<BgpHand>, clock: Arc<dyn Clock>) -> Option<Arc<Desks>> {
        hand.customers()?;
        Some(Arc::new(Desks { hand, clock, status: Mutex::default() }))
    }

    /// What stands, by the peer's name.
    pub fn status(&self) -> BTreeMap<String, DeskStatus> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, DeskStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves the sessions until the engine stops. To stop it earlier, drop the future.
    pub async fn run(self: Arc<Desks>, handle: Handle) {
        let Some((sessions, peers)) = self.hand.customers() else { return };
        let now = self.clock.now();
        let config = self.hand.config();
        let mut desks: Vec<Desk> = peers
            .iter()
            .filter_map(|p| {
                let memo = config.memoranda.iter().find(|m| Some(&m.id) == p.memorandum.as_ref())?.read().ok()?;
                Some(Desk {
                    peer: p.name.clone(),
                    asn: Asn(p.remote_as),
                    memo,
                    asked: BTreeMap::new(),
                    refused: BTreeMap::new(),
                    again: BTreeMap::new(),
                    complaints: None,
                    told: (now, 0),
                    last_up: now,
                    status: DeskStatus::default(),
                })
            })
            .collect();
        let keep_ms = i64::from(config.customer_keep_s) * 1_000;
        for desk in &mut desks {
            desk.resume(&handle);
        }
        loop {
            for desk in &mut desks {
                let offers = sessions.adj_in(&desk.peer);
                if let Err(CommandError::Stopped) =
                    desk.look(&self.hand, &handle, offers, keep_ms, self.clock.now()).await
                {
                    return;
                }
                self.lock().insert(desk.peer.clone(), desk.status.clone());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What a route is called in requests and proposals: the text of its dialect.
fn text_of(route: &Route) -> Result<(Dialect, String), String> {
    let (dialect, matches, action) = match &route.target {
        Target::Prefix(net) => (Dialect::Rtbh, Match { dst: vec![*net], ..Match::default() }, Action::Discard),
        Target::Flow(m) => {
            let action = match route.actions[..] {
                [FlowAction::RateBytes(rate)] if f64::from(rate).fract() == 0.0 && rate >= 1.0 => {
                    Action::LimitBps((f64::from(rate) as u64).saturating_mul(8))
                }
                [FlowAction::Discard] => Action::Discard,
                _ => return Err("a rate of whole octets a second, please".to_owned()),
            };
            (Dialect::Flowspec, (**m).clone(), action)
        }
    };
    let rules = RuleSet { rules: vec![Rule { matches, action }] };
    let compiled = compile(&rules, dialect, &Options::default()).map_err(|e| e.to_string())?;
    // Without the remarks: the same rule has the same text.
    let line = compiled.text.lines().map(str::trim).find(|l| l.starts_with("route ") || l.starts_with("match "));
    let line = line.ok_or_else(|| "it has no text".to_owned())?;
    Ok((dialect, format!("{line}\n")))
}

impl Desk {
    fn actor(&self) -> Actor {
        Actor::system(&format!("bgp customer {}", self.memo.customer))
    }

    /// Finds what an earlier run asked for and what still stands.
    fn resume(&mut self, handle: &Handle) {
        let actor = self.actor();
        let found = handle.with_state(|s: &State| {
            let open = |m: &&suimon_base::state::Measure| {
                m.proposed.0 == actor && matches!(m.status, Status::Proposed | Status::Applying | Status::Applied)
            };
            let one = |m: &suimon_base::state::Measure| {
                let text = m.draft.facts.get("filter-request")?.as_str()?.to_owned();
                let net = |t: &str| t.parse().ok().map(Target::Prefix);
                let target = match text.strip_prefix("route ") {
                    Some(rest) => net(rest.split_whitespace().next()?),
                    None => {
                        let rules = suimon_filter::dialect::parse(&text, Dialect::Flowspec).ok()?.rules.rules;
                        Some(Target::Flow(Box::new(rules.first()?.matches.clone())))
                    }
                };
                let key = crate::codec::key(&target?).ok()?;
                let (case, request) = (m.case, m.draft.request?);
                Some((key, Asked { case, request, measure: Some(m.id), text, gone_since: None }))
            };
            s.measures.values().filter(open).filter_map(one).collect::<BTreeMap<_, _>>()
        });
        self.asked = found;
    }

    /// Compares what is offered with what was asked for. Nothing but a stopped engine ends it.
    async fn look(
        &mut self,
        hand: &BgpHand,
        handle: &Handle,
        offers: Option<AdjIn>,
        keep_ms: i64,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        self.status.up = offers.is_some();
        if let Some(offers) = &offers {
            self.last_up = now;
            self.offered(hand, handle, offers, now).await?;
        }
        let patience = if offers.is_some() { SETTLE_MS } else { keep_ms };
        self.missing(handle, offers.as_ref(), patience, now).await?;
        let standing = self.asked.values().map(|a| (a.text.trim().to_owned(), a.measure));
        self.status.standing = standing.collect();
        self.status.reasons = self.refused.iter().map(|(k, (_, why))| (name(k), why.clone())).collect();
        Ok(())
    }

    async fn offered(
        &mut self,
        hand: &BgpHand,
        handle: &Handle,
        offers: &AdjIn,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        self.refused.retain(|key, _| offers.routes.contains_key(key));
        self.again.retain(|key, _| offers.routes.contains_key(key));
        for (key, offer) in &offers.routes {
            let known = self.refused.get(key).is_some_and(|(seen, why)| {
                // What time or room may heal is judged again.
                Arc::ptr_eq(seen, offer) && !why.contains("memorandum") && !why.contains("guard rails")
            });
            if known || self.again.get(key).is_some_and(|at| now < *at) {
                continue;
            }
            let others = self.asked.keys().filter(|k| *k != key).count();
            let judged = judge::judge(&self.memo, self.asn, key, offer, now).and_then(|route| {
                let (dialect, text) = text_of(&route).map_err(Refused::Rule)?;
                if self.asked.get(key).is_none_or(|a| a.text != text) {
                    // A number that no measure has: every other route counts as another's.
                    let report = hand.dry_run(MeasureId(u64::MAX), &[route], false);
                    if let Some(first) = report.refusals.first() {
                        return Err(Refused::Guard(first.to_string()));
                    }
                }
                judge::room(&self.memo, others)?;
                Ok((dialect, text))
            });
            match judged {
                Ok((_, text)) if self.asked.get(key).is_some_and(|a| a.text == text) => {}
                Ok((dialect, text)) => {
                    self.take_back(handle, key, "the customer asked for something else instead", now).await?;
                    self.ask(handle, key, offer, dialect, text, now).await?;
                    self.refused.remove(key);
                }
                Err(why) => {
                    self.take_back(handle, key, &format!("it is no longer covered: {why}"), now).await?;
                    self.refuse(handle, key, offer, &why, now).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes back what is offered no longer.
    async fn missing(
        &mut self,
        handle: &Handle,
        offers: Option<&AdjIn>,
        patience_ms: i64,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        let mut gone = Vec::new();
        for (key, asked) in &mut self.asked {
            if offers.is_some_and(|o| o.routes.contains_key(key)) {
                asked.gone_since = None;
            } else if now.ms_since(*asked.gone_since.get_or_insert(now)) >= patience_ms {
                gone.push(key.clone());
            }
        }
        let why = match offers {
            Some(_) => "the customer withdrew it by BGP".to_owned(),
            None => format!("the customer's session has been down since {}", self.last_up),
        };
        for key in gone {
            self.take_back(handle, &key, &why, now).await?;
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        handle: &Handle,
        key: &RouteKey,
        offer: &Update,
        dialect: Dialect,
        text: String,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        let memo = &self.memo;
        let Some(customer) = handle.register().customer(&memo.customer).cloned() else {
            let why =
                Refused::Memorandum { id: memo.id.clone(), why: "names a customer who is not registered".to_owned() };
            return self.refuse(handle, key, &Arc::new(offer.clone()), &why, now).await;
        };
        let communities: Vec<String> = offer.communities.iter().map(ToString::to_string).collect();
        let path: Vec<String> = offer.path.iter().map(ToString::to_string).collect();
        let words = format!(
            "BGP UPDATE from {} ({}): {}; communities: {}; path: {}; memorandum {} of {}; responsible party: {}",
            self.peer,
            self.asn,
            text.trim(),
            communities.join(" "),
            path.join(" "),
            memo.id,
            memo.signed,
            memo.responsible_party
        );
        let scope = crate::update::prefix(key).map_or_else(|| memo.prefixes.clone(), |net| vec![net]);
        let request = RequestDraft {
            words,
            requester: Requester {
                company: customer.name.clone(),
                contact: memo.contact.clone(),
                service: customer.service.clone(),
            },
            channel: ContactChannel::Portal,
            scope,
            asks_investigation: false,
            asks_blocking: true,
            callback: None,
        };
        let title = format!("asked by BGP under {}: {}", memo.id, text.trim());
        let open = Command::OpenCase { customer: memo.customer.clone(), title, request: Some(request) };
        let opened = match handle.command(self.actor(), open).await {
            Ok(outcome) => outcome,
            Err(CommandError::Stopped) => return Err(CommandError::Stopped),
            Err(error) => {
                tracing::error!(%error, peer = self.peer, "a customer's request cannot be put on record; tried again");
                self.again.insert(key.clone(), now.plus_ms(AGAIN_MS));
                return Ok(());
            }
        };
        let (Some(case), Some(request)) = (opened.case, opened.request) else { return Ok(()) };
        self.status.requests += 1;
        let proposal = Proposal {
            case,
            attack: None,
            end: memo.end.clone(),
            dialect: Some(dialect.to_string()),
            hand: Some(BgpHand::NAME.to_owned()),
            choose: None,
            filter_request: Some(text.clone()),
            reason: format!(
                "standing order under memorandum {}; responsible party: {}",
                memo.id, memo.responsible_party
            ),
            claims: Default::default(),
        };
        let measure = match handle.command(self.actor(), Command::Propose(Box::new(proposal))).await {
            Ok(outcome) => {
                let measure = outcome.measures.first().copied();
                tracing::info!(peer = self.peer, ?measure, "a customer asks by bgp; it waits for approval");
                let note = "asked by BGP within the memorandum; the policy pack wants a person's approval".to_owned();
                self.note(handle, case, note).await?;
                measure
            }
            Err(CommandError::Stopped) => return Err(CommandError::Stopped),
            Err(error) => {
                tracing::warn!(%error, peer = self.peer, "a customer's request by bgp is not allowed");
                *self.status.refused.entry("policy").or_default() += 1;
                self.note(handle, case, format!("no measure was proposed: {error}")).await?;
                None
            }
        };
        self.asked.insert(key.clone(), Asked { case, request, measure, text, gone_since: None });
        Ok(())
    }

    /// Withdraws a request; what rests on it and is in the network is released by the engine, what waits is rejected.
    async fn take_back(
        &mut self,
        handle: &Handle,
        key: &RouteKey,
        why: &str,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        let Some(asked) = self.asked.get(key) else { return Ok(()) };
        let (case, request, measure) = (asked.case, asked.request, asked.measure);
        let withdraw = Command::WithdrawRequest { request, words: why.to_owned() };
        match handle.command(self.actor(), withdraw).await {
            Ok(_) => {}
            Err(CommandError::Stopped) => return Err(CommandError::Stopped),
            Err(CommandError::Conflict(_)) => {}
            // The release must not wait for the record.
            Err(error) => tracing::error!(%error, peer = self.peer, "a withdrawal is not on record yet"),
        }
        let status = measure.and_then(|id| handle.with_state(|s| s.measures.get(&id).map(|m| m.status)));
        if let Some(measure) = measure {
            let command = match status {
                Some(Status::Proposed) => Some(Command::Reject { measure, reason: why.to_owned() }),
                Some(Status::Applying | Status::Applied) => Some(Command::Release { measure, words: why.to_owned() }),
                _ => None,
            };
            if let Some(command) = command {
                match handle.command(self.actor(), command).await {
                    Ok(_) | Err(CommandError::Conflict(_)) => {}
                    Err(CommandError::Stopped) => return Err(CommandError::Stopped),
                    Err(error) => {
                        tracing::error!(%error, %measure, "what a customer took back is not released; tried again");
                        self.again.insert(key.clone(), now.plus_ms(AGAIN_MS));
                        return Ok(());
                    }
                }
            }
        }
        tracing::info!(peer = self.peer, %case, why, "a customer's request by bgp ended");
        self.status.withdrawn += 1;
        self.asked.remove(key);
        Ok(())
    }

    async fn refuse(
        &mut self,
        handle: &Handle,
        key: &RouteKey,
        offer: &Arc<Update>,
        why: &Refused,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        let text = why.to_string();
        if self.refused.get(key).is_some_and(|(seen, said)| Arc::ptr_eq(seen, offer) && *said == text) {
            return Ok(());
        }
        *self.status.refused.entry(why.kind()).or_default() += 1;
        tracing::warn!(peer = self.peer, route = name(key), why = text, "a customer's request by bgp is refused");
        self.refused.insert(key.clone(), (offer.clone(), text.clone()));
        if now.ms_since(self.told.0) >= HOUR_MS {
            self.told = (now, 0);
        }
        self.told.1 += 1;
        if self.told.1 > TOLD_AN_HOUR {
            return Ok(());
        }
        let complaint = format!("refused by BGP from {} ({}): {}: {text}", self.peer, self.asn, name(key));
        let open = self.complaints.filter(|c| {
            let closed = |s: &State| s.cases.get(c).is_none_or(|c| c.phase == suimon_base::case::Phase::Closed);
            !handle.with_state(closed)
        });
        let case = match open {
            Some(case) => case,
            None => {
                let title = format!("requests by BGP that were refused, from {}", self.peer);
                let open = Command::OpenCase { customer: self.memo.customer.clone(), title, request: None };
                match handle.command(self.actor(), open).await {
                    Ok(outcome) => match outcome.case {
                        Some(case) => case,
                        None => return Ok(()),
                    },
                    Err(CommandError::Stopped) => return Err(CommandError::Stopped),
                    Err(error) => {
                        tracing::error!(%error, "a refusal is not on record");
                        return Ok(());
                    }
                }
            }
        };
        self.complaints = Some(case);
        self.note(handle, case, complaint).await
    }

    async fn note(&self, handle: &Handle, case: CaseId, text: String) -> Result<(), CommandError> {
        match handle.command(self.actor(), Command::Note { case, text }).await {
            Err(CommandError::Stopped) => Err(CommandError::Stopped),
            Err(error) => {
                tracing::error!(%error, "a note on a customer's request is not on record");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

/// A key for people.
fn name(key: &RouteKey) -> String {
    match crate::update::prefix(key) {
        Some(net) => net.to_string(),
        None => {
            let octets: String = key.nlri.iter().take(64).map(|b| format!("{b:02x}")).collect();
            format!("{} {octets}", key.family)
        }
    }
}
