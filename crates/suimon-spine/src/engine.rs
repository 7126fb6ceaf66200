//! The engine: one task that owns the ledger and takes one thing at a time.

use crate::command::{Command, CommandError, Outcome, Proposal};
use crate::dry_run::Tried;
use crate::handle::{Handle, Live, Shared};
use crate::journal::Journal;
use crate::ports::{
    Budget, Hand, HandError, HandReport, OBSERVATIONS_QUEUED, Observation, Planner, Session, Sight, Watched,
};
use crate::probe::Probing;
use crate::register::Register;
use crate::verify::{Verify, VerifySettings};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use suimon_base::calendar::BusinessCalendar;
use suimon_base::{Actor, AlertId, AttackId, Clock, Event, MeasureId, OrphanId, Recorded, State, Timestamp};
use suimon_ledger::{Draft, Ledger, LedgerError};
use suimon_policy::Decision;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Commands that may wait for the engine; callers wait beyond that.
pub const COMMANDS_QUEUED: usize = 256;
/// Events kept in memory while the ledger cannot be written.
pub const EVENTS_WAITING: usize = 10_000;
/// How often events that wait are offered to the ledger again while nothing else does so, milliseconds.
pub const FLUSH_RETRY_MS: i64 = 5_000;
/// How often ends are looked at, milliseconds.
pub const TICK_MS: u64 = 100;

/// What the engine is made of.
pub struct Parts {
    /// The record; its folder also holds the release journal.
    pub ledger: Ledger,
    /// Folder of ledger and journal.
    pub dir: PathBuf,
    /// May we?
    pub policy: suimon_policy::Engine,
    /// What rules?
    pub planner: Arc<dyn Planner>,
    /// What acts on the network.
    pub hands: Vec<Arc<dyn Hand>>,
    /// Customers, networks, collection terms.
    pub register: Register,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The rest.
    pub settings: Settings,
    /// Told of every change of what is in force, so that effects are measured.
    pub on_watch: Box<dyn Fn(Vec<Watched>) + Send + Sync>,
}

