//! The start page: what is in the network right now, and who decided it.

use super::context::Ctx;
use super::show::{AttackRow, CaseRow, MeasureRow, When};
use crate::App;
use crate::api::extract::Params;
use crate::api::read::with_live;
use crate::limits::DEFAULT_ENTRIES;
use crate::text::Texts;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use suimon_base::case::Phase;
use suimon_base::measure::Status;

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    live: bool,
    at: When,
    answer: String,
    in_force: Vec<MeasureRow>,
    waiting: Vec<MeasureRow>,
    attacks: Vec<AttackRow>,
    cases: Vec<CaseRow>,
    collection: String,
    waiting_events: usize,
}

#[derive(serde::Deserialize)]
pub(crate) struct Live {
    live: Option<u8>,
}

pub(crate) async fn now(State(app): State<App>, ctx: Ctx, Params(params): Params<Live>) -> Response {
    let live = app.handle.live();
    let t = ctx.t;
    let page = app.handle.with_state(|s| {
        let row = |m| MeasureRow::new(&ctx, m, &live);
        let in_force: Vec<MeasureRow> = s.in_force().map(row).collect();
        let waiting = s.measures.values().filter(|m| m.status == Status::Proposed);
        let running = s.attacks.values().rev().filter(|a| a.attack.ended.is_none());
        let open = s.cases.values().rev().filter(|c| c.phase != Phase::Closed);
        let collection = s.collection.as_ref().map(|(id, terms, _)| {
            let purpose = terms.get("purpose").and_then(|p| p.as_str()).unwrap_or_default();
            t.collection_runs.replace("{id}", &id.to_string()).replace("{purpose}", purpose)
        });
        NowPage {
            ctx: &ctx,
            t,
            live: params.live != Some(0),
            at: When(app.clock.now()),
            answer: match in_force.len() {
                0 => t.net_nothing.to_owned(),
                n => t.net_some.replace("{n}", &n.to_string()),
            },
            in_force,
            waiting: waiting.map(row).collect(),
            attacks: running.take(DEFAULT_ENTRIES).map(|a| AttackRow::new(&with_live(a, &live))).collect(),
            cases: open.take(DEFAULT_ENTRIES).map(|c| CaseRow::new(&ctx, c, &app.handle)).collect(),
            collection: collection.unwrap_or_else(|| t.collection_none.to_owned()),
            waiting_events: live.waiting_events,
        }
    });
    ctx.page(&page)
}
