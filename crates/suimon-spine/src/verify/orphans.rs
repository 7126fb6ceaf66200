//! What people decide about differences between network and ledger.

use crate::cases::bounded;
use crate::command::{CommandError, Outcome, Proposal};
use crate::engine::{Engine, Message};
use crate::ports::{HandError, HandReport};
use suimon_base::event::ReleaseReason;
use suimon_base::{Actor, Event, OrphanId, OrphanStep};

impl Engine {
    pub(crate) async fn resolve_orphan(
        &mut self,
        actor: &Actor,
        id: OrphanId,
        step: OrphanStep,
        reason: String,
        proposal: Option<Proposal>,
    ) -> Result<Outcome, CommandError> {
        bounded("reason", &reason)?;
        let orphan =
            self.look(|s| s.drift.orphans.get(&id).cloned()).ok_or_else(|| CommandError::NotFound(id.to_string()))?;
        if let Some((at, how)) = &orphan.gone {
            return Err(CommandError::Conflict(format!("{id} is gone since {at}: {how}")));
        }
        if let Some(r) = orphan.resolved.as_ref().filter(|r| r.step != OrphanStep::Leave) {
            return Err(CommandError::Conflict(format!("{id}: {} has decided at {}", r.by, r.at)));
        }
        let found = &orphan.found;
        if !found.kind.steps().contains(&step) {
            let can: Vec<String> = found.kind.steps().iter().map(name).collect();
            return Err(CommandError::Bad(format!("{id} can be resolved by: {}", can.join(", "))));
        }
        if reason.trim().is_empty() {
            return Err(CommandError::Bad("say why; the record keeps it".to_owned()));
        }
        let mut outcome = Self::outcome(0);
        let mut adopted = None;
        match (step, found.measure) {
            (OrphanStep::Adopt, _) => {
                let Some(mut proposal) = proposal else {
                    return Err(CommandError::Bad(
                        "adopting needs a proposal: case, end and what it rests on".to_owned(),
                    ));
                };
                if found.text.is_empty() {
                    return Err(CommandError::Bad(format!(
                        "{id}: its text is not on record, so nothing can stand for it"
                    )));
                }
                proposal.filter_request = Some(found.text.clone());
                proposal.hand = Some(found.hand.clone());
                proposal.dialect = Some(found.dialect.clone());
                // A denial ends it here: it is on record, and the orphan stays open.
                outcome = self.propose(actor, proposal).await?;
                adopted = outcome.measures.first().copied();
            }
            (OrphanStep::Remove, None) => {
                return Err(CommandError::Bad(format!(
                    "{} on {} bears no measure's number, so the hand does not touch it; take it out on the router, and \
                     the next look sees that it is gone",
                    found.name, found.hand
                )));
            }
            (OrphanStep::Restore, Some(measure)) if !self.decisions.contains_key(&measure) => {
                return Err(CommandError::Conflict(format!("no decision for {measure} holds; it cannot be put back")));
            }
            _ => {}
        }
        let event = Event::OrphanResolved { id, step, reason: reason.clone(), measure: adopted };
        let seq = self.commit(actor, vec![event]).await?;
        match (step, found.measure) {
            (OrphanStep::Remove, _) => self.take_out(id),
            (OrphanStep::Restore, Some(measure)) => {
                self.verify.put_backs.remove(&measure);
                self.verify.failures.remove(&measure);
                if let Some(decision) = self.decisions.get(&measure).cloned() {
                    self.start_apply(measure, decision);
                }
            }
            (OrphanStep::Release, Some(measure)) => {
                self.release(actor, measure, ReleaseReason::ByHand { words: reason }).await?;
            }
            _ => {}
        }
        Ok(Outcome { seq, ..outcome })
    }

    /// Tells the hand to take an orphan out, on a thread of its own.
    pub(super) fn take_out(&mut self, id: OrphanId) {
        let Some(found) = self.look(|s| s.drift.orphans.get(&id).map(|o| o.found.clone())) else { return };
        let (Some(measure), Some(hand)) = (found.measure, self.hands.get(&found.hand).cloned()) else { return };
        if !self.verify.removing.insert(id) {
            return;
        }
        let messages = self.messages.clone();
        tokio::task::spawn_blocking(move || {
            let result = hand.release(measure);
            let _ = messages.blocking_send(Message::OrphanRemoved { id, result });
        });
    }

    pub(crate) async fn orphan_removed(&mut self, id: OrphanId, result: Result<HandReport, HandError>) {
        self.verify.removing.remove(&id);
        let Some(found) = self.look(|s| s.drift.orphans.get(&id).map(|o| o.found.clone())) else { return };
        match result {
            Ok(HandReport::Done { place, receipt }) => {
                self.verify.removed.insert((found.hand.clone(), found.name), self.clock.now());
                let how = format!("taken out: {place}: {receipt}");
                let actor = Actor::system(&format!("hand {}", found.hand));
                self.commit_or_keep(&actor, vec![Event::OrphanGone { id, how }]).await;
                self.wake(&found.hand);
            }
            Ok(HandReport::ByPerson) => {}
            // The next look that still sees it tries again.
            Err(error) => tracing::error!(%error, orphan = %id, hand = %found.hand, "it could not be taken out"),
        }
    }
}

fn name(step: &OrphanStep) -> String {
    serde_json::to_value(step).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
