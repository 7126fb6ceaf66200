//! What the ledger remembers. Every table, page and report is derived from these.

use crate::attack::Attack;
use crate::case::Phase;
use crate::drift::{Found, OrphanStep};
use crate::end::End;
use crate::ending::EndStep;
use crate::id::{AlertId, AttackId, CaseId, MeasureId, OrphanId, RequestId};
use crate::party::{Authority, Callback, ContactChannel, Requester};
use crate::placement::Placement;
use crate::rule::{Match, RuleSet};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Someone's words and what stands behind them (catalogue rows 45, 110–116, 125).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestWords {
    /// Verbatim, never edited.
    pub words: String,
    /// Who.
    pub requester: Requester,
    /// By which way the words came.
    pub channel: ContactChannel,
    /// The contact's authority according to the register at that time; `None` for an unregistered one.
    pub authority: Option<Authority>,
    /// Destinations that the words are about.
    pub scope: Vec<IpNet>,
    /// Whether the words ask that traffic be looked at and stopped within the scope.
    pub asks_investigation: bool,
    /// Whether the words ask for blocking within the scope.
    pub asks_blocking: bool,
    /// Call-back to the registered number, when it was made.
    pub callback: Option<Callback>,
}

/// A way of doing it that was looked at, with what it would cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Alternative {
    /// Means: `police`, `flowspec`, `acl`, `null-route`, `rtbh`.
    pub means: String,
    /// What it cuts, English.
    pub words_en: String,
    /// What it cuts, Japanese.
    pub words_ja: String,
    /// Share of the attack's packets that it would drop, 0–1.
    pub attack_dropped: f64,
    /// Share of the legitimate packets that it would drop, 0–1; `None` where normal traffic is not known.
    pub legitimate_dropped: Option<f64>,
    /// Share of new legitimate connections that it would drop, 0–1; `None` where normal traffic is not known.
    pub connections_dropped: Option<f64>,
    /// Lines in the chosen dialect; `None` where the dialect cannot say it.
    pub lines: Option<u64>,
    /// Why the dialect cannot say it.
    pub refused: Option<String>,
}

/// What exactly would be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// The neutral rules.
    pub rules: RuleSet,
    /// Dialect of `text` and `undo`.
    pub dialect: String,
    /// What is entered into the router.
    pub text: String,
    /// What takes exactly this out again.
    pub undo: String,
    /// Deny lines or rules.
    pub lines: u64,
    /// `requested`, `covered`, `missing`, `extra` of the emitted text against the rules.
    pub proof: Value,
    /// All ways that were looked at, the chosen one included.
    pub alternatives: Vec<Alternative>,
    /// Index of the chosen way in `alternatives`; `None` for a plan made from a written request.
    pub chosen: Option<usize>,
    /// Whether the chosen way separates attack from legitimate traffic (≥ 99 % and ≤ 1 %).
    pub separates: bool,
    /// Open questions with the default taken, one a line, English.
    pub questions: Vec<String>,
    /// Matches that name the attack's packets, for measuring the effect.
    pub attack_matches: Vec<Match>,
    /// Destinations it touches.
    pub targets: Vec<IpNet>,
    /// Below this many arriving packets a second that the matches name, the attack counts as quiet: what normal traffic
    /// of the same kind makes lies below it.
    pub quiet_floor_pps: f64,
    /// Ways and places ranked by the profiles of the devices; `None` where no device is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

/// Everything a measure carries from its proposal on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MeasureDraft {
    /// The act as the policy engine names it: `flowspec`, `acl`, `collect-flows` …
    pub act: String,
    /// 知得 `acquire`, 窃用 `use`, 漏えい `disclose` or `none`.
    pub infringement: String,
    /// Name of the hand that would apply it.
    pub hand: String,
    /// The customer it is for.
    pub customer: Option<String>,
    /// The attack it answers.
    pub attack: Option<AttackId>,
    /// The request it answers.
    pub request: Option<RequestId>,
    /// What exactly.
    pub plan: Option<Plan>,
    /// When it ends.
    pub end: End,
    /// What is expected to happen, stored before it does (catalogue row 96), English.
    pub expected_en: String,
    /// The same, Japanese.
    pub expected_ja: String,
    /// Reason given by the proposer.
    pub reason: String,
    /// The facts that were put to the policy engine.
    pub facts: Value,
}

