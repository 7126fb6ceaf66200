//! The ledger, event by event.

use super::context::Ctx;
use super::show::{Before, When};
use crate::App;
use crate::api::extract::Params;
use crate::api::read::ledger_head;
use crate::limits::EVENTS_PER_PAGE;
use crate::problem::Problem;
use crate::text::Texts;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use suimon_base::Actor;

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    head: u64,
    hash: String,
    waiting_events: usize,
    events: Vec<EventView>,
    newer: Option<u64>,
    older: Option<u64>,
}

struct EventView {
    seq: u64,
    at: When,
    actor: Actor,
    exercise: bool,
    kind: &'static str,
    body: String,
    hash: String,
}

pub(crate) async fn ledger(State(app): State<App>, ctx: Ctx, Params(page): Params<Before>) -> Response {
    match page_of(&app, &ctx, page.before).await {
        Ok(page) => ctx.page(&page),
        Err(problem) => ctx.fail(&problem, "/"),
    }
}

async fn page_of<'a>(app: &App, ctx: &'a Ctx, before: Option<u64>) -> Result<LedgerPage<'a>, Problem> {
    let head = ledger_head(app).await?;
    let end = before.unwrap_or(u64::MAX).clamp(1, head.seq.saturating_add(1));
    let start = end.saturating_sub(EVENTS_PER_PAGE).max(1);
    let count = u32::try_from(end - start).unwrap_or(0);
    let rows = app.handle.events().read(start, count).await.map_err(|e| Problem::ledger(e.to_string()))?;
    let events = rows.into_iter().rev().map(|row| EventView {
        seq: row.recorded.seq,
        at: When(row.recorded.at),
        actor: row.recorded.actor,
        exercise: row.recorded.exercise,
        kind: row.recorded.event.kind(),
        body: serde_json::to_string_pretty(&row.recorded.event).unwrap_or(row.body),
        hash: row.hash.to_string(),
    });
    Ok(LedgerPage {
        ctx,
        t: ctx.t,
        head: head.seq,
        hash: head.hash.unwrap_or_default(),
        waiting_events: head.waiting_events,
        events: events.collect(),
        newer: (end <= head.seq).then(|| end.saturating_add(EVENTS_PER_PAGE)),
        older: (start > 1).then_some(start),
    })
}
