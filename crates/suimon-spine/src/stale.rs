//! Measures that have stood too long, and why they count as that (フィルタは解除しないとトラブルのもと, catalogue rows 145–147).

use crate::register::Register;
use crate::release::{ReleaseSettings, ms};
use serde::{Deserialize, Serialize};
use suimon_base::calendar::{BusinessCalendar, japan};
use suimon_base::measure::Status;
use suimon_base::state::{Measure, State};
use suimon_base::{CaseId, MeasureId, Timestamp};

/// A release that has waited for so long is stale; milliseconds.
pub const RELEASE_WAITS_MS: i64 = 3_600_000;
/// A text that was handed out and not recorded as entered for so long is stale; milliseconds.
pub const NOT_RECORDED_MS: i64 = 86_400_000;
/// A measure whose attack has been over for so long is stale; milliseconds.
pub const ATTACK_OVER_MS: i64 = 86_400_000;

/// Why a measure is stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum StaleWhy {
    /// Its release was asked for, and it is still there: a person has to enter the undo, or the hand fails.
    ReleaseWaits {
        /// Since when.
        since: Timestamp,
    },
    /// Its text was handed out, and nobody has said whether it was entered.
    NotRecorded {
        /// Since when.
        since: Timestamp,
    },
    /// Somebody should have looked again.
    ReviewPassed {
        /// When.
        since: Timestamp,
    },
    /// Nobody knows when it ends.
    EndUnknown {
        /// Why not.
        what: String,
    },
    /// It has stood for longer than the operator wants without a renewal.
    Old {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing speaks for it any more.
    ReleaseProposed {
        /// Since when.
        since: Timestamp,
        /// Why.
        what: String,
    },
    /// Whoever asked for it is not a registered contact any more.
    RequesterGone {
        /// Who.
        who: String,
    },
    /// The attack that it answers is over.
    AttackOver {
        /// Since when.
        since: Timestamp,
    },
}

impl StaleWhy {
    /// In English.
    pub fn words_en(&self) -> String {
        match self {
            StaleWhy::ReleaseWaits { since } => format!("its release has waited since {}", day(*since)),
            StaleWhy::NotRecorded { since } => {
                format!("its text was handed out on {} and nobody has said whether it was entered", day(*since))
            }
            StaleWhy::ReviewPassed { since } => format!("somebody should have looked again on {}", day(*since)),
            StaleWhy::EndUnknown { what } => format!("nobody knows when it ends: {what}"),
            StaleWhy::Old { since } => format!("it has stood since {} without a renewal", day(*since)),
            StaleWhy::ReleaseProposed { since, what } => format!("release proposed on {}: {what}", day(*since)),
            StaleWhy::RequesterGone { who } => format!("{who} is not a registered contact any more"),
            StaleWhy::AttackOver { since } => format!("its attack has been over since {}", day(*since)),
        }
    }

    /// In Japanese.
    pub fn words_ja(&self) -> String {
        match self {
            StaleWhy::ReleaseWaits { since } => format!("{}から解除を待っています", day(*since)),
            StaleWhy::NotRecorded { since } => {
                format!("{}に設定を渡しましたが、入力したかどうか記録がありません", day(*since))
            }
            StaleWhy::ReviewPassed { since } => format!("{}に再確認する予定でした", day(*since)),
            StaleWhy::EndUnknown { what } => format!("いつ終わるのか分かりません: {what}"),
            StaleWhy::Old { since } => format!("{}から延長されないまま残っています", day(*since)),
            StaleWhy::ReleaseProposed { since, what } => format!("{}に解除が提案されています: {what}", day(*since)),
            StaleWhy::RequesterGone { who } => format!("{who}は登録された連絡先ではなくなっています"),
            StaleWhy::AttackOver { since } => format!("攻撃は{}に終わっています", day(*since)),
        }
    }
}

