//! After a release: what arrives now, and what the customer finds (catalogue row 143).

use crate::engine::Engine;
use crate::release::ms;
use suimon_base::ending::EndStep;
use suimon_base::event::AlertAbout;
use suimon_base::state::Measure;
use suimon_base::{Actor, Event, MeasureId, Timestamp};

impl Engine {
    /// What goes on record together with the release itself: the customer is to be asked.
    pub(crate) fn released_events(&mut self, m: &Measure) -> Vec<Event> {
        let now = self.clock.now();
        if m.applied.is_none() {
            return Vec::new();
        }
        // The figures of before say nothing about after.
        self.live(|l| l.effects.remove(&m.id));
        self.after.insert(m.id, now.plus_ms(ms(self.settings.release.flows_after_s)));
        let of = self.contacts(m).join(", ");
        if of.is_empty() {
            return Vec::new();
        }
        let alert = self.alert(
            AlertAbout::Released,
            Some(m.case),
            format!("{} in {} is released; ask {of} to try from their side", m.id, m.case),
            format!("{}の措置{}を解除しました。接続確認をお願いする先: {of}", m.case, m.id),
        );
        vec![Event::Ending { id: m.id, what: Box::new(EndStep::AccessAsked { of }) }, alert]
    }

    /// Measures released shortly before a restart are watched on.
    pub(crate) fn resume_after(&mut self, now: Timestamp) {
        let span = ms(self.settings.release.flows_after_s);
        let due: Vec<(MeasureId, Timestamp)> = self.look(|s| {
            let open = |m: &Measure| {
                let (at, _) = m.released.as_ref()?;
                let due = at.plus_ms(span);
                (m.applied.is_some() && m.ending.flows_after.is_none() && due > now).then_some((m.id, due))
            };
            s.measures.values().filter_map(open).collect()
        });
        self.after.extend(due);
    }

    pub(crate) async fn look_at_after(&mut self, now: Timestamp) {
        let due: Vec<MeasureId> = self.after.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        for id in &due {
            self.after.remove(id);
            let effect = self.live(|l| l.effects.remove(id));
            // The ledger may not know of the release yet; the measure is on record either way.
            let (Some(effect), Ok(m)) = (effect, self.measure(*id)) else { continue };
            let what = Box::new(EndStep::FlowsAfter { effect });
            self.commit_or_keep(&Actor::system("meter"), vec![Event::Ending { id: *id, what }]).await;
            let floor = m.plan().map_or(0.0, |p| p.quiet_floor_pps);
            if effect.attack_arriving_pps > floor {
                let pps = effect.attack_arriving_pps;
                let en = format!(
                    "the attack arrives again after the release ({pps:.0} packets/s); `measure reapply {id}` proposes it again"
                );
                let ja = format!(
                    "解除後に攻撃が再び届いています（毎秒{pps:.0}パケット）。measure reapply {id} でもう一度提案できます"
                );
                self.tell_review(&m, &en, &ja).await;
            }
        }
        if !due.is_empty() {
            self.tell_watchers();
        }
    }
}
