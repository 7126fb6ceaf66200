//! A policy pack: read, checked and ready to answer.

use crate::act::Act;
use crate::cedar::{POLICIES_FILE, Rules, SCHEMA_FILE, at_word};
use crate::check;
use crate::error::PackError;
use crate::findings::{self, Params};
use crate::table::{CounselReview, Head, Table};
use crate::verdict::{PackRef, Text};
use std::collections::BTreeMap;
use suimon_base::Timestamp;

/// The head's file name.
pub(crate) const HEAD_FILE: &str = "pack.toml";
/// The case table's file name.
pub(crate) const CASES_FILE: &str = "cases.toml";
/// The files of a pack.
const FILES: [&str; 4] = [HEAD_FILE, SCHEMA_FILE, POLICIES_FILE, CASES_FILE];
/// The version of the file formats.
const FORMAT: u32 = 1;
/// Largest file of a pack, octets; far above any real one.
const MAX_FILE_OCTETS: usize = 4 << 20;

/// One version of one jurisdiction's rules.
#[derive(Debug)]
pub struct Pack {
    pub(crate) head: Head,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
    pub(crate) table: Table,
    pub(crate) rules: Rules,
    pub(crate) params: Params,
}

impl Pack {
    /// The names of the files that a pack consists of: what a caller must read from a folder for [`Pack::load`].
    pub const fn file_names() -> [&'static str; 4] {
        FILES
    }

    /// Reads a pack from the texts of its files, by name.
    ///
    /// # Errors
    /// A file is absent, unknown or malformed; a text is absent; or policies, schema and case table disagree. Names
    /// the file and the place.
    pub fn load(files: &BTreeMap<String, String>) -> Result<Pack, PackError> {
        for (name, text) in files {
            if !FILES.contains(&name.as_str()) {
                return Err(PackError::whole(name, format!("not a file of a pack; a pack has {}", FILES.join(", "))));
            }
            if text.len() > MAX_FILE_OCTETS {
                return Err(PackError::whole(name, format!("larger than {MAX_FILE_OCTETS} octets")));
            }
        }
        let file = |name: &str| files.get(name).ok_or_else(|| PackError::whole(name, "the file is missing"));
        let head_text = file(HEAD_FILE)?;
        let head: Head = parse(HEAD_FILE, head_text)?;
        if head.format != FORMAT {
            let message = format!("format {} is not known; this version reads {FORMAT}", head.format);
            return Err(at_word(HEAD_FILE, head_text, "format", message));
        }
        let from = date(head_text, &head.effective_from)?;
        let until = head.effective_until.as_ref().map(|t| date(head_text, t)).transpose()?;
        if until.is_some_and(|until| until <= from) {
            let message = "effective-until is not after effective-from".to_owned();
            return Err(at_word(HEAD_FILE, head_text, "effective-until", message));
        }
        let cases_text = file(CASES_FILE)?;
        let table: Table = parse(CASES_FILE, cases_text)?;
        let schema_text = file(SCHEMA_FILE)?;
        let policy_text = file(POLICIES_FILE)?;
        let rules = Rules::load(schema_text, policy_text)?;
        let known = findings::names();
        if let Some(name) = rules.declared.iter().find(|name| !known.contains(&name.as_str())) {
            let message = format!("finding `{name}` is not known to this version; known are {}", known.join(", "));
            return Err(at_word(SCHEMA_FILE, schema_text, name, message));
        }
        let params = Params { collection_items: table.params.collection_items.clone() };
        let pack = Pack { head, from, until, table, rules, params };
        check::head(&pack.head, head_text)?;
        check::table(&pack, cases_text)?;
        check::links(&pack, cases_text, policy_text)?;
        check::agreement(&pack, policy_text)?;
        Ok(pack)
    }

    /// The Japanese pack that comes with the program.
    ///
    /// # Errors
    /// As [`Pack::load`]; a test makes sure that there are none.
    pub fn builtin_jp() -> Result<Pack, PackError> {
        Pack::load(&builtin_jp_files())
    }

    /// Its id and version.
    pub fn reference(&self) -> PackRef {
        PackRef { id: self.head.id.clone(), version: self.head.version.clone() }
    }

    /// Its title.
    pub fn title(&self) -> Text {
        Text { ja: self.head.title_ja.clone(), en: self.head.title_en.clone() }
    }

    /// What it was written from and what is open.
    pub fn provenance(&self) -> Text {
        Text { ja: self.head.provenance_ja.clone(), en: self.head.provenance_en.clone() }
    }

    /// Whether counsel has signed it off.
    pub fn counsel_review(&self) -> CounselReview {
        self.head.counsel_review
    }

    /// From when it answers for events, and until when (exclusive).
    pub fn effective(&self) -> (Timestamp, Option<Timestamp>) {
        (self.from, self.until)
    }

    /// The ids of the cases that can permit `act`.
    pub fn cases_for(&self, act: Act) -> Vec<&str> {
        self.table.cases.iter().filter(|c| c.acts.contains(&act)).map(|c| c.id.as_str()).collect()
    }
}

/// The files of the Japanese pack that comes with the program.
pub fn builtin_jp_files() -> BTreeMap<String, String> {
    [
        (HEAD_FILE, include_str!("../../../policies/jp/pack.toml")),
        (SCHEMA_FILE, include_str!("../../../policies/jp/schema.cedarschema")),
        (POLICIES_FILE, include_str!("../../../policies/jp/policies.cedar")),
        (CASES_FILE, include_str!("../../../policies/jp/cases.toml")),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .collect()
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, PackError> {
    toml::from_str(text).map_err(|e| match e.span() {
        Some(span) => PackError::at(file, text, span.start, e.message()),
        None => PackError::whole(file, e.message()),
    })
}

fn date(head_text: &str, value: &str) -> Result<Timestamp, PackError> {
    value.parse().map_err(|e| PackError::about(HEAD_FILE, head_text, value, format!("`{value}`: {e}")))
}
