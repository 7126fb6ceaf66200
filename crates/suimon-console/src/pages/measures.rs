//! Measures: what, why, with which proof, and who may do what with them now.

use super::context::Ctx;
use super::decision::DecisionView;
use super::ending::EndingView;
use super::show::{Before, MeasureRow, When, newest, percent, percent_or, span};
use crate::App;
use crate::api::extract::{Id, Params};
use crate::problem::Problem;
use crate::text::Texts;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use suimon_base::event::{Plan, ReleaseReason};
use suimon_base::measure::Status;
use suimon_base::state::Measure;
use suimon_base::{AttackId, MeasureId, RequestId};
use suimon_spine::Live;

#[derive(Template)]
#[template(path = "measures.html")]
struct MeasuresPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    measures: Vec<MeasureRow>,
    older: Option<u64>,
}

pub(crate) async fn measures(State(app): State<App>, ctx: Ctx, Params(page): Params<Before>) -> Response {
    let live = app.handle.live();
    let (measures, older) = app.handle.with_state(|s| {
        let all = s.measures.iter().rev().map(|(id, m)| (id.0, m));
        newest(all, page.before, |m| MeasureRow::new(&ctx, m, &live))
    });
    ctx.page(&MeasuresPage { ctx: &ctx, t: ctx.t, measures, older })
}

#[derive(Template)]
#[template(path = "release_all.html")]
struct ReleaseAllPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    measures: Vec<MeasureRow>,
}

pub(crate) async fn release_all(State(app): State<App>, ctx: Ctx) -> Response {
    let live = app.handle.live();
    let measures = app.handle.with_state(|s| s.in_force().map(|m| MeasureRow::new(&ctx, m, &live)).collect());
    ctx.page(&ReleaseAllPage { ctx: &ctx, t: ctx.t, measures })
}

#[derive(Template)]
#[template(path = "measure.html")]
struct MeasurePage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    m: MeasureRow,
    hand: String,
    infringement: String,
    expected: String,
    proposed_at: When,
    approved_at: Option<When>,
    release: Option<(String, When)>,
    released: Option<(String, When)>,
    reason: String,
    attack: Option<AttackId>,
    request: Option<RequestId>,
    error: Option<String>,
    denied: bool,
    d: DecisionView,
    plan: Option<PlanView>,
    may: May,
    back: EndingView,
}

/// Which forms the page shows.
struct May {
    approve: bool,
    is_proposer: bool,
    applied: bool,
    release: bool,
    released: bool,
}

struct PlanView {
    alternatives: Vec<AlternativeRow>,
    separates: bool,
    dialect: String,
    lines: u64,
    text: String,
    undo: String,
    exact: bool,
    proof: String,
    questions: Vec<String>,
    places: Vec<PlaceRow>,
    stages: Vec<StageRow>,
}

/// A way on a device, ranked.
struct PlaceRow {
    /// `way` on `device`.
    what: String,
    words: String,
    reason: Option<String>,
    lines: u64,
    load: String,
    bystanders: String,
}

struct StageRow {
    device: String,
    words: String,
    until: String,
    lines: u64,
}

fn place_row(ctx: &Ctx, c: &suimon_base::placement::PlaceChoice) -> PlaceRow {
    PlaceRow {
        what: format!("{} · {} ({})", c.way, c.device, c.place),
        words: ctx.either(&c.words_ja, &c.words_en).to_owned(),
        reason: c.reason.clone(),
        lines: c.lines,
        load: c.load_percent.map_or_else(|| "—".to_owned(), |n| format!("{n} %")),
        bystanders: percent(c.bystander_share),
    }
}

struct AlternativeRow {
    index: usize,
    /// For people, from 1.
    number: usize,
    means: String,
    words: String,
    chosen: bool,
    refused: Option<String>,
    attack_dropped: String,
    legitimate_dropped: String,
    connections_dropped: String,
    lines: String,
}

pub(crate) async fn measure(State(app): State<App>, ctx: Ctx, id: Result<Id<MeasureId>, Problem>) -> Response {
    let id = match id {
        Ok(Id(id)) => id,
        Err(problem) => return ctx.fail(&problem, "/measures"),
    };
    let Some(m) = app.handle.with_state(|s| s.measures.get(&id).cloned()) else {
        return ctx.fail(&Problem::not_found(id), "/measures");
    };
    ctx.page(&page_of(&ctx, &m, &app.handle.live()))
}

