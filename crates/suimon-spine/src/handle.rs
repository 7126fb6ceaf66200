//! The way in for everybody else: commands, and reading what is.

use crate::command::{Command, CommandError, Outcome, Proposal};
use crate::dry_run::Tried;
use crate::engine::Message;
use crate::ports::{Planner, Session};
use crate::register::Register;
use crate::release::ReleaseSettings;
use crate::stale::{Stale, stale};
use crate::verify::sight::Views;
use crate::why::{self, MAX_LINES, Sources, Why};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use suimon_base::attack::Attack;
use suimon_base::calendar::BusinessCalendar;
use suimon_base::event::Effect;
use suimon_base::{Actor, AlertId, AttackId, MeasureId, PacketQuery, State, Timestamp};
use suimon_ledger::Reader;
use tokio::sync::{mpsc, oneshot, watch};

/// What is known beyond the ledger: the latest figures, not worth an event each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// Running attacks with their latest figures.
    pub attacks: BTreeMap<AttackId, Attack>,
    /// Latest effect readings.
    pub effects: BTreeMap<MeasureId, Effect>,
    /// What each hand sees in the network.
    pub views: Views,
    /// Events that wait because the ledger cannot be written.
    pub waiting_events: usize,
    /// Observations thrown away while the ledger could not be written.
    pub lost_observations: u64,
}

/// State and live figures, shared with readers. Locks are held for one look or one event, never across an await.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub state: RwLock<State>,
    pub live: RwLock<Live>,
}

/// A clonable handle on the running engine.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) register: Arc<Register>,
    pub(crate) changed: watch::Receiver<u64>,
    pub(crate) reader: Reader,
    pub(crate) ends: Arc<(BusinessCalendar, ReleaseSettings)>,
    pub(crate) planner: Arc<dyn Planner>,
}

impl Handle {
    /// Carries out a command and waits until it is in the ledger.
    ///
    /// # Errors
    /// Why it did not happen.
    pub async fn command(&self, actor: Actor, command: Command) -> Result<Outcome, CommandError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Command { actor, command: Box::new(command), reply };
        self.messages.send(message).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }

    /// Asks whether flows may be collected, and records the standing measure. Called before the collector starts.
    ///
    /// # Errors
    /// [`CommandError::Denied`] with what is missing.
    pub async fn start_collection(&self) -> Result<MeasureId, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::StartCollection { reply }).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }

    /// What a proposal would come to, without making it: plan, answer of the policy engine, checks of the hand.
    ///
    /// # Errors
    /// When the proposal cannot be understood or planned.
    pub async fn dry_run(&self, actor: Actor, proposal: Proposal) -> Result<Tried, CommandError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::DryRun { actor, proposal: Box::new(proposal), reply };
        self.messages.send(message).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }

    /// The sessions that the hands keep.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn sessions(&self) -> Result<Vec<Session>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Sessions { reply }).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)
    }

    /// Records what became of a notice on one channel.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn alert_result(
        &self,
        alert: AlertId,
        channel: String,
        result: Result<u32, String>,
    ) -> Result<(), CommandError> {
        self.messages.send(Message::AlertResult { alert, channel, result }).await.map_err(|_| CommandError::Stopped)
    }

    /// Looks at the state; `look` must be short and must not call back into the engine.
    pub fn with_state<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which measure touches these packets, now or at a time that has passed.
    pub fn why(&self, query: PacketQuery, at: Option<Timestamp>, now: Timestamp) -> Why {
        let views = self.live().views;
        self.with_state(|state| {
            let (register, planner) = (&*self.register, &*self.planner);
            let lines = MAX_LINES.into();
            why::why(&Sources { state, views: &views, register, planner, now, lines }, query, at)
        })
    }

    /// The live figures.
    pub fn live(&self) -> Live {
        self.shared.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Measures that have stood too long at `now`, and why (catalogue row 145).
    pub fn stale(&self, now: Timestamp) -> Vec<Stale> {
        let (calendar, settings) = &*self.ends;
        self.with_state(|s| stale(s, &self.register, calendar, settings, now))
    }

    /// Customers and networks.
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// The place of the last event, and a way to wait for the next one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Reads events.
    pub fn events(&self) -> &Reader {
        &self.reader
    }

    /// Stops the engine after what it is doing; routers keep what is in force.
    pub async fn stop(&self) {
        // Already stopped is as good.
        let _ = self.messages.send(Message::Stop).await;
    }
}
