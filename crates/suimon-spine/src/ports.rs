//! Where the spine meets the rest of the house: senses send observations, the planner says what rules would do, hands act.

pub use crate::verify::sight::{DryRun, Seen, SeenState, Session, Sight, Stray};
use std::fmt;
use suimon_base::attack::Attack;
use suimon_base::event::{Effect, Plan};
use suimon_base::rule::Match;
use suimon_base::{AttackChange, MeasureId, RuleSet};
pub use suimon_policy::Decision;
use tokio::sync::mpsc;

/// Observations that may wait between senses and engine. Attacks and effect readings are few (tens a second in a bad hour);
/// a full channel makes the sense wait, and it counts that.
pub const OBSERVATIONS_QUEUED: usize = 1_024;

/// A fact with a source; the engine gives it its time.
#[derive(Clone, Debug)]
pub enum Observation {
    /// A detector's report.
    Attack(Box<AttackChange>),
    /// A reading of a measure's effect.
    Effect(MeasureId, Effect),
}

/// Something that watches and reports. It stops when the receiver of its observations is gone.
pub trait Sense: Send {
    /// Its name in metrics and logs.
    fn name(&self) -> &'static str;
    /// Starts it; it reports into `out` from threads or tasks of its own.
    ///
    /// # Errors
    /// A sentence for the operator: which socket, which file.
    fn start(self: Box<Self>, out: mpsc::Sender<Observation>) -> Result<(), String>;
    /// Which measures are in force now, so that their effect is measured. Called on every change.
    fn watch(&self) -> Box<dyn Fn(Vec<Watched>) + Send + Sync>;
}

/// A measure in force as the meter needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Which measure.
    pub id: MeasureId,
    /// Destinations it touches.
    pub targets: Vec<ipnet::IpNet>,
    /// Matches that name the attack's packets.
    pub attack: Vec<Match>,
    /// Below this many arriving packets a second the attack counts as quiet.
    pub quiet_floor_pps: f64,
}

/// What the planner is asked.
#[derive(Clone, Debug)]
pub struct PlanAsk<'a> {
    /// The attack to answer, with its live figures.
    pub attack: Option<&'a Attack>,
    /// A written request to answer instead, as the customer worded it.
    pub request: Option<&'a str>,
    /// Dialect to write in.
    pub dialect: &'a str,
    /// Index of the wanted alternative; `None` takes the best.
    pub choose: Option<usize>,
    /// Name of the list or table, with the measure's number in it.
    pub name: &'a str,
    /// Lines for the remarks: case, requester, end.
    pub remarks: &'a [String],
    /// What the customer holds; a plan never touches anything else.
    pub holdings: &'a [ipnet::IpNet],
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The question itself is wrong: unknown dialect, unreadable request, no such alternative.
    #[error("{0}")]
    BadAsk(String),
    /// Nothing that the dialect can say would help.
    #[error("no rule of this dialect helps: {0}")]
    Nothing(String),
}

/// What rules, at what cost, with what proof.
pub trait Planner: Send + Sync {
    /// Answers an ask.
    ///
    /// # Errors
    /// When the ask is wrong or nothing helps.
    fn plan(&self, ask: &PlanAsk<'_>) -> Result<Plan, PlanError>;
    /// Dialects it can write.
    fn dialects(&self) -> Vec<&'static str>;
    /// Reads a text back: its rules, and the line of each (from 1; 0 for what the text does not say).
    ///
    /// # Errors
    /// In words, where the text cannot be read.
    fn read(&self, text: &str, dialect: &str) -> Result<(RuleSet, Vec<usize>), String> {
        Err(format!("this planner reads no text back, {dialect} ({} octets) neither", text.len()))
    }
}

/// What a hand is told.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which measure.
    pub id: MeasureId,
    /// The rules.
    pub rules: RuleSet,
    /// The text for those who type.
    pub text: String,
    /// Its undo.
    pub undo: String,
}

/// What a hand reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandReport {
    /// Done.
    Done {
        /// Where: device, list, interface.
        place: String,
        /// What the device said.
        receipt: String,
    },
    /// A person has to do it; the measure waits until one says that it is done.
    ByPerson,
}

/// Room on a device for everything of ours (catalogue row 92).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Lines in use by us.
    pub used: u64,
    /// Lines that we may use.
    pub limit: u64,
}

/// A hand that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HandError(pub String);

/// Something that changes the network. It blocks; the engine calls it on a thread of its own.
///
/// Both calls are idempotent: after a crash the engine repeats them.
pub trait Hand: Send + Sync {
    /// Its name in configuration and ledger.
    fn name(&self) -> &str;
    /// Puts an order into force. The decision can only come from the policy engine.
    ///
    /// # Errors
    /// When nothing is in force afterwards.
    fn apply(&self, order: &Order, decision: &Decision) -> Result<HandReport, HandError>;
    /// Takes a measure out again; needs no decision, since carrying is the default.
    ///
    /// # Errors
    /// When it may still be in force.
    fn release(&self, id: MeasureId) -> Result<HandReport, HandError>;
    /// Whether measures that it holds at the start are applied anew all the same: what it acts through outlives this
    /// process, and it no longer knows what it was told.
    fn apply_again(&self) -> bool {
        false
    }
    /// Which measures the network holds now; `None` where this hand cannot look.
    ///
    /// # Errors
    /// When looking failed.
    fn in_force(&self) -> Result<Option<Vec<MeasureId>>, HandError>;
    /// What the network holds beside what the ledger wants here; `None` where this hand cannot look. Called again and
    /// again from a thread of its own; it should not wait for a call that changes something.
    ///
    /// # Errors
    /// When looking failed: nothing is known of the network then.
    fn look(&self, wanted: &[Order]) -> Result<Option<Sight>, HandError> {
        let _ = wanted;
        Ok(None)
    }
    /// What an order would do and whether it may leave, without doing anything; `None` where this hand has no checks of its own.
    ///
    /// # Errors
    /// When the order is nothing for this hand.
    fn dry_run(&self, order: &Order, act: suimon_policy::Act) -> Result<Option<DryRun>, HandError> {
        let _ = (order, act);
        Ok(None)
    }
    /// How much room its device has left; `None` where there is no bound, or nobody can tell.
    ///
    /// # Errors
    /// When looking failed.
    fn budget(&self) -> Result<Option<Budget>, HandError> {
        Ok(None)
    }
    /// The sessions that this hand keeps; none for most.
    fn sessions(&self) -> Vec<Session> {
        Vec::new()
    }
}

impl fmt::Debug for dyn Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planner")
    }
}

impl fmt::Debug for dyn Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hand({})", self.name())
    }
}

/// The manual hand: hands out text, and a person records what was typed (catalogue row 84: a human applies).
#[derive(Debug, Default)]
pub struct ManualHand;

impl ManualHand {
    /// Its name in configuration and ledger.
    pub const NAME: &'static str = "manual";
}

impl Hand for ManualHand {
    fn name(&self) -> &str {
        Self::NAME
    }
    fn apply(&self, _: &Order, _: &Decision) -> Result<HandReport, HandError> {
        Ok(HandReport::ByPerson)
    }
    fn release(&self, _: MeasureId) -> Result<HandReport, HandError> {
        Ok(HandReport::ByPerson)
    }
    fn in_force(&self) -> Result<Option<Vec<MeasureId>>, HandError> {
        Ok(None)
    }
}