fn page_of<'a>(ctx: &'a Ctx, m: &Measure, live: &Live) -> MeasurePage<'a> {
    let t = ctx.t;
    MeasurePage {
        ctx,
        t,
        m: MeasureRow::new(ctx, m, live),
        hand: m.draft.hand.clone(),
        infringement: infringement(t, &m.draft.infringement).to_owned(),
        expected: ctx.either(&m.draft.expected_ja, &m.draft.expected_en).to_owned(),
        proposed_at: When(m.proposed.1),
        approved_at: m.approved.as_ref().map(|(_, at)| When(*at)),
        release: m.release.as_ref().map(|(why, at)| (release_words(t, why), When(*at))),
        released: m.released.as_ref().map(|(at, checked)| (checked.clone(), When(*at))),
        reason: m.draft.reason.clone(),
        attack: m.draft.attack,
        request: m.draft.request,
        error: m.error.clone(),
        denied: m.status == Status::Denied,
        d: DecisionView::new(ctx, &m.decision),
        plan: m.plan().map(|p| plan_view(ctx, p)),
        may: May {
            approve: m.status == Status::Proposed,
            is_proposer: ctx.actor.as_ref() == Some(&m.proposed.0),
            applied: m.status == Status::Applying,
            release: matches!(m.status, Status::Applying | Status::Applied),
            released: m.status == Status::Releasing,
        },
        back: EndingView::new(ctx, m),
    }
}

fn plan_view(ctx: &Ctx, p: &Plan) -> PlanView {
    let t = ctx.t;
    let alternatives = p.alternatives.iter().enumerate().map(|(index, a)| AlternativeRow {
        index,
        number: index + 1,
        means: super::show::act_name(t, &a.means),
        words: ctx.either(&a.words_ja, &a.words_en).to_owned(),
        chosen: p.chosen == Some(index),
        refused: a.refused.clone(),
        attack_dropped: percent(a.attack_dropped),
        legitimate_dropped: percent_or(a.legitimate_dropped, t.unknown),
        connections_dropped: percent_or(a.connections_dropped, t.unknown),
        lines: a.lines.map_or_else(|| "—".to_owned(), |n| n.to_string()),
    });
    PlanView {
        alternatives: alternatives.collect(),
        separates: p.separates,
        dialect: p.dialect.clone(),
        lines: p.lines,
        text: p.text.clone(),
        undo: p.undo.clone(),
        exact: p.proof.get("equal").and_then(serde_json::Value::as_bool).unwrap_or(false),
        proof: format!("{:#}", p.proof),
        questions: p.questions.clone(),
        places: p.placement.iter().flat_map(|p| &p.choices).map(|c| place_row(ctx, c)).collect(),
        stages: p
            .placement
            .iter()
            .flat_map(|p| &p.stages)
            .map(|s| StageRow {
                device: s.device.clone().unwrap_or_else(|| "—".to_owned()),
                words: ctx.either(&s.words_ja, &s.words_en).to_owned(),
                until: ctx.either(&s.until_ja, &s.until_en).to_owned(),
                lines: s.lines,
            })
            .collect(),
    }
}

fn infringement<'a>(t: &'static Texts, name: &'a str) -> &'a str {
    match name {
        "acquire" => t.infringement_acquire,
        "use" => t.infringement_use,
        "disclose" => t.infringement_disclose,
        "none" => t.infringement_none,
        other => other,
    }
}

fn release_words(t: &Texts, reason: &ReleaseReason) -> String {
    match reason {
        ReleaseReason::Due => t.release_due.to_owned(),
        ReleaseReason::Quiet { quiet_ms } => t.release_quiet.replace("{n}", &span(t, *quiet_ms)),
        ReleaseReason::BasisLapsed { what } => format!("{} {what}", t.release_lapsed),
        ReleaseReason::ByHand { words } => format!("{} {words}", t.release_by_hand),
        ReleaseReason::TaskDone { words } => format!("{} {words}", t.release_task),
        ReleaseReason::Probed { open_ms } => t.release_probed.replace("{n}", &span(t, *open_ms)),
        ReleaseReason::Reconciled { found } => format!("{} {found}", t.release_reconciled),
    }
}
