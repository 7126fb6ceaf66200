//! The after-the-fact report on necessity and adequacy (必要性・妥当性), in Japanese and English, made from the record alone.

mod ending;
mod words;

use crate::register::Register;
use std::fmt::Write as _;
use suimon_base::event::{Alternative, Effect, ReleaseReason};
use suimon_base::state::{Case, KnownAttack, Measure, Request};
use suimon_base::{CaseId, State};
use words::Words;

/// Language of a text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lang {
    /// Japanese.
    Ja,
    /// English.
    En,
}

/// The report of a case as plain text; `None` where there is no such case.
pub fn render(state: &State, register: &Register, case: CaseId, lang: Lang) -> Option<String> {
    let c = state.cases.get(&case)?;
    let w = Words::of(lang);
    let mut out = String::new();
    heading(&mut out, c, register, w);
    for attack in c.attacks.iter().filter_map(|id| state.attacks.get(id)) {
        attack_part(&mut out, attack, w);
    }
    for request in c.requests.iter().filter_map(|id| state.requests.get(id)) {
        request_part(&mut out, request, w);
    }
    for measure in c.measures.iter().filter_map(|id| state.measures.get(id)) {
        measure_part(&mut out, measure, state, w);
    }
    closing(&mut out, c, state, w);
    Some(out)
}

/// One `label: value` line.
fn line(out: &mut String, label: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {label}: {value}");
}

fn section(out: &mut String, title: impl std::fmt::Display) {
    let _ = writeln!(out, "\n■ {title}");
}

fn heading(out: &mut String, c: &Case, register: &Register, w: &Words) {
    let _ = writeln!(out, "{} {} — {}", w.report, c.id, c.title);
    if c.exercise {
        let _ = writeln!(out, "{}", w.exercise);
    }
    let customer = c.customer.as_deref().map(|id| register.customer(id).map_or(id, |k| k.name.as_str()));
    line(out, w.customer, customer.unwrap_or(w.none));
    line(out, w.opened, c.opened);
    for (phase, at) in &c.phases {
        line(out, w.phase, format!("{at} {}", w.phase_name(*phase)));
    }
}

fn attack_part(out: &mut String, known: &KnownAttack, w: &Words) {
    let a = &known.attack;
    section(out, format!("{} {}", w.attack, known.id));
    line(out, w.target, a.target);
    for v in &a.vectors {
        line(out, w.vector, format!("{} — {} / {}", v.vector, v.peak.pps, v.peak.bps));
    }
    line(out, w.started, a.started);
    line(out, w.detected, a.detected);
    line(out, w.ended, a.ended.map_or_else(|| w.still.to_owned(), |t| t.to_string()));
    line(out, w.peak, format!("{} / {}", a.peak.pps, a.peak.bps));
    line(out, w.sources, format!("{}, {} {:.0} %", a.sources, w.spoofed, a.spoof_likelihood * 100.0));
    line(out, w.evidence, if w.lang == Lang::Ja { &a.evidence.words_ja } else { &a.evidence.words_en });
}

