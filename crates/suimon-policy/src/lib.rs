//! May we? Cedar policies and versioned packs behind one `decide()`.
//!
//! A [`Question`] names an act, the people and the facts; [`Engine::decide`] answers with the pack that was in force at
//! the time of the event. The answer is a [`Decision`] that nothing else can make, or a [`Denial`] that says which cases
//! were near and what each lacks. What no case permits is denied.
//!
//! Pure: no files, no clock. The daemon reads a pack's files and hands their texts to [`Pack::load`].
//!
//! ```
//! use suimon_policy::{Act, Engine, Facts, Question, Stage, Verdict};
//! let engine = Engine::builtin()?;
//! let question = Question {
//!     at: "2026-04-01T09:00:00Z".parse()?,
//!     act: Act::Acl,
//!     stage: Stage::Propose,
//!     proposer: "operator".to_owned(),
//!     approver: None,
//!     facts: Facts::default(),
//! };
//! let Verdict::Denied(denial) = engine.decide(&question) else { panic!("no case, no act") };
//! assert_eq!(denial.policies, ["forbid-no-end"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod act;
mod cedar;
mod check;
mod engine;
mod error;
mod facts;
mod findings;
mod pack;
mod print;
mod table;
mod verdict;

#[cfg(test)]
mod tests;

pub use act::{Act, Basis, Consent, Infringement, Stage};
pub use engine::{Engine, Packs};
pub use error::PackError;
pub use facts::{
    AttackFacts, Authority, Callback, Channel, CollectionFacts, ConsentFacts, Facts, FlowItem, Malice,
    NarrowerAlternative, PlantFacts, PlantState, ProtectedParty, PublicBodyFacts, Question, ReadingFacts, RequestFacts,
    Rung, ThirdPartyFacts,
};
pub use pack::{Pack, builtin_jp_files};
pub use print::Language;
pub use table::CounselReview;
pub use verdict::{
    Decision, Denial, Ground, Lapse, MissingCondition, MissingForCase, Obligation, PackRef, Prohibition, Route, Text,
    Verdict,
};
