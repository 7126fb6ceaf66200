//! Telling people before and after a release (事前事後連絡をする、もらう, catalogue row 144).

use crate::engine::Engine;
use crate::release::ms;
use suimon_base::ending::EndStep;
use suimon_base::event::{AlertAbout, Effect};
use suimon_base::state::Measure;
use suimon_base::{Actor, End, Event, Timestamp};

impl Engine {
    /// Where a release can be foreseen, the contacts are named in time, once for each time that it is expected.
    pub(crate) async fn look_at_notice(
        &mut self,
        m: &Measure,
        since: Timestamp,
        end: &End,
        effect: Option<Effect>,
        now: Timestamp,
    ) {
        let notice_ms = ms(self.settings.release.notice_s);
        let Some(due) = self.expected(m, since, end, effect, now) else { return };
        // Where the whole span is no longer than the notice, it was told of when it was applied.
        let span_ms = match end {
            End::Quiet { seconds } => ms(*seconds),
            _ => due.ms_since(since),
        };
        if notice_ms == 0 || span_ms <= notice_ms || due.ms_since(now) > notice_ms {
            return;
        }
        // Quiet that was broken puts the release off; what moved by less than the notice is the same release.
        if m.ending.notice.as_ref().is_some_and(|(told, _)| due.ms_since(*told) < notice_ms) {
            return;
        }
        // The state may be behind while the ledger cannot be written.
        if self.notified.get(&m.id).is_some_and(|told| due.ms_since(*told) < notice_ms) {
            return;
        }
        self.notified.insert(m.id, due);
        let contacts = self.contacts(m);
        let step = EndStep::NoticeDue { due: due.floor_ms(), contacts: contacts.clone() };
        let event = Event::Ending { id: m.id, what: Box::new(step) };
        self.commit_or_keep(&Actor::system("ends"), vec![event]).await;
        let list = contacts.join(", ");
        let en = format!("{} in {} will be released at {due}; tell {list}", m.id, m.case);
        let ja = format!("{}の措置{}は{due}に解除の予定です。連絡先: {list}", m.case, m.id);
        self.tell_once(AlertAbout::Notice, Some(m.case), en, ja).await;
    }

    /// When the release is expected, where that can be foreseen.
    fn expected(
        &self,
        m: &Measure,
        since: Timestamp,
        end: &End,
        effect: Option<Effect>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let End::Quiet { seconds } = end else { return end.due(since, &self.settings.calendar).ok()? };
        let wanted_ms = ms(self.quiet_wanted_s(m, *seconds));
        let quiet_ms = self.quiet_ms(m, effect).filter(|q| *q > 0)?;
        Some(now.plus_ms((wanted_ms - quiet_ms).max(0)).max(since.plus_ms(wanted_ms)))
    }

    /// Who is to be told: the contact that asked, or whoever is registered.
    pub(crate) fn contacts(&self, m: &Measure) -> Vec<String> {
        let Some(customer) = m.draft.customer.as_deref().and_then(|c| self.register.customer(c)) else {
            return Vec::new();
        };
        let asked = self
            .look(|s| m.draft.request.and_then(|r| s.requests.get(&r)).map(|r| r.request.requester.contact.clone()));
        let known = |id: &str| customer.contacts.iter().any(|c| c.id == id);
        let asked = asked.filter(|id| known(id));
        let of = customer.contacts.iter().filter(|c| asked.as_ref().is_none_or(|id| *id == c.id));
        of.map(|c| {
            let ways: Vec<&str> = [&c.telephone, &c.mail].into_iter().flatten().map(String::as_str).collect();
            format!("{} {} ({})", customer.id, c.id, ways.join(", "))
        })
        .collect()
    }
}
