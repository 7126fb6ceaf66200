//! Cases and the words that people bring to them.

use crate::command::{CommandError, Outcome, RequestDraft};
use crate::engine::Engine;
use crate::register::Customer;
use suimon_base::case::Phase;
use suimon_base::event::RequestWords;
use suimon_base::measure::Status;
use suimon_base::party::Callback;
use suimon_base::state::Measure;
use suimon_base::{Actor, CaseId, Event, MeasureId, RequestId};

/// Longest text that a person may bring, in octets.
pub const MAX_WORDS_BYTES: usize = 64 << 10;

impl Engine {
    pub(crate) async fn open_case(
        &mut self,
        actor: &Actor,
        customer: String,
        title: String,
        request: Option<RequestDraft>,
    ) -> Result<Outcome, CommandError> {
        let known = self.customer(&customer)?.clone();
        bounded("title", &title)?;
        let id = self.look(|s| s.next_case());
        let mut events = vec![Event::CaseOpened { id, customer: Some(customer), attack: None, title }];
        let mut made = None;
        if let Some(draft) = request {
            let request = self.complete(draft, &known)?;
            let (number, more) = self.request_events(id, Phase::Assess, request);
            made = Some(number);
            events.extend(more);
        }
        let seq = self.commit(actor, events).await?;
        Ok(Outcome { case: Some(id), request: made, ..Self::outcome(seq) })
    }

    pub(crate) async fn record_request(
        &mut self,
        actor: &Actor,
        case: CaseId,
        draft: RequestDraft,
    ) -> Result<Outcome, CommandError> {
        let (phase, customer) = self.open_phase(case)?;
        let customer = customer.ok_or_else(|| {
            CommandError::Conflict(format!("{case} belongs to no customer, so nobody can ask for it"))
        })?;
        let known = self.customer(&customer)?.clone();
        let request = self.complete(draft, &known)?;
        let (id, events) = self.request_events(case, phase, request);
        let seq = self.commit(actor, events).await?;
        Ok(Outcome { case: Some(case), request: Some(id), ..Self::outcome(seq) })
    }

    fn request_events(&self, case: CaseId, phase: Phase, request: RequestWords) -> (RequestId, Vec<Event>) {
        let id = self.look(|s| s.next_request());
        let mut events = vec![Event::RequestRecorded { id, case, request: Box::new(request) }];
        if phase.may_become(Phase::Contact) {
            let why = "the customer's words were taken down".to_owned();
            events.push(Event::PhaseChanged { case, from: phase, to: Phase::Contact, why });
        }
        (id, events)
    }

    /// The authority is the register's, whatever the words claim (catalogue row 112).
    fn complete(&self, draft: RequestDraft, customer: &Customer) -> Result<RequestWords, CommandError> {
        bounded("words", &draft.words)?;
        if draft.words.trim().is_empty() {
            return Err(CommandError::Bad("the request has no words".to_owned()));
        }
        let authority = (draft.requester.service == customer.service)
            .then(|| customer.contacts.iter().find(|c| c.id == draft.requester.contact))
            .flatten()
            .and_then(|c| c.authority_to_request());
        Ok(draft.with_authority(authority, &customer.prefixes))
    }

    pub(crate) async fn record_callback(
        &mut self,
        actor: &Actor,
        request: RequestId,
        callback: Callback,
    ) -> Result<Outcome, CommandError> {
        bounded("note", &callback.note)?;
        let case = self
            .look(|s| s.requests.get(&request).map(|r| r.case))
            .ok_or_else(|| CommandError::NotFound(request.to_string()))?;
        self.open_phase(case)?;
        let seq = self.commit(actor, vec![Event::CallbackRecorded { request, callback }]).await?;
        Ok(Outcome { case: Some(case), request: Some(request), ..Self::outcome(seq) })
    }

    pub(crate) async fn withdraw_request(
        &mut self,
        actor: &Actor,
        request: RequestId,
        words: String,
    ) -> Result<Outcome, CommandError> {
        bounded("words", &words)?;
        let (case, withdrawn) = self
            .look(|s| s.requests.get(&request).map(|r| (r.case, r.withdrawn.is_some())))
            .ok_or_else(|| CommandError::NotFound(request.to_string()))?;
        if withdrawn {
            return Err(CommandError::Conflict(format!("{request} was withdrawn before")));
        }
        // What rests on it is released by the next look at the ends.
        let seq = self.commit(actor, vec![Event::RequestWithdrawn { request, words }]).await?;
        Ok(Outcome { case: Some(case), request: Some(request), ..Self::outcome(seq) })
    }

    pub(crate) async fn note(&mut self, actor: &Actor, case: CaseId, text: String) -> Result<Outcome, CommandError> {
        bounded("text", &text)?;
        self.open_phase(case)?;
        let seq = self.commit(actor, vec![Event::Noted { case, text }]).await?;
        Ok(Outcome { case: Some(case), ..Self::outcome(seq) })
    }

    pub(crate) async fn close_case(
        &mut self,
        actor: &Actor,
        case: CaseId,
        host_check: String,
    ) -> Result<Outcome, CommandError> {
        bounded("host check", &host_check)?;
        let (phase, _) = self.open_phase(case)?;
        let left: Vec<MeasureId> = self.look(|s| s.in_force().filter(|m| m.case == case).map(|m| m.id).collect());
        if !left.is_empty() || !phase.may_become(Phase::Closed) {
            let list = left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(CommandError::Conflict(format!("{case} still has measures in the network: {list}")));
        }
        let mut events = Vec::new();
        if !host_check.is_empty() {
            events.push(Event::Noted { case, text: format!("host check: {host_check}") });
        }
        // Nobody can approve in a closed case, so what waits there must not look as if somebody could.
        let waits = |m: &&Measure| m.case == case && m.status == Status::Proposed;
        let waiting: Vec<MeasureId> = self.look(|s| s.measures.values().filter(waits).map(|m| m.id).collect());
        for id in waiting {
            events.push(Event::MeasureRejected { id, reason: "the case was closed".to_owned() });
        }
        let why = "closed by hand".to_owned();
        events.push(Event::PhaseChanged { case, from: phase, to: Phase::Closed, why });
        let seq = self.commit(actor, events).await?;
        Ok(Outcome { case: Some(case), ..Self::outcome(seq) })
    }

    /// Phase and customer of a case that is not closed.
    pub(crate) fn open_phase(&self, case: CaseId) -> Result<(Phase, Option<String>), CommandError> {
        let (phase, customer) = self
            .look(|s| s.cases.get(&case).map(|c| (c.phase, c.customer.clone())))
            .ok_or_else(|| CommandError::NotFound(case.to_string()))?;
        if phase == Phase::Closed {
            return Err(CommandError::Conflict(format!("{case} is closed")));
        }
        Ok((phase, customer))
    }

    pub(crate) fn customer(&self, id: &str) -> Result<&Customer, CommandError> {
        self.register.customer(id).ok_or_else(|| CommandError::NotFound(format!("customer `{id}`")))
    }
}

/// Refuses texts longer than anybody writes.
pub(crate) fn bounded(field: &str, text: &str) -> Result<(), CommandError> {
    if text.len() > MAX_WORDS_BYTES {
        return Err(CommandError::Bad(format!("{field}: {} octets are over {MAX_WORDS_BYTES}", text.len())));
    }
    Ok(())
}
