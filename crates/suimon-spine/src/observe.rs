//! What senses report becomes events, and an attack on a customer becomes a case (catalogue row 49: an alert opens a
//! candidate, not an act).

use crate::engine::Engine;
use crate::ports::Observation;
use suimon_base::attack::{Attack, AttackChange};
use suimon_base::case::Phase;
use suimon_base::event::AlertAbout;
use suimon_base::{Actor, AttackId, CaseId, Event};

/// A peak this many times higher than the one on record is put on record.
const PEAK_FACTOR: u64 = 2;

impl Engine {
    pub(crate) async fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Effect(id, effect) => {
                self.live(|l| l.effects.insert(id, effect));
                self.probe_reading(id, effect);
            }
            Observation::Attack(change) => match *change {
                AttackChange::Started(attack) => self.attack_started(attack).await,
                AttackChange::Updated(attack) => self.attack_updated(attack).await,
                AttackChange::Ended(attack) => self.attack_ended(attack).await,
            },
        }
    }

    async fn attack_started(&mut self, attack: Attack) {
        let actor = Actor::system("detector");
        // An attack that outlasted a restart of ours is the same attack.
        let again = self.look(|s| {
            let same = |id: &&AttackId| {
                let open = |a: &suimon_base::state::KnownAttack| {
                    a.case.and_then(|c| s.cases.get(&c)).is_none_or(|c| c.phase != Phase::Closed)
                };
                s.attacks.get(id).is_some_and(|a| {
                    a.attack.target == attack.target && a.attack.direction == attack.direction && open(a)
                })
            };
            self.stale.iter().find(same).copied()
        });
        if let Some(id) = again {
            self.stale.remove(&id);
            self.serials.insert(attack.serial, id);
            self.live(|l| l.attacks.insert(id, attack.clone()));
            self.commit_or_keep(&actor, vec![Event::AttackUpdated { id, attack: Box::new(attack) }]).await;
            return;
        }
        let customer = self.register.customer_of(attack.target.addr()).map(|c| c.id.clone());
        let id = self.free_attack();
        self.serials.insert(attack.serial, id);
        self.live(|l| l.attacks.insert(id, attack.clone()));
        let mut events = vec![Event::AttackSeen { id, customer: customer.clone(), attack: Box::new(attack.clone()) }];
        if let Some(customer) = customer {
            events.extend(self.case_for(id, &customer, &attack));
        }
        self.commit_or_keep(&actor, events).await;
    }

    /// The next number, counting events that still wait for the ledger.
    fn free_attack(&self) -> AttackId {
        let known = self.look(|s| s.next_attack().0);
        let serials = self.serials.values().map(|id| id.0 + 1).max().unwrap_or(1);
        AttackId(known.max(serials))
    }

    fn case_for(&self, id: AttackId, customer: &str, attack: &Attack) -> Vec<Event> {
        let open: Option<CaseId> = self.look(|s| {
            let mine = |c: &&suimon_base::state::Case| {
                c.customer.as_deref() == Some(customer) && c.phase != Phase::Closed && c.phase != Phase::Recover
            };
            s.cases.values().rev().find(mine).map(|c| c.id)
        });
        // Cases that wait for the ledger count too: neither their numbers nor their customers may come twice.
        let waiting = self.waiting.iter().filter_map(|d| match &d.event {
            Event::CaseOpened { id, customer, .. } => Some((*id, customer.as_deref())),
            _ => None,
        });
        let (mut case, mut open) = (self.look(|s| s.next_case()), open);
        for (id, of) in waiting {
            case = case.max(CaseId(id.0 + 1));
            open = open.or((of == Some(customer)).then_some(id));
        }
        if let Some(case) = open {
            return vec![Event::AttackJoined { case, attack: id }];
        }
        let vectors = attack.vectors.iter().map(|v| v.vector.to_string()).collect::<Vec<_>>().join(", ");
        let title = format!("{vectors} against {}", attack.target);
        let alert = self.alert(
            AlertAbout::Attack,
            Some(case),
            format!("{case}: {title}, {} at its peak", attack.peak.pps),
            format!("{case}: {} への攻撃（{vectors}、最大 {}）", attack.target, attack.peak.pps),
        );
        vec![Event::CaseOpened { id: case, customer: Some(customer.to_owned()), attack: Some(id), title }, alert]
    }

    async fn attack_updated(&mut self, attack: Attack) {
        let Some(id) = self.serials.get(&attack.serial).copied() else {
            return self.attack_started(attack).await;
        };
        let worth_a_record = self.look(|s| {
            s.attacks.get(&id).is_some_and(|known| {
                let before = &known.attack;
                let new = |v: &suimon_base::attack::VectorFinding| before.vectors.iter().all(|b| b.vector != v.vector);
                attack.vectors.iter().any(new) || attack.peak.pps.0 > before.peak.pps.0.saturating_mul(PEAK_FACTOR)
            })
        });
        self.live(|l| l.attacks.insert(id, attack.clone()));
        if worth_a_record {
            let event = Event::AttackUpdated { id, attack: Box::new(attack) };
            self.commit_or_keep(&Actor::system("detector"), vec![event]).await;
        }
    }

    async fn attack_ended(&mut self, attack: Attack) {
        let Some(id) = self.serials.remove(&attack.serial) else { return };
        self.live(|l| l.attacks.remove(&id));
        let event = Event::AttackEnded { id, attack: Box::new(attack) };
        self.commit_or_keep(&Actor::system("detector"), vec![event]).await;
    }
}