/// The Japanese day and minute.
fn day(t: Timestamp) -> String {
    t.to_jiff().to_zoned(japan()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A measure that has stood too long.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stale {
    /// Which.
    pub measure: MeasureId,
    /// Its case.
    pub case: CaseId,
    /// Where it stands.
    pub status: Status,
    /// Who would take it out.
    pub hand: String,
    /// The customer.
    pub customer: Option<String>,
    /// Destinations.
    pub targets: Vec<String>,
    /// Its end, as text.
    pub end: String,
    /// Since when it may be in the network.
    pub since: Option<Timestamp>,
    /// Why it is stale; never empty.
    pub why: Vec<StaleWhy>,
}

/// All that are stale at `now`, oldest first.
pub fn stale(
    state: &State,
    register: &Register,
    calendar: &BusinessCalendar,
    settings: &ReleaseSettings,
    now: Timestamp,
) -> Vec<Stale> {
    let one = |m: &Measure| {
        let why = reasons(m, state, register, calendar, settings, now);
        (!why.is_empty()).then(|| Stale {
            measure: m.id,
            case: m.case,
            status: m.status,
            hand: m.draft.hand.clone(),
            customer: m.draft.customer.clone(),
            targets: m.plan().map(|p| p.targets.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            end: m.end_wanted().to_string(),
            since: m.applied.as_ref().map(|a| a.at).or(m.approved.as_ref().map(|(_, at)| *at)),
            why,
        })
    };
    let mut all: Vec<Stale> = state.in_force().filter_map(one).collect();
    all.sort_by_key(|s| (s.since, s.measure));
    all
}

fn reasons(
    m: &Measure,
    state: &State,
    register: &Register,
    calendar: &BusinessCalendar,
    settings: &ReleaseSettings,
    now: Timestamp,
) -> Vec<StaleWhy> {
    let mut why = Vec::new();
    let older = |at: Timestamp, ms: i64| now.ms_since(at) >= ms;
    match (m.status, &m.release, &m.approved) {
        (Status::Releasing, Some((_, at)), _) if older(*at, RELEASE_WAITS_MS) => {
            why.push(StaleWhy::ReleaseWaits { since: *at });
        }
        (Status::Applying, _, Some((_, at))) if older(*at, NOT_RECORDED_MS) => {
            why.push(StaleWhy::NotRecorded { since: *at });
        }
        _ => {}
    }
    if let (Status::Applied, Some((since, end))) = (m.status, m.end()) {
        match end.due(since, calendar) {
            Err(error) => why.push(StaleWhy::EndUnknown { what: error.to_string() }),
            Ok(_) => {
                if let Some(at) = end.review(since).filter(|at| *at <= now) {
                    why.push(StaleWhy::ReviewPassed { since: at });
                }
            }
        }
        if older(since, ms(settings.stale_after_s)) {
            why.push(StaleWhy::Old { since });
        }
        let over = m.draft.attack.and_then(|a| state.attacks.get(&a)).and_then(|a| a.attack.ended);
        if let Some(at) = over.filter(|at| older(*at, ATTACK_OVER_MS)) {
            why.push(StaleWhy::AttackOver { since: at });
        }
    }
    if let Some((at, what)) = &m.ending.proposed {
        why.push(StaleWhy::ReleaseProposed { since: *at, what: what.clone() });
    }
    let request = m.draft.request.and_then(|r| state.requests.get(&r));
    if let (Some(request), Some(customer)) = (request, m.draft.customer.as_deref()) {
        let contact = &request.request.requester.contact;
        let known = register.customer(customer).is_some_and(|c| c.contacts.iter().any(|k| k.id == *contact));
        if !known {
            why.push(StaleWhy::RequesterGone { who: format!("{customer} / {contact}") });
        }
    }
    why
}

/// Monday, nine o'clock in Japan, of the week in which `now` lies: from then on the list of the week is due.
pub(crate) fn week_start(now: Timestamp) -> Option<Timestamp> {
    let zoned = now.to_jiff().to_zoned(japan());
    let mut monday = zoned.date();
    for _ in 0..zoned.weekday().to_monday_zero_offset() {
        monday = monday.yesterday().ok()?;
    }
    let at = Timestamp::from_jiff(monday.at(9, 0, 0, 0).to_zoned(japan()).ok()?.timestamp());
    (at <= now).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_begins_on_monday_at_nine_in_japan() {
        let start = |t: &str| week_start(t.parse().unwrap()).map(|t| t.to_string());
        // 23 November 2026 is a Monday.
        assert_eq!(start("2026-11-23T00:00:00Z").as_deref(), Some("2026-11-23T00:00:00.000Z"));
        assert_eq!(start("2026-11-22T23:59:59Z"), None, "Monday in Japan, before nine");
        assert_eq!(start("2026-11-29T14:59:59Z").as_deref(), Some("2026-11-23T00:00:00.000Z"));
        assert_eq!(start("2026-11-22T12:00:00Z").as_deref(), Some("2026-11-16T00:00:00.000Z"));
    }
}
