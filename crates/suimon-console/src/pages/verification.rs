//! What the hands see beside what the ledger wants, what a person has to decide about it, and "is it you who drops this?".

use super::context::Ctx;
use super::show::{When, customer_name, joined, span};
use crate::App;
use crate::api::extract::Params;
use crate::api::verify::{Asked, Resolve, Verification};
use crate::guard::Caller;
use crate::problem::Problem;
use crate::text::Texts;
use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Form};
use serde::Deserialize;
use suimon_base::query::Fate;
use suimon_base::{Orphan, OrphanKind, OrphanStep, Timestamp};
use suimon_spine::verify::sight::{HandView, SeenState};
use suimon_spine::why::{Decider, Known, Why};

#[derive(Template)]
#[template(path = "verification.html")]
struct VerificationPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    orphans: Vec<OrphanView>,
    proposals: Vec<(String, String, When)>,
    hands: Vec<HandRow>,
}

struct HandRow {
    name: String,
    /// In words: when it looked, or why not.
    state: String,
    dark: bool,
    places: Vec<PlaceRow>,
}

struct PlaceRow {
    measure: String,
    place: String,
    class: &'static str,
    state: String,
    why: String,
    since: When,
    counters: String,
    /// For how long nothing was matched.
    silent: Option<String>,
}

struct OrphanView {
    id: String,
    kind: &'static str,
    hand: String,
    place: String,
    name: String,
    what: String,
    text: String,
    at: When,
    steps: Vec<(&'static str, &'static str)>,
    adopt: bool,
}

fn hand_row(ctx: &Ctx, v: &HandView, now: Timestamp) -> HandRow {
    let t = ctx.t;
    let ago = |at: Timestamp| t.looked_ago.replace("{n}", &span(t, now.ms_since(at).max(0)));
    let state = match (&v.unreachable, v.looks, v.looked) {
        (Some(u), ..) => {
            format!("{} {}", t.unreachable_since.replace("{n}", &span(t, now.ms_since(u.since).max(0))), u.why)
        }
        (None, Some(false), _) => t.cannot_look.to_owned(),
        (None, _, Some(at)) => ago(at),
        _ => t.not_looked_yet.to_owned(),
    };
    let places = v.measures.iter().map(|p| {
        let (class, words) = state_words(t, &p.state);
        let counters = match (p.packets, p.octets) {
            (Some(packets), Some(octets)) => {
                t.counted_octets.replace("{p}", &packets.to_string()).replace("{o}", &octets.to_string())
            }
            (Some(packets), None) => t.counted.replace("{p}", &packets.to_string()),
            _ => "—".to_owned(),
        };
        PlaceRow {
            measure: p.id.to_string(),
            place: p.place.clone(),
            class,
            state: words.to_owned(),
            why: p.state.why().to_owned(),
            since: When(p.since),
            counters,
            silent: p.moved.map(|m| p.looked.ms_since(m)).filter(|ms| *ms >= 60_000).map(|ms| span(t, ms)),
        }
    });
    HandRow { name: v.hand.clone(), state, dark: v.unreachable.is_some(), places: places.collect() }
}

fn state_words(t: &Texts, state: &SeenState) -> (&'static str, &'static str) {
    match state {
        SeenState::AsWanted => ("applied", t.state_as_wanted),
        SeenState::Missing => ("failed", t.state_missing),
        SeenState::Partly { .. } => ("failed", t.state_partly),
        SeenState::Different { .. } => ("failed", t.state_different),
        SeenState::Unreachable { .. } => ("releasing", t.state_unreachable),
    }
}

fn orphan_view(t: &'static Texts, o: &Orphan) -> OrphanView {
    let steps = o.found.kind.steps().iter().filter(|s| **s != OrphanStep::Adopt).map(|s| match s {
        OrphanStep::Adopt => ("adopt", t.step_adopt),
        OrphanStep::Remove => ("remove", t.step_remove),
        OrphanStep::Restore => ("restore", t.step_restore),
        OrphanStep::Release => ("release", t.step_release),
        OrphanStep::Leave => ("leave", t.step_leave),
    });
    OrphanView {
        id: o.id.to_string(),
        kind: match o.found.kind {
            OrphanKind::Unknown => t.orphan_unknown,
            OrphanKind::Ended => t.orphan_ended,
            OrphanKind::Differs => t.orphan_differs,
            OrphanKind::Missing => t.orphan_missing,
        },
        hand: o.found.hand.clone(),
        place: o.found.place.clone(),
        name: o.found.name.clone(),
        what: o.found.what.clone(),
        text: o.found.text.clone(),
        at: When(o.at),
        steps: steps.collect(),
        adopt: o.found.kind.steps().contains(&OrphanStep::Adopt) && !o.found.text.is_empty(),
    }
}

pub(crate) async fn verification(State(app): State<App>, ctx: Ctx) -> Response {
    let v = Verification::of(&app);
    let page = VerificationPage {
        ctx: &ctx,
        t: ctx.t,
        orphans: v.orphans.iter().map(|o| orphan_view(ctx.t, o)).collect(),
        proposals: v.release_proposed.iter().map(|r| (r.measure.to_string(), r.why.clone(), When(r.at))).collect(),
        hands: v.hands.iter().map(|h| hand_row(&ctx, h, v.at)).collect(),
    };
    ctx.page(&page)
}

#[derive(Deserialize)]
pub(crate) struct ResolveForm {
    step: OrphanStep,
    reason: String,
    #[serde(default)]
    case: String,
    #[serde(default)]
    end: String,
}

