//! The answer: a decision that only the engine can make, or a denial that says what is missing.

use crate::act::{Act, Basis, Stage};
use crate::print::Language;
use crate::table::LapseKind;
use serde::{Deserialize, Serialize};
use suimon_base::Timestamp;

/// A text for Japanese and for English readers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

/// The answer to a question.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It may be done.
    Allowed(Decision),
    /// It may not be done.
    Denied(Denial),
}

impl Verdict {
    /// The decision, if it was allowed.
    ///
    /// # Errors
    /// The denial.
    pub fn into_result(self) -> Result<Decision, Box<Denial>> {
        match self {
            Verdict::Allowed(decision) => Ok(decision),
            Verdict::Denied(denial) => Err(Box::new(denial)),
        }
    }
}

/// Leave to do one act. Only [`crate::Engine::decide`] makes one: it has no public constructor, cannot be read from a
/// file and cannot be copied.
///
/// ```compile_fail,E0451
/// let forged = suimon_policy::Decision { act: suimon_policy::Act::Acl, ..unimplemented!() };
/// ```
/// ```compile_fail,E0277
/// let forged: suimon_policy::Decision = serde_json::from_str("{}").unwrap();
/// ```
/// ```compile_fail,E0599
/// fn twice(d: suimon_policy::Decision) -> (suimon_policy::Decision, suimon_policy::Decision) { (d.clone(), d) }
/// ```
#[derive(Debug, PartialEq, Serialize)]
pub struct Decision {
    pub(crate) act: Act,
    pub(crate) stage: Stage,
    pub(crate) at: Timestamp,
    pub(crate) proposer: String,
    pub(crate) approver: Option<String>,
    pub(crate) pack: PackRef,
    pub(crate) grounds: Vec<Ground>,
    pub(crate) obligations: Vec<Obligation>,
    pub(crate) summary: Text,
}

/// Which pack answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRef {
    /// Its id: the jurisdiction.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// One case that permits the act. The decision holds while any of its grounds does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// The case.
    pub case: String,
    /// Its title.
    pub title: Text,
    /// The policies that permitted.
    pub policies: Vec<String>,
    /// What makes the act lawful.
    pub basis: Vec<Basis>,
    /// What ends this ground; any one of them does.
    pub lapses: Vec<Lapse>,
    /// What must be on record.
    pub evidence: Vec<Text>,
    /// Where it is written, as shown to users: what is not confirmed is shown as to be confirmed by counsel.
    pub citations: Vec<Text>,
}

/// Something that must be done along with the act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// Its id in the pack.
    pub id: String,
    /// What to do.
    pub text: Text,
}

/// When a ground lapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "when", content = "at", rename_all = "kebab-case")]
pub enum Lapse {
    /// The attack is over.
    AttackEnds,
    /// The requester takes the request back.
    RequestWithdrawn,
    /// The operator's plant is no longer impaired.
    ImpairmentEnds,
    /// The line opts out.
    OptOut,
    /// The review date is reached.
    ReviewDate(Timestamp),
    /// The stated end is reached.
    EndStated,
}

impl Lapse {
    /// In words.
    pub fn text(&self) -> Text {
        let kind = match self {
            Lapse::AttackEnds => LapseKind::AttackEnds,
            Lapse::RequestWithdrawn => LapseKind::RequestWithdrawn,
            Lapse::ImpairmentEnds => LapseKind::ImpairmentEnds,
            Lapse::OptOut => LapseKind::OptOut,
            Lapse::ReviewDate(at) => {
                return Text {
                    ja: format!("見直し日（{at}）になったとき"), en: format!("on the review date ({at})")
                };
            }
            Lapse::EndStated => LapseKind::EndStated,
        };
        Text { ja: kind.words(Language::Japanese).to_owned(), en: kind.words(Language::English).to_owned() }
    }
}

impl Decision {
    /// What may be done.
    pub fn act(&self) -> Act {
        self.act
    }
    /// The stage it was asked at.
    pub fn stage(&self) -> Stage {
        self.stage
    }
    /// The time of the event.
    pub fn at(&self) -> Timestamp {
        self.at
    }
    /// Who proposed.
    pub fn proposer(&self) -> &str {
        &self.proposer
    }
    /// Who approved.
    pub fn approver(&self) -> Option<&str> {
        self.approver.as_deref()
    }
    /// Which pack answered.
    pub fn pack(&self) -> &PackRef {
        &self.pack
    }
    /// Every case that permits, at least one.
    pub fn grounds(&self) -> &[Ground] {
        &self.grounds
    }
    /// The ids of the cases that permit.
    pub fn cases(&self) -> Vec<&str> {
        self.grounds.iter().map(|g| g.case.as_str()).collect()
    }
    /// The bases, each once.
    pub fn basis(&self) -> Vec<Basis> {
        distinct(self.grounds.iter().flat_map(|g| g.basis.iter().copied()))
    }
    /// The ids of the policies that permit.
    pub fn policies(&self) -> Vec<&str> {
        self.grounds.iter().flat_map(|g| g.policies.iter().map(String::as_str)).collect()
    }
    /// What makes a ground lapse, each once. With several grounds the decision outlives the lapse of one: ask again
    /// with [`Stage::Reissue`].
    pub fn lapses(&self) -> Vec<Lapse> {
        distinct(self.grounds.iter().flat_map(|g| g.lapses.iter().copied()))
    }
    /// What must be done along with the act.
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }
    /// In one or two sentences.
    pub fn summary(&self) -> &Text {
        &self.summary
    }
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for item in items {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}

/// Why not, and what would change that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// What was asked for.
    pub act: Act,
    /// The stage it was asked at.
    pub stage: Stage,
    /// The pack that answered; none was in force where this is `None`.
    pub pack: Option<PackRef>,
    /// The forbid policies that fired.
    pub policies: Vec<String>,
    /// What those forbid, and what to do.
    pub prohibitions: Vec<Prohibition>,
    /// The cases that permit such an act and what each lacks, nearest case first.
    pub missing: Vec<MissingForCase>,
    /// Where to turn.
    pub route: Route,
    /// The path that is open instead, in words.
    pub offer: Option<Text>,
    /// A milder means that would suffice, as stated in the facts.
    pub least_intrusive: Option<String>,
    /// In one or two sentences.
    pub summary: Text,
}

/// Where to turn after a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// To counsel: the pack has no pattern, or forbids it.
    Counsel,
    /// To the customer, for a request.
    AskCustomer,
    /// Nowhere else: supply what is missing.
    None,
}

/// A prohibition that applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prohibition {
    /// Its id in the case table.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// What is the matter.
    pub text: Text,
    /// What to do.
    pub how: Text,
    /// Where it is written, as shown to users.
    pub citations: Vec<Text>,
}

/// A case that would permit the act, and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingForCase {
    /// The case.
    pub case: String,
    /// Its title in Japanese.
    pub title_ja: String,
    /// Its title in English.
    pub title_en: String,
    /// What would make the act lawful.
    pub basis: Vec<Basis>,
    /// What is missing. Empty where only a prohibition stands in the way.
    pub conditions: Vec<MissingCondition>,
}

/// A condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingCondition {
    /// The finding's name.
    pub id: String,
    /// The condition in Japanese.
    pub text_ja: String,
    /// The condition in English.
    pub text_en: String,
    /// What to do to meet it, in Japanese.
    pub how_ja: String,
    /// What to do to meet it, in English.
    pub how_en: String,
}
