//! The way back of a measure: what happened on it, and the forms for what a person records.

use super::acts::{Filled, id, run, some, ticked};
use super::context::Ctx;
use super::show::{EffectView, When, customer_name, joined, status_name};
use crate::App;
use crate::guard::Caller;
use crate::limits::MAX_ENTRIES;
use crate::problem::Problem;
use crate::text::Texts;
use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use suimon_base::ending::{NoticeWhen, ProbeFound};
use suimon_base::measure::Status;
use suimon_base::state::Measure;
use suimon_base::{CaseId, End, MeasureId};
use suimon_spine::Command;
use suimon_spine::command::{EndingAsk, StillThere};
use suimon_spine::stale::Stale;

/// What the page of a measure shows of its way back.
pub(crate) struct EndingView {
    pub proposed: Option<(When, String)>,
    pub lines: Vec<(&'static str, String, When)>,
    pub open: Option<When>,
    pub renewal: Option<RenewalView>,
    pub flows_after: Option<EffectView>,
    pub followed_by: Option<MeasureId>,
    pub may_finish_task: bool,
    pub may_tell: bool,
    pub may_renew: bool,
    pub may_answer: bool,
    pub may_reapply: bool,
}

/// A renewal that waits.
pub(crate) struct RenewalView {
    pub by: String,
    pub is_asker: bool,
    pub end: String,
    pub words: String,
    pub people: Vec<(&'static str, String)>,
}

impl EndingView {
    pub(crate) fn new(ctx: &Ctx, m: &Measure) -> Self {
        let (t, e) = (ctx.t, &m.ending);
        let mut lines = Vec::new();
        if let Some((at, by, words)) = &e.task_done {
            lines.push((t.task_done, format!("{words} ({by})"), When(*at)));
        }
        if let Some((due, contacts)) = &e.notice {
            lines.push((t.notice_due, contacts.join(", "), When(*due)));
        }
        for told in &e.told {
            let what = match told.when {
                NoticeWhen::Before => t.told_before,
                NoticeWhen::After => t.told_after,
            };
            lines.push((what, format!("{} {} ({})", told.contact, told.words, told.by), When(told.at)));
        }
        for p in &e.probes {
            let found = match p.found {
                ProbeFound::Present => t.trial_present,
                ProbeFound::Absent => t.trial_absent,
                ProbeFound::Unclear => t.trial_unclear,
            };
            let passed = t.packets_passed.replace("{n}", &p.passed_packets.to_string());
            lines.push((t.trial_opening, format!("{found}, {passed}"), When(p.since)));
        }
        if let Some((at, end)) = &e.renewed {
            lines.push((t.renewed, ctx.either(&end.words_ja(), &end.to_string()).to_owned(), When(*at)));
        }
        if let Some(a) = &e.access {
            match &a.answer {
                None => lines.push((t.access_check, format!("{} {}", t.access_asked, a.of), When(a.asked))),
                Some((at, ok, by, words)) => {
                    let found = if *ok { t.access_ok } else { t.access_not_ok };
                    lines.push((t.access_check, format!("{found}: {by} {words}"), When(*at)));
                }
            }
        }
        let renewal = e.renewal.as_ref().map(|r| RenewalView {
            by: r.by.to_string(),
            is_asker: ctx.actor.as_ref() == Some(&r.by),
            end: ctx.either(&r.end.words_ja(), &r.end.to_string()).to_owned(),
            words: r.words.clone(),
            people: [(t.requester_there, &r.requester), (t.owner_there, &r.owner)]
                .into_iter()
                .map(|(what, p)| (what, format!("{}: {}", p.who, p.how)))
                .collect(),
        });
        let in_force = m.status == Status::Applied;
        EndingView {
            proposed: e
                .proposed
                .as_ref()
                .filter(|_| m.status.may_be_in_force())
                .map(|(at, why)| (When(*at), why.clone())),
            lines,
            open: e.probe.as_ref().map(|p| When(p.until)),
            may_finish_task: m.status.may_be_in_force()
                && matches!(m.end_wanted(), End::TaskDone { .. })
                && e.task_done.is_none(),
            may_tell: m.approved.is_some(),
            may_renew: in_force && renewal.is_none(),
            renewal,
            flows_after: e.flows_after.as_ref().map(|f| EffectView::new(t, f)),
            followed_by: e.followed_by,
            may_answer: m.status == Status::Released && e.access.as_ref().is_none_or(|a| a.answer.is_none()),
            may_reapply: m.status == Status::Released && e.followed_by.is_none(),
        }
    }
}

#[derive(Template)]
#[template(path = "stale.html")]
struct StalePage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    stale: Vec<StaleRow>,
}

/// A measure that has stood too long.
struct StaleRow {
    id: MeasureId,
    case: CaseId,
    status: String,
    class: String,
    customer: String,
    targets: String,
    end: String,
    since: Option<When>,
    why: Vec<String>,
}

pub(crate) async fn stale(State(app): State<App>, ctx: Ctx) -> Response {
    let row = |s: Stale| StaleRow {
        id: s.measure,
        case: s.case,
        status: status_name(&ctx, s.status),
        class: s.status.to_string(),
        customer: customer_name(ctx.t, &app.handle, s.customer.as_deref()),
        targets: joined(&s.targets),
        end: s.end,
        since: s.since.map(When),
        why: s.why.iter().map(|w| ctx.either(&w.words_ja(), &w.words_en()).to_owned()).collect(),
    };
    let stale = app.handle.stale(app.clock.now()).into_iter().take(MAX_ENTRIES).map(row).collect();
    ctx.page(&StalePage { ctx: &ctx, t: ctx.t, stale })
}

/// Every form of the way back; `step` says which, and only its own fields are filled.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct EndingForm {
    step: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    words: String,
    #[serde(default)]
    when: String,
    #[serde(default)]
    ok: String,
    #[serde(default)]
    end: String,
    #[serde(default)]
    requester_there: String,
    #[serde(default)]
    requester_how: String,
    #[serde(default)]
    owner_there: String,
    #[serde(default)]
    owner_how: String,
}

impl EndingForm {
    fn ask(self) -> Result<EndingAsk, Problem> {
        let (by, words) = (self.by, self.words);
        Ok(match self.step.as_str() {
            "task-done" => EndingAsk::TaskDone { by, words },
            "told" => {
                let when = if self.when == "before" { NoticeWhen::Before } else { NoticeWhen::After };
                EndingAsk::Told { when, contact: by, words }
            }
            "access" => EndingAsk::Access { ok: ticked(&self.ok), by, words },
            "renew" => EndingAsk::Renew {
                end: self.end.trim().to_owned(),
                requester: StillThere { there: ticked(&self.requester_there), how: self.requester_how },
                owner: StillThere { there: ticked(&self.owner_there), how: self.owner_how },
                words,
            },
            "approve-renewal" => EndingAsk::ApproveRenewal {},
            "refuse-renewal" => EndingAsk::RefuseRenewal { reason: words },
            "reapply" => EndingAsk::Reapply { end: some(self.end).map(|e| e.trim().to_owned()), reason: words },
            other => return Err(Problem::bad(format!("`{other}` is no step"))),
        })
    }
}

pub(crate) async fn act(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(measure): Path<String>,
    form: Filled<EndingForm>,
) -> Response {
    let ending = |f: EndingForm| Ok(Command::Ending { measure: id(&measure)?, ask: Box::new(f.ask()?) });
    run(&app, &ctx, caller, form, &format!("/measures/{measure}"), ending).await
}
