//! What is: everything that only looks.

use crate::App;
use crate::api::extract::{Id, Params};
use crate::limits::{DEFAULT_ENTRIES, MAX_ENTRIES, MAX_WAIT_MS};
use crate::problem::Problem;
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use suimon_base::attack::Attack;
use suimon_base::event::{Effect, ReleaseReason};
use suimon_base::measure::Status;
use suimon_base::state::{Applied, Case, KnownAttack, Measure, Request};
use suimon_base::{Actor, AttackId, CaseId, End, MeasureId, Recorded, RequestId, State as Record, Timestamp};
use suimon_spine::stale::Stale;
use suimon_spine::{Live, report};

/// Place and hash of the last event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LedgerHead {
    pub seq: u64,
    pub hash: Option<String>,
    /// Events that wait because the ledger cannot be written.
    pub waiting_events: usize,
    pub lost_observations: u64,
}

/// A measure without its texts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MeasureBrief {
    pub id: MeasureId,
    pub case: CaseId,
    pub status: Status,
    pub exercise: bool,
    pub act: String,
    pub means: Option<String>,
    pub hand: String,
    pub customer: Option<String>,
    pub attack: Option<AttackId>,
    pub request: Option<RequestId>,
    pub dialect: Option<String>,
    pub lines: Option<u64>,
    pub targets: Vec<String>,
    pub end: End,
    pub end_text: String,
    pub proposed: (Actor, Timestamp),
    pub approved: Option<(Actor, Timestamp)>,
    pub applied: Option<Applied>,
    pub release: Option<(ReleaseReason, Timestamp)>,
    pub released: Option<(Timestamp, String)>,
    pub error: Option<String>,
    /// The latest reading: live where there is one, else from the ledger.
    pub effect: Option<Effect>,
}

