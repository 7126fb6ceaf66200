//! How single things look: times, rates, shares, rows of tables.

use super::context::Ctx;
use crate::api::read::latest_effect;
use crate::text::Texts;
use askama::filters::HtmlSafe;
use std::fmt;
use suimon_base::calendar::japan;
use suimon_base::event::Effect;
use suimon_base::measure::Status;
use suimon_base::state::{Case, KnownAttack, Measure};
use suimon_base::{Actor, AttackId, CaseId, MeasureId, Pps, Timestamp};
use suimon_spine::{Handle, Live, ManualHand};

/// A time as an HTML element: Japanese time for people, UTC for programs. Digits only, so that it is safe as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When(pub Timestamp);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.0.to_jiff().to_zoned(japan());
        write!(f, "<time datetime=\"{}\">{}</time>", self.0, local.strftime("%Y-%m-%d %H:%M:%S"))
    }
}

impl HtmlSafe for When {}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A share that may not be known.
pub(crate) fn percent_or(share: Option<f64>, unknown: &str) -> String {
    share.map_or_else(|| unknown.to_owned(), percent)
}

/// A rate of packets, scaled.
pub(crate) fn pps(rate: f64) -> String {
    // Saturates; NaN becomes 0.
    Pps(rate.round() as u64).to_string()
}

/// A span for people.
pub(crate) fn span(t: &Texts, ms: i64) -> String {
    match ms / 1_000 {
        s if s < 120 => format!("{s} {}", t.seconds),
        s if s < 7_200 => format!("{} {}", s / 60, t.minutes),
        s => format!("{} {}", s / 3_600, t.hours),
    }
}

/// Items in one line.
pub(crate) fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join(", ")
}

/// A reading of a measure's effect.
pub(crate) struct EffectView {
    pub arriving: String,
    pub attack_passed: String,
    pub other_passed: String,
    pub observes_drops: bool,
    pub quiet: Option<String>,
}

impl EffectView {
    pub(crate) fn new(t: &Texts, e: &Effect) -> Self {
        let share = |part: f64, whole: f64| if whole > 0.0 { percent(part / whole) } else { "—".to_owned() };
        EffectView {
            arriving: pps(e.attack_arriving_pps),
            attack_passed: share(e.attack_passed_pps, e.attack_arriving_pps),
            other_passed: share(e.other_passed_pps, e.other_arriving_pps),
            observes_drops: e.observes_drops,
            quiet: e.quiet_ms.filter(|q| *q >= 1_000).map(|q| span(t, q)),
        }
    }
}

/// A measure in a list.
pub(crate) struct MeasureRow {
    pub id: MeasureId,
    pub case: CaseId,
    pub what: String,
    pub targets: String,
    /// For the style sheet: the status in English.
    pub class: String,
    pub status: String,
    pub proposed_by: Actor,
    pub approved_by: Option<Actor>,
    pub applied_at: Option<When>,
    pub place: String,
    pub end: String,
    pub effect: Option<EffectView>,
    /// What somebody has to do now.
    pub next: Option<&'static str>,
}

impl MeasureRow {
    pub(crate) fn new(ctx: &Ctx, m: &Measure, live: &Live) -> Self {
        let plan = m.plan();
        MeasureRow {
            id: m.id,
            case: m.case,
            what: act_name(ctx.t, &m.draft.act),
            targets: plan.map(|p| joined(&p.targets)).unwrap_or_default(),
            class: m.status.to_string(),
            status: status_name(ctx, m.status),
            proposed_by: m.proposed.0.clone(),
            approved_by: m.approved.as_ref().map(|(who, _)| who.clone()),
            applied_at: m.applied.as_ref().map(|a| When(a.at)),
            place: m.applied.as_ref().map(|a| a.place.clone()).unwrap_or_default(),
            end: ctx.either(&m.end_wanted().words_ja(), &m.end_wanted().to_string()).to_owned(),
            effect: latest_effect(m, live).map(|e| EffectView::new(ctx.t, &e)),
            next: next_step(ctx.t, m),
        }
    }
}

fn next_step(t: &Texts, m: &Measure) -> Option<&'static str> {
    let by_person = m.draft.hand == ManualHand::NAME;
    match m.status {
        Status::Proposed => Some(t.next_proposed),
        Status::Applying if by_person => Some(t.next_applying_manual),
        Status::Releasing if by_person => Some(t.next_releasing_manual),
        Status::Denied => Some(t.next_denied),
        _ => None,
    }
}

/// The act in words.
pub(crate) fn act_name(t: &Texts, act: &str) -> String {
    match act {
        "police" => t.act_police,
        "acl" => t.act_acl,
        "null-route" => t.act_null_route,
        "rtbh" => t.act_rtbh,
        "flowspec" => t.act_flowspec,
        other => other,
    }
    .to_owned()
}

pub(crate) fn status_name(ctx: &Ctx, status: Status) -> String {
    ctx.either(status.ja(), &status.to_string()).to_owned()
}

/// A case in a list.
pub(crate) struct CaseRow {
    pub id: CaseId,
    pub title: String,
    pub customer: String,
    pub phase: String,
    pub opened: When,
}

impl CaseRow {
    pub(crate) fn new(ctx: &Ctx, c: &Case, handle: &Handle) -> Self {
        CaseRow {
            id: c.id,
            title: c.title.clone(),
            customer: customer_name(ctx.t, handle, c.customer.as_deref()),
            phase: ctx.either(c.phase.ja(), &c.phase.to_string()).to_owned(),
            opened: When(c.opened),
        }
    }
}

/// The customer's name as registered, else the id.
pub(crate) fn customer_name(t: &Texts, handle: &Handle, id: Option<&str>) -> String {
    let Some(id) = id else { return t.none.to_owned() };
    handle.register().customer(id).map_or_else(|| id.to_owned(), |c| c.name.clone())
}

/// An attack in a list.
pub(crate) struct AttackRow {
    pub id: AttackId,
    pub target: String,
    pub vectors: String,
    pub peak_pps: String,
    pub peak_bps: String,
    pub started: When,
    pub ended: Option<When>,
    pub case: Option<CaseId>,
}

impl AttackRow {
    pub(crate) fn new(known: &KnownAttack) -> Self {
        let a = &known.attack;
        AttackRow {
            id: known.id,
            target: a.target.to_string(),
            vectors: joined(a.vectors.iter().map(|v| v.vector)),
            peak_pps: a.peak.pps.to_string(),
            peak_bps: a.peak.bps.to_string(),
            started: When(a.started),
            ended: a.ended.map(When),
            case: known.case,
        }
    }
}

/// `before=` of lists: only entries with a lower number.
#[derive(serde::Deserialize)]
pub(crate) struct Before {
    pub before: Option<u64>,
}

/// The newest entries before a number, and the number to go on with.
pub(crate) fn newest<'a, V: 'a, R>(
    newest_first: impl Iterator<Item = (u64, &'a V)>,
    before: Option<u64>,
    make: impl Fn(&V) -> R,
) -> (Vec<R>, Option<u64>) {
    let max = crate::limits::DEFAULT_ENTRIES;
    let entries: Vec<(u64, &V)> = newest_first.filter(|(n, _)| before.is_none_or(|b| *n < b)).take(max + 1).collect();
    let older = (entries.len() > max).then(|| entries.get(max - 1).map(|(n, _)| *n)).flatten();
    (entries.into_iter().take(max).map(|(_, v)| make(v)).collect(), older)
}