/// One reading of a measure's effect, from flows. Rates are packets a second, corrected for sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Effect {
    /// Attack packets a second that arrive.
    pub attack_arriving_pps: f64,
    /// Attack packets a second that pass.
    pub attack_passed_pps: f64,
    /// Other packets a second to the same target that arrive.
    pub other_arriving_pps: f64,
    /// Other packets a second to the same target that pass.
    pub other_passed_pps: f64,
    /// Whether the routers export what they drop; without that, silence may only mean that the filter works.
    pub observes_drops: bool,
    /// Milliseconds since the attack's packets last arrived above the noise floor; `None` if never seen.
    pub quiet_ms: Option<i64>,
}

/// Why a measure is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReleaseReason {
    /// Its time is over.
    Due,
    /// The attack has been quiet for as long as asked.
    Quiet {
        /// Measured quiet in milliseconds.
        quiet_ms: i64,
    },
    /// The basis lapsed: the attack ended, the request was withdrawn, the clause changed.
    BasisLapsed {
        /// Which part.
        what: String,
    },
    /// A person said so.
    ByHand {
        /// In their words.
        words: String,
    },
    /// The counter-measure that it waited for is done.
    TaskDone {
        /// What was recorded about it.
        words: String,
    },
    /// A trial opening did not find the attack any more.
    Probed {
        /// How long it was open without the attack, in milliseconds.
        open_ms: i64,
    },
    /// The hand reports something in force that nobody decided, or lost it.
    Reconciled {
        /// What was found.
        found: String,
    },
}

