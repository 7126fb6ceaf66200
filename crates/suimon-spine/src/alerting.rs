//! What is worth telling somebody who does not look at the pages right now.

use crate::engine::Engine;
use suimon_base::event::AlertAbout;
use suimon_base::state::Measure;
use suimon_base::{Actor, AlertId, CaseId, Event, MeasureId};

impl Engine {
    /// An alert to be put on record; one of each batch of events, since its number is the next free one.
    pub(crate) fn alert(&self, about: AlertAbout, case: Option<CaseId>, en: String, ja: String) -> Event {
        let queued = self.waiting.iter().filter_map(|d| match d.event {
            Event::AlertQueued { id, .. } => Some(AlertId(id.0 + 1)),
            _ => None,
        });
        let id = queued.fold(self.look(|s| s.next_alert()), AlertId::max);
        Event::AlertQueued { id, case, subject_en: en, subject_ja: ja, about: Some(about) }
    }

    /// Puts an alert on record, but never the same twice: after a restart much is found out again.
    pub(crate) async fn tell_once(&mut self, about: AlertAbout, case: Option<CaseId>, en: String, ja: String) {
        let known = self.look(|s| s.alerts.values().any(|a| a.about == about && a.subject_en == en));
        let waits = |e: &Event| matches!(e, Event::AlertQueued { subject_en, .. } if *subject_en == en);
        if known || self.waiting.iter().any(|d| waits(&d.event)) {
            return;
        }
        let event = self.alert(about, case, en, ja);
        self.commit_or_keep(&Actor::system("alerts"), vec![event]).await;
    }

    /// A release that waits for a person is none on the router.
    pub(crate) async fn tell_undo_waits(&mut self, id: MeasureId) {
        let Ok(m) = self.measure(id) else { return };
        let en = format!("{id} in {} has ended: enter its undo by hand and record it", m.case);
        let ja = format!("{}の措置{id}は終了しました。手作業で元に戻し、記録してください", m.case);
        self.tell_once(AlertAbout::Undo, Some(m.case), en, ja).await;
    }

    pub(crate) async fn tell_hand_failed(&mut self, m: &Measure, error: &str) {
        let short: String = error.chars().take(200).collect();
        let en = format!("{} in {}: hand {} failed: {short}", m.id, m.case, m.draft.hand);
        let ja = format!("{}の措置{}: {} での作業が失敗しました: {short}", m.case, m.id, m.draft.hand);
        self.tell_once(AlertAbout::HandFailed, Some(m.case), en, ja).await;
    }

    /// Somebody has to look at a measure.
    pub(crate) async fn tell_review(&mut self, m: &Measure, why_en: &str, why_ja: &str) {
        let en = format!("{} in {}: {why_en}", m.id, m.case);
        let ja = format!("{}の措置{}: {why_ja}", m.case, m.id);
        self.tell_once(AlertAbout::Review, Some(m.case), en, ja).await;
    }
}
