//! Start-up: the journal, the ledger and the network are compared before anything new is done.

use crate::engine::{Engine, StartError};
use crate::journal::Line;
use crate::measures::{act_of, stored_claims, to_json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use suimon_base::measure::Status;
use suimon_base::state::Measure;
use suimon_base::{Actor, Event, MeasureId, State};
use suimon_policy::{Act, Stage, Verdict};

use crate::command::CommandError;

impl Engine {
    pub(crate) async fn recover(&mut self, intents: Vec<Line>) -> Result<(), StartError> {
        let actor = Actor::system("recovery");
        let packs = self.policy.packs().all().iter().map(suimon_policy::Pack::reference);
        let packs: Vec<String> = packs.map(|p| format!("{} {}", p.id, p.version)).collect();
        let version = self.settings.version.clone();
        self.commit(&actor, vec![Event::Started { version, packs }]).await?;
        for line in intents {
            let open = self.look(|s| {
                s.measures.get(&line.measure).is_some_and(|m| matches!(m.status, Status::Applying | Status::Applied))
            });
            if open {
                let event = Event::ReleaseIntended { id: line.measure, reason: line.reason };
                self.commit(&line.actor, vec![event]).await?;
            }
        }
        self.journal.clear()?;
        let held = self.held_by_hands().await;
        self.remove_orphans(&held).await;
        let measures: Vec<Measure> = self.look(|s| s.in_force().cloned().collect());
        for m in measures {
            self.resume(&m, held.get(&m.draft.hand).map(|h| h.contains(&m.id))).await?;
        }
        self.resume_after(self.started);
        self.tell_watchers();
        Ok(())
    }

    /// What each hand that can look holds now. All are asked at once, and whoever has not answered within the bound is
    /// looked at later: a silent router does not hold up the start.
    async fn held_by_hands(&self) -> BTreeMap<String, BTreeSet<MeasureId>> {
        let (send, mut answers) = tokio::sync::mpsc::channel(self.hands.len().max(1));
        for (name, hand) in &self.hands {
            let (send, name, hand) = (send.clone(), name.clone(), hand.clone());
            let ask = std::thread::Builder::new().name(format!("start {name}"));
            // An answer that comes too late is nobody's any more.
            let asked = ask.spawn(move || drop(send.blocking_send((name, hand.in_force()))));
            if let Err(error) = asked {
                tracing::error!(%error, "a hand could not be asked what it holds");
            }
        }
        drop(send);
        let mut held = BTreeMap::new();
        let mut silent: BTreeSet<String> = self.hands.keys().cloned().collect();
        let all = async {
            while let Some((name, answer)) = answers.recv().await {
                silent.remove(&name);
                match answer {
                    Ok(Some(ids)) => drop(held.insert(name, ids.into_iter().collect())),
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, hand = %name, "cannot look at what is in force"),
                }
            }
        };
        let bound = std::time::Duration::from_millis(self.settings.verify.start_bound_ms);
        if tokio::time::timeout(bound, all).await.is_err() {
            tracing::error!(hands = ?silent, "no answer yet on what is in force; the start goes on");
        }
        held
    }

    /// What the network holds of measures that have ended is let go: carrying is the default. What the ledger never
    /// approved is left for a person, who is told by the first looks: it may be somebody else's.
    async fn remove_orphans(&mut self, held: &BTreeMap<String, BTreeSet<MeasureId>>) {
        for (name, ids) in held {
            let ended = |s: &State, id: &MeasureId| {
                let m = s.measures.get(id).filter(|m| m.draft.hand == *name);
                m.is_some_and(|m| matches!(m.status, Status::Released | Status::Failed))
            };
            let left: Vec<MeasureId> = self.look(|s| ids.iter().filter(|id| ended(s, id)).copied().collect());
            for id in &left {
                tracing::warn!(measure = %id, hand = %name, "it has ended and is still in the network: released");
                let Some(hand) = self.hands.get(name).cloned() else { continue };
                let id = *id;
                let result = tokio::task::spawn_blocking(move || hand.release(id)).await;
                if !matches!(result, Ok(Ok(_))) {
                    tracing::error!(measure = %id, hand = %name, "an orphan could not be released");
                }
            }
        }
    }

    /// `held`: whether the hand holds it; `None` where the hand cannot look.
    async fn resume(&mut self, m: &Measure, held: Option<bool>) -> Result<(), StartError> {
        let actor = Actor::system("recovery");
        let probe = Self::unfinished_probe(m);
        let was_open = probe.is_some();
        if let Some(event) = probe {
            self.commit(&actor, vec![event]).await?;
        }
        if m.status == Status::Releasing {
            self.start_release(m.id);
            return Ok(());
        }
        // Decisions do not survive the process: the policy engine is asked again, with the facts as they are now.
        let verdict = self.reissue(m);
        match verdict {
            Some(Verdict::Allowed(decision)) => {
                let decision = Arc::new(decision);
                self.decisions.insert(m.id, decision.clone());
                let again = self.hands.get(&m.draft.hand).is_some_and(|h| h.apply_again());
                match (m.status, held) {
                    (Status::Applying | Status::Applied, _) if again => self.start_apply(m.id, decision),
                    // It was open when the process ended, and nobody can look.
                    (Status::Applied, None) if was_open => self.start_apply(m.id, decision),
                    (Status::Applying, Some(true)) => {
                        let (place, receipt) = ("as before the restart".to_owned(), "found in force".to_owned());
                        self.commit(&actor, vec![Event::MeasureApplied { id: m.id, place, receipt }]).await?;
                    }
                    (Status::Applying, Some(false)) | (Status::Applied, Some(false)) => {
                        self.start_apply(m.id, decision)
                    }
                    _ => {}
                }
            }
            _ => {
                let what = "after the restart the policy engine no longer allows it".to_owned();
                let reason = suimon_base::event::ReleaseReason::BasisLapsed { what };
                if let Err(error) = self.release(&actor, m.id, reason).await {
                    tracing::error!(%error, measure = %m.id, "a measure without basis is not released");
                }
            }
        }
        Ok(())
    }

    fn reissue(&self, m: &Measure) -> Option<Verdict> {
        let ground = self.ground(m.case, m.draft.attack).ok()?;
        let dialect = m.plan().map_or("", |p| p.dialect.as_str());
        let facts = self.facts(&ground, m.plan(), Some(m.end_wanted()), &stored_claims(m), Some(m));
        let approver = m.approved.as_ref().map(|(a, _)| a);
        let question = self.question(act_of(m.plan(), dialect), Stage::Reissue, &m.proposed.0, approver, facts);
        Some(self.policy.decide(&question))
    }

    pub(crate) async fn start_collection(&mut self) -> Result<MeasureId, CommandError> {
        let actor = Actor::system("collector");
        let facts = self.collection_facts();
        let question = self.question(Act::CollectFlows, Stage::Apply, &actor, None, facts);
        match self.policy.decide(&question) {
            Verdict::Allowed(decision) => {
                let id = self.look(|s| s.next_measure());
                self.collecting = Some(id);
                let terms = to_json(&self.register.collection);
                let decision = to_json(&decision);
                self.commit(&actor, vec![Event::CollectionStarted { id, terms, decision }]).await?;
                Ok(id)
            }
            Verdict::Denied(denial) => Err(CommandError::Denied { measure: None, denial: Box::new(denial) }),
        }
    }
}