fn request_part(out: &mut String, r: &Request, w: &Words) {
    section(out, format!("{} {}", w.request, r.id));
    line(out, w.words, format!("「{}」", r.request.words));
    let who = &r.request.requester;
    line(out, w.who, format!("{} / {} / {}", who.company, who.contact, who.service));
    line(out, w.authority, r.request.authority.map_or(w.none, |a| w.authority_name(a)));
    line(out, w.taken, format!("{} {}", r.at, r.taken_by));
    let callback = r.request.callback.as_ref();
    line(out, w.callback, callback.map_or(w.none, |c| if c.confirmed { w.confirmed } else { w.not_confirmed }));
    line(out, w.scope, r.request.scope.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    if let Some(at) = r.withdrawn {
        line(out, w.withdrawn, at);
    }
}

fn measure_part(out: &mut String, m: &Measure, state: &State, w: &Words) {
    section(out, format!("{} {} — {}", w.measure, m.id, w.status_name(m.status)));
    line(out, w.act, format!("{} ({}: {})", m.draft.act, w.infringement, w.infringement_name(&m.draft.infringement)));
    line(out, w.basis, decision_words(&m.decision, w));
    line(out, w.proposed, format!("{} {}", m.proposed.1, m.proposed.0));
    if let Some((who, at)) = &m.approved {
        line(out, w.approved, format!("{at} {who}"));
    }
    if let Some(a) = &m.applied {
        line(out, w.applied, format!("{} {} — {} ({})", a.at, a.by, a.place, a.receipt));
    }
    line(out, w.end, if w.lang == Lang::Ja { m.end_wanted().words_ja() } else { m.end_wanted().to_string() });
    line(out, w.expected, if w.lang == Lang::Ja { &m.draft.expected_ja } else { &m.draft.expected_en });
    if !m.draft.reason.is_empty() {
        line(out, w.reason, &m.draft.reason);
    }
    if let Some(plan) = m.plan() {
        line(
            out,
            w.proof,
            if plan.proof.get("equal") == Some(&serde_json::Value::Bool(true)) { w.exact } else { w.inexact },
        );
        for (i, a) in plan.alternatives.iter().enumerate() {
            line(out, if plan.chosen == Some(i) { w.chosen } else { w.alternative }, alternative(a, w));
        }
    }
    if let Some((first, last)) = &m.effect {
        line(out, w.effect_first, effect(first, w));
        line(out, w.effect_last, effect(last, w));
    }
    if let Some((reason, at)) = &m.release {
        line(out, w.release, format!("{at} {}", release_words(reason, w)));
    }
    if let Some((at, checked)) = &m.released {
        line(out, w.released, format!("{at} ({checked})"));
        if let Some(a) = &m.applied {
            line(out, w.in_force, format!("{:.1} {}", at.ms_since(a.at) as f64 / 1_000.0, w.seconds));
        }
    }
    ending::part(out, m, w);
    if let Some(error) = &m.error {
        line(out, w.error, error);
    }
    necessity(out, m, state, w);
}

/// The two questions of the report, answered from the figures on record.
fn necessity(out: &mut String, m: &Measure, state: &State, w: &Words) {
    let Some(applied) = &m.applied else { return };
    let attack = m.draft.attack.and_then(|id| state.attacks.get(&id));
    let under_way = attack.is_some_and(|a| a.attack.ended.is_none_or(|end| end >= applied.at));
    line(out, w.necessity, if under_way { w.necessary } else { w.necessity_by_request });
    let adequate = match (m.effect.map(|e| e.0), m.plan()) {
        // Where nobody exports what is dropped, all that is seen has passed: that measures nothing.
        (Some(e), Some(plan)) if e.observes_drops => {
            let alike = share(e.attack_passed_pps, e.attack_arriving_pps);
            let other = share(e.other_passed_pps, e.other_arriving_pps);
            let mut text = w.adequacy_figures(alike, other, plan.lines);
            let chosen = plan.chosen.and_then(|i| plan.alternatives.get(i));
            if let Some(lost) = chosen.filter(|_| !plan.separates).and_then(|a| a.connections_dropped) {
                text.push_str(&w.adequacy_trade_off(lost));
            }
            text
        }
        _ => w.adequacy_unmeasured.to_owned(),
    };
    line(out, w.adequacy, adequate);
}

fn closing(out: &mut String, c: &Case, state: &State, w: &Words) {
    if !c.notes.is_empty() {
        section(out, w.notes);
        for (at, who, text) in &c.notes {
            let _ = writeln!(out, "  {at} {who}: {text}");
        }
    }
    let left = state.in_force().filter(|m| m.case == c.id).count();
    section(out, w.now);
    line(out, w.left, if left == 0 { w.nothing_left.to_owned() } else { left.to_string() });
}

fn alternative(a: &Alternative, w: &Words) -> String {
    let percent = |x: Option<f64>| x.map_or_else(|| w.unknown.to_owned(), |x| format!("{:.1} %", x * 100.0));
    let words = if w.lang == Lang::Ja { &a.words_ja } else { &a.words_en };
    let mut text = format!(
        "{}: {words} [{} {}, {} {}, {} {}]",
        a.means,
        w.attack_dropped,
        percent(Some(a.attack_dropped)),
        w.legitimate_dropped,
        percent(a.legitimate_dropped),
        w.connections_dropped,
        percent(a.connections_dropped),
    );
    if let Some(refused) = &a.refused {
        let _ = write!(text, " ({refused})");
    }
    text
}

/// Share as a fraction; 0 of 0 is 0.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn effect(e: &Effect, w: &Words) -> String {
    if !e.observes_drops {
        return w.drops_unseen.to_owned();
    }
    w.effect_figures(
        e.attack_arriving_pps,
        share(e.attack_passed_pps, e.attack_arriving_pps),
        share(e.other_passed_pps, e.other_arriving_pps),
    )
}

fn release_words(reason: &ReleaseReason, w: &Words) -> String {
    match reason {
        ReleaseReason::Due => w.release_due.to_owned(),
        ReleaseReason::Quiet { quiet_ms } => {
            format!("{} {:.1} {}", w.release_quiet, *quiet_ms as f64 / 1_000.0, w.seconds)
        }
        ReleaseReason::BasisLapsed { what } => format!("{} ({what})", w.release_lapsed),
        ReleaseReason::ByHand { words } => format!("{} 「{words}」", w.release_by_hand),
        ReleaseReason::TaskDone { words } => format!("{} ({words})", w.release_task),
        ReleaseReason::Probed { open_ms } => w.release_probed.replace("{n}", &(open_ms / 1_000).to_string()),
        ReleaseReason::Reconciled { found } => format!("{} ({found})", w.release_reconciled),
    }
}

/// What the policy engine said, by case, policy and pack; a denial has no grounds.
fn decision_words(decision: &serde_json::Value, w: &Words) -> String {
    let key = if w.lang == Lang::Ja { "ja" } else { "en" };
    let summary = decision.pointer(&format!("/summary/{key}")).and_then(|v| v.as_str()).unwrap_or(w.none);
    let mut text = summary.to_owned();
    for ground in decision.get("grounds").and_then(|g| g.as_array()).into_iter().flatten() {
        let case = ground.get("case").and_then(|c| c.as_str()).unwrap_or_default();
        let policies = ground.get("policies").and_then(|p| p.as_array()).into_iter().flatten();
        let policies = policies.filter_map(|p| p.as_str()).collect::<Vec<_>>().join(", ");
        let _ = write!(text, " [{case} · {policies}]");
    }
    let part = |p: &str| decision.pointer(p).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let _ = write!(text, " [{} {}]", part("/pack/id"), part("/pack/version"));
    text
}