impl MeasureBrief {
    pub(crate) fn new(m: &Measure, live: &Live) -> Self {
        let plan = m.plan();
        MeasureBrief {
            id: m.id,
            case: m.case,
            status: m.status,
            exercise: m.exercise,
            act: m.draft.act.clone(),
            means: plan.and_then(|p| p.alternatives.get(p.chosen?)).map(|a| a.means.clone()),
            hand: m.draft.hand.clone(),
            customer: m.draft.customer.clone(),
            attack: m.draft.attack,
            request: m.draft.request,
            dialect: plan.map(|p| p.dialect.clone()),
            lines: plan.map(|p| p.lines),
            targets: plan.map(|p| p.targets.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            end: m.end_wanted().clone(),
            end_text: m.end_wanted().to_string(),
            proposed: m.proposed.clone(),
            approved: m.approved.clone(),
            applied: m.applied.clone(),
            release: m.release.clone(),
            released: m.released.clone(),
            error: m.error.clone(),
            effect: latest_effect(m, live),
        }
    }
}

/// The latest reading of a measure's effect.
pub(crate) fn latest_effect(m: &Measure, live: &Live) -> Option<Effect> {
    live.effects.get(&m.id).copied().or(m.effect.map(|(_, last)| last))
}

/// An attack with its live figures where it still runs.
pub(crate) fn with_live(known: &KnownAttack, live: &Live) -> KnownAttack {
    let latest: &Attack = live.attacks.get(&known.id).filter(|_| known.attack.ended.is_none()).unwrap_or(&known.attack);
    KnownAttack { attack: latest.clone(), ..known.clone() }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Collection {
    id: MeasureId,
    terms: Value,
    decision: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Now {
    at: Timestamp,
    version: String,
    exercise: bool,
    attacks: Vec<KnownAttack>,
    measures: Vec<MeasureBrief>,
    cases: Vec<Case>,
    collection: Option<Collection>,
    ledger: LedgerHead,
}

pub(crate) async fn now(State(app): State<App>) -> Result<Json<Now>, Problem> {
    let live = app.handle.live();
    let ledger = ledger_head(&app).await?;
    let (attacks, measures, cases, collection) = app.handle.with_state(|s| {
        let running = s.attacks.values().rev().filter(|a| a.attack.ended.is_none());
        let open = s.cases.values().rev().filter(|c| c.phase != suimon_base::case::Phase::Closed);
        (
            running.take(MAX_ENTRIES).map(|a| with_live(a, &live)).collect(),
            s.in_force().map(|m| MeasureBrief::new(m, &live)).collect(),
            open.take(MAX_ENTRIES).cloned().collect(),
            s.collection.clone().map(|(id, terms, decision)| Collection { id, terms, decision }),
        )
    });
    Ok(Json(Now {
        at: app.clock.now(),
        version: app.about.version.clone(),
        exercise: app.about.exercise,
        attacks,
        measures,
        cases,
        collection,
        ledger,
    }))
}

/// `limit` bounds a list; `before` goes on with the entries before that number.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Page {
    limit: Option<usize>,
    before: Option<u64>,
}

impl Page {
    pub(crate) fn take<'a, K: 'a, V: 'a, R>(
        &self,
        newest_first: impl Iterator<Item = (&'a K, &'a V)>,
        number: impl Fn(&K) -> u64,
        make: impl Fn(&V) -> R,
    ) -> Vec<R> {
        newest_first
            .filter(|(k, _)| self.before.is_none_or(|before| number(k) < before))
            .take(self.limit.unwrap_or(DEFAULT_ENTRIES).min(MAX_ENTRIES))
            .map(|(_, v)| make(v))
            .collect()
    }
}

pub(crate) async fn attacks(State(app): State<App>, Params(page): Params<Page>) -> Json<Vec<KnownAttack>> {
    let live = app.handle.live();
    Json(app.handle.with_state(|s| page.take(s.attacks.iter().rev(), |id| id.0, |a| with_live(a, &live))))
}

pub(crate) async fn attack(State(app): State<App>, Id(id): Id<AttackId>) -> Result<Json<KnownAttack>, Problem> {
    let live = app.handle.live();
    let found = app.handle.with_state(|s| s.attacks.get(&id).map(|a| with_live(a, &live)));
    found.map(Json).ok_or_else(|| Problem::not_found(id))
}

pub(crate) async fn cases(State(app): State<App>, Params(page): Params<Page>) -> Json<Vec<Case>> {
    Json(app.handle.with_state(|s| page.take(s.cases.iter().rev(), |id| id.0, Clone::clone)))
}

/// A case with what belongs to it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CaseWhole {
    pub case: Case,
    pub attacks: Vec<KnownAttack>,
    pub requests: Vec<Request>,
    pub measures: Vec<MeasureBrief>,
}

impl CaseWhole {
    pub(crate) fn of(s: &Record, live: &Live, id: CaseId) -> Option<Self> {
        let case = s.cases.get(&id)?.clone();
        let attacks = case.attacks.iter().filter_map(|a| s.attacks.get(a)).map(|a| with_live(a, live)).collect();
        let requests = case.requests.iter().filter_map(|r| s.requests.get(r)).cloned().collect();
        let measures = case.measures.iter().filter_map(|m| s.measures.get(m));
        let measures = measures.map(|m| MeasureBrief::new(m, live)).collect();
        Some(CaseWhole { case, attacks, requests, measures })
    }
}

pub(crate) async fn case(State(app): State<App>, Id(id): Id<CaseId>) -> Result<Json<CaseWhole>, Problem> {
    let live = app.handle.live();
    let found = app.handle.with_state(|s| CaseWhole::of(s, &live, id));
    found.map(Json).ok_or_else(|| Problem::not_found(id))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ReportParams {
    lang: Option<String>,
}

pub(crate) async fn report(
    State(app): State<App>,
    Id(id): Id<CaseId>,
    Params(params): Params<ReportParams>,
) -> Result<impl IntoResponse, Problem> {
    let lang = match params.lang.as_deref() {
        None => text::Lang::Ja,
        Some(code) => text::from_code(code).ok_or_else(|| Problem::bad(format!("lang `{code}` is not ja or en")))?,
    };
    let text = app.handle.with_state(|s| report::render(s, app.handle.register(), id, lang));
    let text = text.ok_or_else(|| Problem::not_found(id))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text))
}

