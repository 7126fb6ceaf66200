//! What people and programs may ask of the engine, and what it answers.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use suimon_base::ending::NoticeWhen;
use suimon_base::event::RequestWords;
use suimon_base::party::{Callback, ContactChannel, Requester};
use suimon_base::{AttackId, CaseId, MeasureId, OrphanId, OrphanStep, RequestId};
use suimon_policy::Denial;

/// A request as somebody takes it down; the engine adds the contact's authority from the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestDraft {
    /// Verbatim.
    pub words: String,
    /// Company, contact, service.
    pub requester: Requester,
    /// By which way.
    pub channel: ContactChannel,
    /// Destinations it is about; empty means all that the customer holds.
    #[serde(default)]
    pub scope: Vec<IpNet>,
    /// Whether an investigation is asked for.
    #[serde(default = "yes")]
    pub asks_investigation: bool,
    /// Whether blocking is asked for.
    #[serde(default = "yes")]
    pub asks_blocking: bool,
    /// Call-back, where it was already made.
    #[serde(default)]
    pub callback: Option<Callback>,
}

fn yes() -> bool {
    true
}

/// What stands behind a proposal besides the request: each is put to the policy engine as stated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Claims {
    /// The operator's own plant is impaired: what shows it (link load, CPU, errors).
    pub plant_impaired: Option<String>,
    /// Another party is protected: who.
    pub protects: Option<String>,
    /// Whether the sender means harm, with the evidence for it.
    pub malice: Option<Malice>,
    /// Milder means that were tried or looked at, and why they do not hold.
    pub alternatives_tried: Option<String>,
    /// Why the harm done is no greater than the harm averted.
    pub harm_balance: Option<String>,
    /// Why a wider way is taken although a narrower one is known.
    pub wider_because: Option<String>,
    /// Whether the customer has been told what is lost, and accepts it.
    pub loss_accepted: bool,
}

/// What is known of the sender's mind (catalogue row 18).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Malice {
    /// `true` yes, `false` no; absent claims mean unknown.
    pub malicious: bool,
    /// What shows it.
    pub evidence: String,
}

/// A measure that somebody wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Proposal {
    /// The case it belongs to.
    pub case: CaseId,
    /// The attack it answers; of several that run the strongest where absent.
    #[serde(default)]
    pub attack: Option<AttackId>,
    /// When it ends, as text: `quiet:15m`, `next-business-day`, `12h`, `after-holiday:CN/national-day`, `task:hardening`,
    /// `by-hand:24h`.
    pub end: String,
    /// Dialect of the text; the daemon's default where absent.
    #[serde(default)]
    pub dialect: Option<String>,
    /// Name of the hand; the daemon's default where absent.
    #[serde(default)]
    pub hand: Option<String>,
    /// Index of the wanted alternative; the best where absent.
    #[serde(default)]
    pub choose: Option<usize>,
    /// Rules from this written request instead of from the attack.
    #[serde(default)]
    pub filter_request: Option<String>,
    /// Why, in the proposer's words.
    #[serde(default)]
    pub reason: String,
    /// What stands behind it.
    #[serde(default)]
    pub claims: Claims,
}

/// What a person records or asks for on the way back of a measure (catalogue rows 141, 143, 144, 147).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EndingAsk {
    /// The counter-measure that the measure waits for is done.
    TaskDone {
        /// Who did it.
        by: String,
        /// What was done.
        #[serde(default)]
        words: String,
    },
    /// Somebody was told before or after the release.
    Told {
        /// Before or after.
        when: NoticeWhen,
        /// Whom.
        contact: String,
        /// How, and what they said.
        #[serde(default)]
        words: String,
    },
    /// The customer tried from their side.
    Access {
        /// Whether everything can be reached.
        ok: bool,
        /// Who answered.
        by: String,
        /// In their words.
        #[serde(default)]
        words: String,
    },
    /// It shall stay longer; a second person must agree.
    Renew {
        /// The end from now on, as text.
        end: String,
        /// Whether the requester is still there and in charge, and how that was found out.
        requester: StillThere,
        /// Whether the one who answers for the measure still is.
        owner: StillThere,
        /// Why.
        #[serde(default)]
        words: String,
    },
    /// A second person agrees to a renewal.
    ApproveRenewal {},
    /// A second person does not.
    RefuseRenewal {
        /// Why.
        reason: String,
    },
    /// A measure that is gone shall be proposed again, on the grounds of now.
    Reapply {
        /// The end, as text; the one it had where absent.
        #[serde(default)]
        end: Option<String>,
        /// Why.
        #[serde(default)]
        reason: String,
    },
}