/// Settings that are not part of the register.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hand of a proposal that names none.
    pub default_hand: String,
    /// Dialect of a proposal that names none.
    pub default_dialect: String,
    /// Business days.
    pub calendar: BusinessCalendar,
    /// Version of the program, for the record.
    pub version: String,
    /// How often the hands look at the network.
    pub verify: VerifySettings,
    /// How measures end.
    pub release: crate::release::ReleaseSettings,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger holds events that do not follow from each other.
    #[error("the ledger does not add up: {0}")]
    State(#[from] suimon_base::state::ApplyError),
    /// The journal cannot be opened.
    #[error("release journal: {0}")]
    Journal(#[from] std::io::Error),
    /// A default names a hand that does not exist.
    #[error("there is no hand `{0}`")]
    Hand(String),
}

/// Why events are not in the ledger.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// It cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// They do not follow from what is on record: written, they would make the ledger unreadable for good.
    #[error("it does not follow from the record: {0}")]
    Refused(#[from] suimon_base::state::ApplyError),
}

impl From<WriteError> for CommandError {
    fn from(e: WriteError) -> Self {
        match e {
            WriteError::Ledger(e) => CommandError::Ledger(e),
            WriteError::Refused(e) => CommandError::Conflict(e.to_string()),
        }
    }
}

impl From<WriteError> for StartError {
    fn from(e: WriteError) -> Self {
        match e {
            WriteError::Ledger(e) => StartError::Ledger(e),
            WriteError::Refused(e) => StartError::State(e),
        }
    }
}

pub(crate) enum Message {
    Command { actor: Actor, command: Box<Command>, reply: oneshot::Sender<Result<Outcome, CommandError>> },
    StartCollection { reply: oneshot::Sender<Result<MeasureId, CommandError>> },
    AlertResult { alert: AlertId, channel: String, result: Result<u32, String> },
    Applied { id: MeasureId, hand: String, result: Result<HandReport, HandError> },
    Released { id: MeasureId, hand: String, result: Result<HandReport, HandError> },
    Looked { hand: String, began: Timestamp, wanted: BTreeSet<MeasureId>, result: Result<Option<Sight>, HandError> },
    ProbeOpened { id: MeasureId, result: Result<HandReport, HandError> },
    Budget { hand: String, result: Result<Option<Budget>, HandError> },
    OrphanRemoved { id: OrphanId, result: Result<HandReport, HandError> },
    DryRun { actor: Actor, proposal: Box<Proposal>, reply: oneshot::Sender<Result<Tried, CommandError>> },
    Sessions { reply: oneshot::Sender<Vec<Session>> },
    Stop,
}

pub(crate) struct Engine {
    pub ledger: Ledger,
    pub policy: suimon_policy::Engine,
    pub planner: Arc<dyn Planner>,
    pub hands: BTreeMap<String, Arc<dyn Hand>>,
    pub register: Arc<Register>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub journal: Journal,
    pub shared: Arc<Shared>,
    pub changed: watch::Sender<u64>,
    pub messages: mpsc::Sender<Message>,
    pub on_watch: Box<dyn Fn(Vec<Watched>) + Send + Sync>,
    /// Decisions of this run; only the policy engine makes them, so a restart asks again.
    pub decisions: BTreeMap<MeasureId, Arc<Decision>>,
    /// Numbers that a detector gave in this run, and what the ledger calls them.
    pub serials: BTreeMap<u64, AttackId>,
    /// Attacks of an earlier run that nobody has seen end.
    pub stale: BTreeSet<AttackId>,
    /// When this run began.
    pub started: Timestamp,
    /// Measures whose hand is putting them into force right now.
    pub applying: BTreeSet<MeasureId>,
    /// Releases under way in this run and when to ask the hand again.
    pub releasing: BTreeMap<MeasureId, Releasing>,
    /// When an effect was last put on record.
    pub effect_recorded: BTreeMap<MeasureId, Timestamp>,
    /// Measures that a person has already been asked to look at.
    pub reviewed: BTreeSet<MeasureId>,
    /// When the ends were looked at last, and by how many milliseconds the clock was set back since each measure in force
    /// was applied.
    pub looked_at: Timestamp,
    pub set_back: BTreeMap<MeasureId, i64>,
    /// What is remembered of looking at the network.
    pub verify: Verify,
    /// Releases that contacts were named for in this run.
    pub notified: BTreeMap<MeasureId, Timestamp>,
    /// Trial openings under way.
    pub probing: BTreeMap<MeasureId, Probing>,
    /// When one that could not be put on record is tried again.
    pub probe_not_before: BTreeMap<MeasureId, Timestamp>,
    /// Measures that are gone and still watched, until then.
    pub after: BTreeMap<MeasureId, Timestamp>,
    /// The standing measure under which this run collects flows.
    pub collecting: Option<MeasureId>,
    /// Lines that did not fit on a device, by hand, until its room is known.
    pub no_room: BTreeMap<String, u64>,
    pub housekeeping_at: Timestamp,
    pub budget_at: Timestamp,
    pub waiting: VecDeque<Draft>,
    /// When to offer them to the ledger again.
    pub flush_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Releasing {
    pub by_person: bool,
    pub busy: bool,
    /// The hand has let go; only the ledger does not know yet.
    pub gone: bool,
    pub retry_at: Timestamp,
}

/// Starts the engine: replays the ledger, reconciles journal and hands, and returns the way in and the queue for senses.
///
/// # Errors
/// When the record cannot be trusted or written.
pub async fn start(parts: Parts) -> Result<(Handle, mpsc::Sender<Observation>, JoinHandle<()>), StartError> {
    let hands: BTreeMap<String, Arc<dyn Hand>> = parts.hands.into_iter().map(|h| (h.name().to_owned(), h)).collect();
    if !hands.contains_key(&parts.settings.default_hand) {
        return Err(StartError::Hand(parts.settings.default_hand));
    }
    let state = replay(&parts.ledger).await?;
    let (journal, intents) = Journal::open(&parts.dir)?;
    let (messages, inbox) = mpsc::channel(COMMANDS_QUEUED);
    let (observations, observed) = mpsc::channel(OBSERVATIONS_QUEUED);
    let (changed, changes) = watch::channel(state.seq);
    let stale = state.attacks.values().filter(|a| a.attack.ended.is_none()).map(|a| a.id).collect();
    let shared = Arc::new(Shared { state: state.into(), live: Live::default().into() });
    let register = Arc::new(parts.register);
    let handle = Handle {
        messages: messages.clone(),
        shared: shared.clone(),
        register: register.clone(),
        changed: changes,
        reader: parts.ledger.reader(),
        ends: Arc::new((parts.settings.calendar.clone(), parts.settings.release.clone())),
        planner: parts.planner.clone(),
    };
    let started = parts.clock.now();
    let mut engine = Engine {
        ledger: parts.ledger,
        policy: parts.policy,
        planner: parts.planner,
        hands,
        register,
        clock: parts.clock,
        settings: parts.settings,
        journal,
        shared,
        changed,
        messages,
        on_watch: parts.on_watch,
        decisions: BTreeMap::new(),
        serials: BTreeMap::new(),
        stale,
        started,
        applying: BTreeSet::new(),
        releasing: BTreeMap::new(),
        effect_recorded: BTreeMap::new(),
        reviewed: BTreeSet::new(),
        looked_at: Timestamp::ZERO,
        set_back: BTreeMap::new(),
        verify: Verify::default(),
        notified: BTreeMap::new(),
        probing: BTreeMap::new(),
        probe_not_before: BTreeMap::new(),
        after: BTreeMap::new(),
        collecting: None,
        no_room: BTreeMap::new(),
        housekeeping_at: started,
        budget_at: started,
        waiting: VecDeque::new(),
        flush_at: started,
    };
    engine.recover(intents).await?;
    engine.start_looking();
    let task = tokio::spawn(engine.run(inbox, observed));
    Ok((handle, observations, task))
}

async fn replay(ledger: &Ledger) -> Result<State, StartError> {
    const PAGE: u32 = 1_000;
    let mut state = State::default();
    loop {
        let page = ledger.read(state.seq + 1, PAGE).await?;
        if page.is_empty() {
            return Ok(state);
        }
        for row in page {
            state.apply(&row.recorded)?;
        }
    }
}

impl Engine {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>, mut observed: mpsc::Receiver<Observation>) {
        let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut senses = true;
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    None | Some(Message::Stop) => break,
                    Some(message) => self.message(message).await,
                },
                observation = observed.recv(), if senses => match observation {
                    None => senses = false,
                    Some(observation) => self.observe(observation).await,
                },
                _ = tick.tick() => {
                    self.retry_flush().await;
                    self.look_at_ends().await;
                    let now = self.clock.now();
                    self.look_at_after(now).await;
                    self.housekeeping(now).await;
                }
            }
        }
        self.flush().await.unwrap_or_else(|error| tracing::error!(%error, "events were lost at the stop"));
    }

    async fn message(&mut self, message: Message) {
        match message {
            Message::Command { actor, command, reply } => {
                let result = self.command(&actor, *command).await;
                // A caller that went away does not need the answer.
                let _ = reply.send(result);
            }
            Message::StartCollection { reply } => {
                let result = self.start_collection().await;
                let _ = reply.send(result);
            }
            Message::AlertResult { alert, channel, result } => {
                let event = match result {
                    Ok(tries) => Event::AlertDelivered { id: alert, channel, tries },
                    Err(error) => Event::AlertFailed { id: alert, channel, error },
                };
                self.commit_or_keep(&Actor::system("notify"), vec![event]).await;
            }
            Message::Applied { id, hand, result } => self.hand_applied(id, &hand, result).await,
            Message::Released { id, hand, result } => self.hand_released(id, &hand, result).await,
            Message::Looked { hand, began, wanted, result } => self.looked(hand, began, wanted, result).await,
            Message::ProbeOpened { id, result } => self.probe_opened(id, result),
            Message::Budget { hand, result } => self.budget_told(&hand, result).await,
            Message::OrphanRemoved { id, result } => self.orphan_removed(id, result).await,
            Message::DryRun { actor, proposal, reply } => {
                let _ = reply.send(self.try_out(&actor, &proposal));
            }
            Message::Sessions { reply } => {
                let _ = reply.send(self.hands.values().flat_map(|h| h.sessions()).collect());
            }
            Message::Stop => {}
        }
    }

    async fn command(&mut self, actor: &Actor, command: Command) -> Result<Outcome, CommandError> {
        // What waits comes first, since a command is checked against the state; a release waits for nothing.
        if !matches!(command, Command::Release { .. } | Command::ReleaseAll { .. } | Command::RecordReleased { .. }) {
            self.flush().await?;
        }
        match command {
            Command::OpenCase { customer, title, request } => self.open_case(actor, customer, title, request).await,
            Command::RecordRequest { case, request } => self.record_request(actor, case, request).await,
            Command::RecordCallback { request, callback } => self.record_callback(actor, request, callback).await,
            Command::WithdrawRequest { request, words } => self.withdraw_request(actor, request, words).await,
            Command::Note { case, text } => self.note(actor, case, text).await,
            Command::Propose(proposal) => self.propose(actor, *proposal).await,
            Command::Approve { measure, choose, claims } => self.approve(actor, measure, choose, claims).await,
            Command::Reject { measure, reason } => self.reject(actor, measure, reason).await,
            Command::RecordApplied { measure, place, note } => self.record_applied(actor, measure, place, note).await,
            Command::Release { measure, words } => self.release_by_hand(actor, measure, words).await,
            Command::ReleaseAll { words } => self.release_all(actor, words).await,
            Command::RecordReleased { measure, checked } => self.record_released(actor, measure, checked).await,
            Command::Ending { measure, ask } => self.ending(actor, measure, *ask).await,
            Command::CloseCase { case, host_check } => self.close_case(actor, case, host_check).await,
            Command::ResolveOrphan { orphan, step, reason, proposal } => {
                self.resolve_orphan(actor, orphan, step, reason, proposal.map(|p| *p)).await
            }
        }
    }

    /// Looks at the state without holding its lock any longer.
    pub fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn live<R>(&self, change: impl FnOnce(&mut Live) -> R) -> R {
        change(&mut self.shared.live.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes events to the ledger and takes them into the state; all or none.
    pub async fn commit(&mut self, actor: &Actor, events: Vec<Event>) -> Result<u64, WriteError> {
        self.flush().await?;
        let at = self.clock.now();
        let drafts = events.into_iter().map(|event| Draft { at, actor: actor.clone(), event }).collect();
        self.append(drafts).await
    }

    /// As [`Engine::commit`], but events about what has already happened wait in memory where the ledger cannot be written.
    pub async fn commit_or_keep(&mut self, actor: &Actor, events: Vec<Event>) {
        let at = self.clock.now();
        for event in events {
            if self.waiting.len() >= EVENTS_WAITING {
                tracing::error!(
                    kind = event.kind(),
                    "the ledger cannot be written and too many events wait: one is lost"
                );
                self.live(|l| l.lost_observations += 1);
                continue;
            }
            self.waiting.push_back(Draft { at, actor: actor.clone(), event });
        }
        if let Err(error) = self.flush().await {
            let waiting = self.waiting.len();
            self.live(|l| l.waiting_events = waiting);
            tracing::error!(%error, waiting, "the ledger cannot be written; events wait");
        }
    }

    async fn flush(&mut self) -> Result<(), WriteError> {
        self.drop_misfits();
        if !self.waiting.is_empty() {
            let drafts = self.waiting.iter().cloned().collect();
            self.flush_at = self.clock.now().plus_ms(FLUSH_RETRY_MS);
            self.append(drafts).await?;
            self.waiting.clear();
            self.releasing.retain(|_, r| !r.gone);
            self.clear_journal();
        }
        let waiting = self.waiting.len();
        self.live(|l| l.waiting_events = waiting);
        Ok(())
    }

    async fn retry_flush(&mut self) {
        if self.waiting.is_empty() || self.clock.now() < self.flush_at {
            return;
        }
        match self.flush().await {
            Ok(()) => tracing::info!("the ledger can be written again; nothing waits any more"),
            Err(error) => tracing::error!(%error, waiting = self.waiting.len(), "the ledger still cannot be written"),
        }
    }

    /// The journal is only needed for what the ledger does not hold.
    pub fn clear_journal(&mut self) {
        if self.waiting.is_empty()
            && self.releasing.is_empty()
            && let Err(error) = self.journal.clear()
        {
            tracing::warn!(%error, "the release journal cannot be cleared");
        }
    }

    /// What waits and cannot follow from the record would hold up everything behind it for ever.
    fn drop_misfits(&mut self) {
        let tried: Vec<Recorded> = self.waiting.iter().map(|d| self.as_recorded(d)).collect();
        let fits = self.look(|s| s.trial(&tried));
        if fits.iter().all(Result::is_ok) {
            return;
        }
        let mut lost = 0;
        let waiting = std::mem::take(&mut self.waiting);
        for (draft, fit) in waiting.into_iter().zip(fits) {
            match fit {
                Ok(()) => self.waiting.push_back(draft),
                Err(error) => {
                    lost += 1;
                    tracing::error!(%error, kind = draft.event.kind(), "an event that waited does not fit and is lost");
                }
            }
        }
        self.live(|l| l.lost_observations += lost);
    }

    /// A draft as it would stand in the ledger, for trying it.
    fn as_recorded(&self, d: &Draft) -> Recorded {
        Recorded { seq: 0, at: d.at.floor_ms(), actor: d.actor.clone(), exercise: false, event: d.event.clone() }
    }

    async fn append(&mut self, drafts: Vec<Draft>) -> Result<u64, WriteError> {
        let tried: Vec<Recorded> = drafts.iter().map(|d| self.as_recorded(d)).collect();
        self.look(|s| s.trial(&tried)).into_iter().collect::<Result<(), _>>()?;
        let recorded = self.ledger.append(drafts).await?;
        let mut seq = 0;
        {
            let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
            for r in &recorded {
                seq = r.seq;
                if let Err(error) = state.apply(r) {
                    tracing::error!(%error, "an event does not fit the state; restart to replay the ledger");
                }
            }
        }
        self.changed.send_replace(seq);
        if recorded.iter().any(|r| r.event.kind().starts_with("measure") || r.event.kind().starts_with("release")) {
            self.tell_watchers();
        }
        Ok(seq)
    }

    /// Tells the senses which measures are in force.
    pub fn tell_watchers(&self) {
        let watched = self.look(|s| {
            s.measures
                .values()
                .filter(|m| m.status.may_be_in_force() || self.is_watched_after(m.id))
                .filter_map(|m| {
                    let plan = m.plan()?;
                    Some(Watched {
                        id: m.id,
                        targets: plan.targets.clone(),
                        attack: plan.attack_matches.clone(),
                        quiet_floor_pps: plan.quiet_floor_pps,
                    })
                })
                .collect()
        });
        (self.on_watch)(watched);
    }

    pub fn outcome(seq: u64) -> Outcome {
        Outcome { case: None, request: None, measures: Vec::new(), seq }
    }
}
