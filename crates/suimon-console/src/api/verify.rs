//! What the hands see, what differs, which measure touches a packet, and dry runs.

use super::read::Page;
use crate::App;
use crate::api::extract::{Id, JsonBody, Params};
use crate::guard::Caller;
use crate::problem::Problem;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use suimon_base::drift::Outage;
use suimon_base::{CaseId, MeasureId, Orphan, OrphanId, OrphanStep, Timestamp};
use suimon_spine::command::{Claims, Proposal};
use suimon_spine::ports::Session;
use suimon_spine::verify::sight::HandView;
use suimon_spine::why::{Why, ask};
use suimon_spine::{Command, Outcome, Tried};

/// A release that was proposed to people.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ReleaseProposal {
    pub measure: MeasureId,
    pub at: Timestamp,
    pub why: String,
}

/// Desired against observed state.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Verification {
    pub at: Timestamp,
    pub hands: Vec<Arc<HandView>>,
    pub orphans: Vec<Orphan>,
    pub outages: Vec<Outage>,
    pub release_proposed: Vec<ReleaseProposal>,
}

impl Verification {
    pub(crate) fn of(app: &App) -> Self {
        let hands = app.handle.live().views.into_values().collect();
        app.handle.with_state(|s| Verification {
            at: app.clock.now(),
            hands,
            orphans: s.drift.open().cloned().collect(),
            outages: s.drift.outages.iter().filter(|o| o.until.is_none()).cloned().collect(),
            release_proposed: s
                .drift
                .release_proposed
                .iter()
                .map(|(measure, (at, why))| ReleaseProposal { measure: *measure, at: *at, why: why.clone() })
                .collect(),
        })
    }
}

pub(crate) async fn verification(State(app): State<App>) -> Json<Verification> {
    Json(Verification::of(&app))
}

pub(crate) async fn orphans(State(app): State<App>, Params(page): Params<Page>) -> Json<Vec<Orphan>> {
    Json(app.handle.with_state(|s| page.take(s.drift.orphans.iter().rev(), |id| id.0, Clone::clone)))
}

pub(crate) async fn orphan(State(app): State<App>, Id(id): Id<OrphanId>) -> Result<Json<Orphan>, Problem> {
    let found = app.handle.with_state(|s| s.drift.orphans.get(&id).cloned());
    found.map(Json).ok_or_else(|| Problem::not_found(id))
}

/// What is decided about a difference; `case`, `end` and `claims` are for `adopt`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Resolve {
    pub step: OrphanStep,
    pub reason: String,
    #[serde(default)]
    pub case: Option<CaseId>,
    #[serde(default)]
    pub end: Option<String>,
    #[serde(default)]
    pub claims: Claims,
}

impl Resolve {
    pub(crate) fn command(self, orphan: OrphanId) -> Result<Command, Problem> {
        let proposal = match (self.step, self.case, self.end) {
            (OrphanStep::Adopt, Some(case), Some(end)) => Some(Box::new(Proposal {
                case,
                attack: None,
                end,
                dialect: None,
                hand: None,
                choose: None,
                filter_request: None,
                reason: self.reason.clone(),
                claims: self.claims,
            })),
            (OrphanStep::Adopt, ..) => return Err(Problem::bad("adopting needs `case` and `end`")),
            _ => None,
        };
        Ok(Command::ResolveOrphan { orphan, step: self.step, reason: self.reason, proposal })
    }
}

pub(crate) async fn resolve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<OrphanId>,
    JsonBody(body): JsonBody<Resolve>,
) -> Result<Json<Outcome>, Problem> {
    Ok(Json(app.handle.command(caller.0, body.command(id)?).await?))
}

/// The question, as text: what is wrong with it is said in words.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Asked {
    pub src: String,
    pub dst: String,
    pub proto: String,
    pub port: Option<String>,
    pub src_port: Option<String>,
    pub at: Option<String>,
}

impl Asked {
    pub(crate) fn answer(&self, app: &App) -> Result<Why, Problem> {
        let bad = |e: ask::AskError| Problem::bad(e.to_string());
        let (port, src_port) = (self.port.as_deref(), self.src_port.as_deref());
        let query = ask::query(&self.src, &self.dst, &self.proto, port, src_port).map_err(bad)?;
        let at = self.at.as_deref().filter(|t| !t.trim().is_empty()).map(ask::time).transpose().map_err(bad)?;
        let now = app.clock.now();
        if at.is_some_and(|at| at > now) {
            return Err(Problem::bad("that time has not come yet"));
        }
        Ok(app.handle.why(query, at, now))
    }
}

pub(crate) async fn why(State(app): State<App>, Params(asked): Params<Asked>) -> Result<Json<Why>, Problem> {
    asked.answer(&app).map(Json)
}

pub(crate) async fn dry_run(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(proposal): JsonBody<Proposal>,
) -> Result<Json<Tried>, Problem> {
    Ok(Json(app.handle.dry_run(caller.0, proposal).await?))
}

pub(crate) async fn sessions(State(app): State<App>) -> Result<Json<Vec<Session>>, Problem> {
    Ok(Json(app.handle.sessions().await?))
}