/// Whether somebody is still there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StillThere {
    /// Whether they are.
    pub there: bool,
    /// How that was found out.
    pub how: String,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Opens a case from a call or a mail, with the request that came (catalogue rows 110, 114).
    OpenCase {
        /// Whose.
        customer: String,
        /// One line.
        title: String,
        /// The words, where there are some.
        request: Option<RequestDraft>,
    },
    /// Takes down words on a case.
    RecordRequest {
        /// The case.
        case: CaseId,
        /// The words.
        request: RequestDraft,
    },
    /// Records what came of a call-back.
    RecordCallback {
        /// Which request.
        request: RequestId,
        /// What came of it.
        callback: Callback,
    },
    /// The customer takes the request back; what rests on it is released.
    WithdrawRequest {
        /// Which request.
        request: RequestId,
        /// In their words.
        words: String,
    },
    /// Adds a remark.
    Note {
        /// The case.
        case: CaseId,
        /// The remark.
        text: String,
    },
    /// Proposes a measure.
    Propose(Box<Proposal>),
    /// A second person approves.
    Approve {
        /// Which measure.
        measure: MeasureId,
        /// Another alternative than the proposed one.
        choose: Option<usize>,
        /// Claims of the approver, where the choice needs them.
        claims: Option<Claims>,
    },
    /// A second person refuses.
    Reject {
        /// Which measure.
        measure: MeasureId,
        /// Why.
        reason: String,
    },
    /// A person has typed in the text of a measure.
    RecordApplied {
        /// Which measure.
        measure: MeasureId,
        /// Device, list, interface.
        place: String,
        /// What the device said.
        note: String,
    },
    /// Ends a measure now.
    Release {
        /// Which measure.
        measure: MeasureId,
        /// Why.
        words: String,
    },
    /// Ends every measure now.
    ReleaseAll {
        /// Why.
        words: String,
    },
    /// A person has typed in the undo of a measure.
    RecordReleased {
        /// Which measure.
        measure: MeasureId,
        /// How it was checked that it is gone.
        checked: String,
    },
    /// A step on the way back of a measure.
    Ending {
        /// Which measure.
        measure: MeasureId,
        /// The step.
        ask: Box<EndingAsk>,
    },
    /// Ends a case.
    CloseCase {
        /// Which.
        case: CaseId,
        /// What the customer found on the host (catalogue row 143).
        host_check: String,
    },
    /// Decides about a difference between network and ledger (catalogue row 146).
    ResolveOrphan {
        /// Which.
        orphan: OrphanId,
        /// What is to happen.
        step: OrphanStep,
        /// Why.
        reason: String,
        /// What an adopting measure rests on; its rules, hand and dialect are the orphan's.
        proposal: Option<Box<Proposal>>,
    },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// The case it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// The request it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The measures it made or moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<MeasureId>,
    /// Place of the last event it wrote.
    pub seq: u64,
}

/// Why it did not happen. Nothing was changed, save for a denial, which is on record.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It names something that does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// What is asked cannot be understood or done; says which part.
    #[error("{0}")]
    Bad(String),
    /// It does not fit where things stand.
    #[error("{0}")]
    Conflict(String),
    /// The policy engine said no; the measure is on record as denied where it was a proposal.
    #[error("{}", .denial.summary.en)]
    Denied {
        /// The measure on record, for a proposal.
        measure: Option<MeasureId>,
        /// What is missing.
        denial: Box<Denial>,
    },
    /// The ledger cannot be written: try again; releases work all the same.
    #[error("the ledger cannot be written: {0}")]
    Ledger(#[from] suimon_ledger::LedgerError),
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

impl RequestDraft {
    /// With the authority that the register gives to the contact.
    pub(crate) fn with_authority(self, authority: Option<suimon_base::Authority>, holdings: &[IpNet]) -> RequestWords {
        RequestWords {
            words: self.words,
            requester: self.requester,
            channel: self.channel,
            authority,
            scope: if self.scope.is_empty() { holdings.to_vec() } else { self.scope },
            asks_investigation: self.asks_investigation,
            asks_blocking: self.asks_blocking,
            callback: self.callback,
        }
    }
}