pub(crate) async fn measures(State(app): State<App>, Params(page): Params<Page>) -> Json<Vec<MeasureBrief>> {
    let live = app.handle.live();
    let brief = |m: &Measure| MeasureBrief::new(m, &live);
    Json(app.handle.with_state(|s| page.take(s.measures.iter().rev(), |id| id.0, brief)))
}

/// The list is short, or something is badly wrong; it is not paged.
pub(crate) async fn stale(State(app): State<App>) -> Json<Vec<Stale>> {
    let mut all = app.handle.stale(app.clock.now());
    all.truncate(MAX_ENTRIES);
    Json(all)
}

/// A measure with its latest reading.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MeasureWhole {
    measure: Measure,
    latest_effect: Option<Effect>,
}

pub(crate) async fn measure(State(app): State<App>, Id(id): Id<MeasureId>) -> Result<Json<MeasureWhole>, Problem> {
    let live = app.handle.live();
    let found = app.handle.with_state(|s| s.measures.get(&id).cloned());
    let measure = found.ok_or_else(|| Problem::not_found(id))?;
    Ok(Json(MeasureWhole { latest_effect: latest_effect(&measure, &live), measure }))
}

#[derive(Deserialize)]
pub(crate) struct EventsParams {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Events {
    events: Vec<Recorded>,
    /// Place of the last event in the ledger.
    head: u64,
}

pub(crate) async fn events(State(app): State<App>, Params(p): Params<EventsParams>) -> Result<Json<Events>, Problem> {
    let mut changes = app.handle.changes();
    let wait = Duration::from_millis(p.wait_ms.min(MAX_WAIT_MS));
    if !wait.is_zero() {
        // Nothing new within the time is an answer too, and so is an engine that stops.
        let _ = tokio::time::timeout(wait, changes.wait_for(|head| *head > p.after)).await;
    }
    let head = *changes.borrow_and_update();
    let limit = p.limit.unwrap_or(DEFAULT_ENTRIES).min(MAX_ENTRIES);
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let from = p.after.saturating_add(1);
    let rows = app.handle.events().read(from, limit).await.map_err(|e| Problem::ledger(e.to_string()))?;
    Ok(Json(Events { events: rows.into_iter().map(|row| row.recorded).collect(), head }))
}

/// Place and hash of the last event, and what waits.
pub(crate) async fn ledger_head(app: &App) -> Result<LedgerHead, Problem> {
    let seq = app.handle.with_state(|s| s.seq);
    let rows = app.handle.events().read(seq, 1).await.map_err(|e| Problem::ledger(e.to_string()))?;
    let live = app.handle.live();
    Ok(LedgerHead {
        seq,
        hash: rows.first().map(|row| row.hash.to_string()),
        waiting_events: live.waiting_events,
        lost_observations: live.lost_observations,
    })
}

pub(crate) async fn head(State(app): State<App>) -> Result<Json<LedgerHead>, Problem> {
    ledger_head(&app).await.map(Json)
}

pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (app.about.metrics)())
}

/// For monitors: healthy means that acts can be recorded.
pub(crate) async fn healthz(State(app): State<App>) -> Result<&'static str, Problem> {
    let waiting = app.handle.live().waiting_events;
    if waiting == 0 { Ok("ok\n") } else { Err(Problem::ledger(format!("{waiting} events wait for the ledger"))) }
}

pub(crate) async fn openapi() -> Json<Value> {
    Json(crate::openapi::document())
}