/// What an alert is about; decides on its words and how loud it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertAbout {
    /// An attack opened a case.
    Attack,
    /// A measure waits for a second person.
    Approval,
    /// A measure that was entered by hand has ended; a person has to enter the undo.
    Undo,
    /// A hand could not take a measure out, or put one in.
    HandFailed,
    /// A release comes soon; contacts have to be told.
    Notice,
    /// Nothing has ended a measure, and somebody has to look, or nothing speaks for it any more.
    Review,
    /// A measure was released; the customer should try from their side.
    Released,
    /// The weekly list of measures that have stood too long.
    Stale,
    /// The terms under which flows are collected have to be looked at again, or collecting has stopped.
    Collection,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The daemon started with this configuration and policy pack.
    Started {
        /// Version of Suimon.
        version: String,
        /// Policy packs, `id version`.
        packs: Vec<String>,
    },
    /// The standing measure under which flows are collected; without it no collector runs (catalogue rows 8, 57).
    CollectionStarted {
        /// Its number.
        id: MeasureId,
        /// Purpose, items, retention, approver, review date, as configured.
        terms: Value,
        /// The decision that allows it.
        decision: Value,
    },
    /// Flows are not collected any more, although the program runs on.
    CollectionStopped {
        /// Which standing measure ended.
        id: MeasureId,
        /// Why.
        why: String,
    },
    /// A detector saw an attack.
    AttackSeen {
        /// Its number in the ledger.
        id: AttackId,
        /// Whose address.
        customer: Option<String>,
        /// What was seen.
        attack: Box<Attack>,
    },
    /// New vectors or a much higher peak.
    AttackUpdated {
        /// Which.
        id: AttackId,
        /// What is seen now.
        attack: Box<Attack>,
    },
    /// A detector saw it end.
    AttackEnded {
        /// Which.
        id: AttackId,
        /// With its final figures.
        attack: Box<Attack>,
    },
    /// Work begins.
    CaseOpened {
        /// Its number.
        id: CaseId,
        /// Whose.
        customer: Option<String>,
        /// The attack that caused it; `None` for a call or a mail.
        attack: Option<AttackId>,
        /// One line.
        title: String,
    },
    /// An attack joins an open case.
    AttackJoined {
        /// The case.
        case: CaseId,
        /// The attack.
        attack: AttackId,
    },
    /// The case moves on.
    PhaseChanged {
        /// Which.
        case: CaseId,
        /// From.
        from: Phase,
        /// To.
        to: Phase,
        /// Why, a sentence.
        why: String,
    },
    /// A remark on a case.
    Noted {
        /// Which.
        case: CaseId,
        /// The remark.
        text: String,
    },
    /// Words were taken down.
    RequestRecorded {
        /// Its number.
        id: RequestId,
        /// The case it belongs to.
        case: CaseId,
        /// The words and who stands behind them.
        request: Box<RequestWords>,
    },
    /// A registered number was called back.
    CallbackRecorded {
        /// Which request.
        request: RequestId,
        /// What came of it.
        callback: Callback,
    },
    /// A request no longer stands.
    RequestWithdrawn {
        /// Which.
        request: RequestId,
        /// In their words.
        words: String,
    },
    /// The policy engine was asked and allowed it; a second person is needed.
    MeasureProposed {
        /// Its number.
        id: MeasureId,
        /// The case.
        case: CaseId,
        /// What, why, until when.
        draft: Box<MeasureDraft>,
        /// What the policy engine said.
        decision: Value,
    },
    /// The policy engine was asked and refused.
    MeasureDenied {
        /// Its number, so that it can be shown and talked about.
        id: MeasureId,
        /// The case.
        case: CaseId,
        /// What was asked.
        draft: Box<MeasureDraft>,
        /// What is missing.
        denial: Value,
    },
    /// A second person approved, and the policy engine agreed again; from here the hand may act.
    MeasureApproved {
        /// Which.
        id: MeasureId,
        /// The plan where the approver chose another way than the proposer.
        plan: Option<Box<Plan>>,
        /// What the policy engine said at this moment.
        decision: Value,
    },
    /// A second person refused.
    MeasureRejected {
        /// Which.
        id: MeasureId,
        /// Why.
        reason: String,
    },
    /// It is in force.
    MeasureApplied {
        /// Which.
        id: MeasureId,
        /// Where: device, list, interface, or what the person said.
        place: String,
        /// What the hand reports.
        receipt: String,
    },
    /// It is not in force.
    MeasureFailed {
        /// Which.
        id: MeasureId,
        /// What went wrong.
        error: String,
    },
    /// Effect measured: soon after application, then now and then, and at the end.
    EffectMeasured {
        /// Which.
        id: MeasureId,
        /// The reading.
        effect: Effect,
    },
    /// Nothing ended it, but somebody should look.
    ReviewDue {
        /// Which.
        id: MeasureId,
        /// Why.
        why: String,
    },
    /// A step on the way back: a task done, a notice, a trial opening, a renewal, a check afterwards.
    Ending {
        /// Which.
        id: MeasureId,
        /// The step.
        what: Box<EndStep>,
    },
    /// It shall end; the hand is told.
    ReleaseIntended {
        /// Which.
        id: MeasureId,
        /// Why.
        reason: ReleaseReason,
    },
    /// The hand could not take it out; it will be tried again.
    ReleaseFailed {
        /// Which.
        id: MeasureId,
        /// What went wrong.
        error: String,
    },
    /// It is gone.
    MeasureReleased {
        /// Which.
        id: MeasureId,
        /// How that was checked.
        checked: String,
    },
    /// A notice leaves the box.
    AlertQueued {
        /// Its number.
        id: AlertId,
        /// The case it is about; none for what is about no case.
        #[serde(default)]
        case: Option<CaseId>,
        /// One line, English.
        subject_en: String,
        /// One line, Japanese.
        subject_ja: String,
        /// What it is about; an attack where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<AlertAbout>,
    },
    /// It was taken by a channel.
    AlertDelivered {
        /// Which.
        id: AlertId,
        /// Name of the channel in the configuration.
        channel: String,
        /// Tries it took.
        tries: u32,
    },
    /// A channel was given up.
    AlertFailed {
        /// Which.
        id: AlertId,
        /// Name of the channel in the configuration.
        channel: String,
        /// The last error.
        error: String,
    },
    /// The network is not as the ledger wants it, and a person has to decide.
    OrphanFound {
        /// Its number.
        id: OrphanId,
        /// What was found.
        found: Box<Found>,
    },
    /// A person has decided; or the engine, where the ledger leaves no choice.
    OrphanResolved {
        /// Which.
        id: OrphanId,
        /// What.
        step: OrphanStep,
        /// Why.
        reason: String,
        /// The measure that takes its place, where it was adopted.
        measure: Option<MeasureId>,
    },
    /// The difference is not seen any more.
    OrphanGone {
        /// Which.
        id: OrphanId,
        /// How it went, as far as that is known.
        how: String,
    },
    /// A measure in force is not in the network; it is put back.
    MeasureMissing {
        /// Which.
        id: MeasureId,
        /// The hand that looked.
        hand: String,
        /// Where it is missing.
        place: String,
    },
    /// It is back.
    MeasurePutBack {
        /// Which.
        id: MeasureId,
        /// Where.
        place: String,
        /// What the hand reports.
        receipt: String,
    },
    /// It could not be put back; it will be tried again.
    PutBackFailed {
        /// Which.
        id: MeasureId,
        /// What went wrong.
        error: String,
    },
    /// A place with measures cannot be looked at.
    HandUnreachable {
        /// The hand.
        hand: String,
        /// The place within it; empty for all of it.
        place: String,
        /// Since when nothing is known of it.
        since: crate::Timestamp,
        /// What was said.
        why: String,
    },
    /// It can be looked at again.
    HandReachable {
        /// The hand.
        hand: String,
        /// The place within it; empty for all of it.
        place: String,
    },
    /// Nothing speaks for a measure any more; a person is asked to release it.
    ReleaseProposed {
        /// Which.
        id: MeasureId,
        /// Why.
        why: String,
    },
}