pub(crate) async fn resolve(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(orphan): Path<String>,
    form: Result<Form<ResolveForm>, FormRejection>,
) -> Response {
    let command = || -> Result<_, Problem> {
        let Form(f) = form.map_err(|e| Problem::bad(e.body_text()))?;
        let case = match f.case.trim() {
            "" => None,
            text => Some(text.parse().map_err(|e: suimon_base::id::IdError| Problem::bad(e.to_string()))?),
        };
        let end = Some(f.end.trim().to_owned()).filter(|e| !e.is_empty());
        let body = Resolve { step: f.step, reason: f.reason, case, end, claims: Default::default() };
        body.command(orphan.parse().map_err(|e: suimon_base::id::IdError| Problem::bad(e.to_string()))?)
    };
    let result = match command() {
        Ok(command) => app.handle.command(caller.0, command).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    let measure = result
        .as_ref()
        .ok()
        .and_then(|o| o.measures.first().copied())
        .or(result.as_ref().err().and_then(|p| p.measure));
    match measure {
        Some(measure) => ctx.after(Ok(()), &format!("/measures/{measure}")),
        None => ctx.after(result, "/verification"),
    }
}

#[derive(Template)]
#[template(path = "why.html")]
struct WhyPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    asked: &'a Asked,
    port: &'a str,
    src_port: &'a str,
    time: &'a str,
    problem: Option<String>,
    answer: Option<AnswerView>,
}

struct AnswerView {
    words: String,
    acts: bool,
    at: When,
    /// How old the oldest look is.
    age: Option<String>,
    deciders: Vec<DeciderRow>,
    absent: Vec<(String, String, When)>,
    dark: Vec<(String, String)>,
    more: usize,
}

struct DeciderRow {
    does: &'static str,
    measure: Option<String>,
    orphan: Option<String>,
    place: String,
    known: String,
    since: Option<When>,
    line: Option<String>,
    conditions: String,
    about: Option<AboutRow>,
}

struct AboutRow {
    case: String,
    customer: String,
    request: String,
    asked_by: String,
    reason: String,
    people: String,
    end: String,
    may_lift: String,
}

fn decider_row(app: &App, ctx: &Ctx, d: &Decider) -> DeciderRow {
    let t = ctx.t;
    let age = d.age_ms.map(|ms| t.looked_ago.replace("{n}", &span(t, ms.max(0))));
    let known = match d.known {
        Known::Observed => t.known_observed,
        Known::Different => t.known_different,
        Known::NotLooked => t.known_not_looked,
        Known::Recorded => t.known_recorded,
    };
    DeciderRow {
        does: match d.does {
            Fate::Drops => t.fate_drops,
            Fate::DropsSome => t.fate_drops_some,
            Fate::Limits => t.fate_limits,
            Fate::LimitsSome => t.fate_limits_some,
            Fate::Passes => t.none,
        },
        measure: d.measure.map(|m| m.to_string()),
        orphan: d.orphan.map(|o| o.to_string()),
        place: format!("{} {}", d.hand, d.place),
        known: age.map_or_else(|| known.to_owned(), |age| format!("{known} ({age})")),
        since: d.since.map(When),
        line: d.line.as_ref().map(|l| format!("{}: {}", l.number, l.text)),
        conditions: d.conditions.join(", "),
        about: d.of.as_ref().map(|a| AboutRow {
            case: a.case.to_string(),
            customer: customer_name(t, &app.handle, a.customer.as_deref()),
            request: a.request.map_or_else(|| t.none.to_owned(), |r| r.to_string()),
            asked_by: a.asked_by.clone().unwrap_or_default(),
            reason: a.reason.clone(),
            people: joined([Some(&a.proposed_by), a.approved_by.as_ref()].into_iter().flatten()),
            end: a.end.clone(),
            may_lift: a.may_lift.join(", "),
        }),
    }
}

fn answer_view(app: &App, ctx: &Ctx, why: &Why) -> AnswerView {
    AnswerView {
        words: ctx.either(&why.words_ja, &why.words_en).to_owned(),
        acts: why.verdict != Fate::Passes,
        at: When(why.at),
        age: why.oldest_look_ms.map(|ms| span(ctx.t, ms.max(0))),
        deciders: why.deciders.iter().map(|d| decider_row(app, ctx, d)).collect(),
        absent: why
            .absent
            .iter()
            .map(|a| (a.measure.to_string(), format!("{} {}", a.hand, a.place), When(a.since)))
            .collect(),
        dark: why.dark.iter().map(|d| (format!("{} {}", d.hand, d.place), d.why.clone())).collect(),
        more: why.more,
    }
}

pub(crate) async fn why(State(app): State<App>, ctx: Ctx, asked: Result<Params<Asked>, Problem>) -> Response {
    let (asked, mut problem) = match asked {
        Ok(Params(asked)) => (asked, None),
        Err(p) => (Asked::default(), Some(p.message)),
    };
    let blank = asked.src.is_empty() && asked.dst.is_empty() && asked.proto.is_empty();
    let mut answer = None;
    if !blank && problem.is_none() {
        match asked.answer(&app) {
            Ok(why) => answer = Some(answer_view(&app, &ctx, &why)),
            Err(p) => problem = Some(p.message),
        }
    }
    ctx.page(&WhyPage {
        ctx: &ctx,
        t: ctx.t,
        port: asked.port.as_deref().unwrap_or_default(),
        src_port: asked.src_port.as_deref().unwrap_or_default(),
        time: asked.at.as_deref().unwrap_or_default(),
        asked: &asked,
        problem,
        answer,
    })
}