impl Event {
    /// The kind as stored: the value of the `event` field.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::CollectionStarted { .. } => "collection-started",
            Event::CollectionStopped { .. } => "collection-stopped",
            Event::AttackSeen { .. } => "attack-seen",
            Event::AttackUpdated { .. } => "attack-updated",
            Event::AttackEnded { .. } => "attack-ended",
            Event::CaseOpened { .. } => "case-opened",
            Event::AttackJoined { .. } => "attack-joined",
            Event::PhaseChanged { .. } => "phase-changed",
            Event::Noted { .. } => "noted",
            Event::RequestRecorded { .. } => "request-recorded",
            Event::CallbackRecorded { .. } => "callback-recorded",
            Event::RequestWithdrawn { .. } => "request-withdrawn",
            Event::MeasureProposed { .. } => "measure-proposed",
            Event::MeasureDenied { .. } => "measure-denied",
            Event::MeasureApproved { .. } => "measure-approved",
            Event::MeasureRejected { .. } => "measure-rejected",
            Event::MeasureApplied { .. } => "measure-applied",
            Event::MeasureFailed { .. } => "measure-failed",
            Event::EffectMeasured { .. } => "effect-measured",
            Event::ReviewDue { .. } => "review-due",
            Event::Ending { .. } => "ending",
            Event::ReleaseIntended { .. } => "release-intended",
            Event::ReleaseFailed { .. } => "release-failed",
            Event::MeasureReleased { .. } => "measure-released",
            Event::AlertQueued { .. } => "alert-queued",
            Event::AlertDelivered { .. } => "alert-delivered",
            Event::AlertFailed { .. } => "alert-failed",
            Event::OrphanFound { .. } => "orphan-found",
            Event::OrphanResolved { .. } => "orphan-resolved",
            Event::OrphanGone { .. } => "orphan-gone",
            Event::MeasureMissing { .. } => "measure-missing",
            Event::MeasurePutBack { .. } => "measure-put-back",
            Event::PutBackFailed { .. } => "put-back-failed",
            Event::HandUnreachable { .. } => "hand-unreachable",
            Event::HandReachable { .. } => "hand-reachable",
            Event::ReleaseProposed { .. } => "release-proposed",
        }
    }
}
