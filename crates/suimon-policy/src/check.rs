//! Checks of a pack that go across its files: every text is there, every name is known, and policies and case table
//! say the same.

use crate::act::Act;
use crate::cedar::POLICIES_FILE;
use crate::error::PackError;
use crate::findings;
use crate::pack::{CASES_FILE, HEAD_FILE, Pack};
use crate::table::{Citation, Head};
use std::collections::{BTreeMap, BTreeSet};

/// The head's texts are there.
pub(crate) fn head(head: &Head, text: &str) -> Result<(), PackError> {
    let fields = [
        ("id", &head.id),
        ("version", &head.version),
        ("title-ja", &head.title_ja),
        ("title-en", &head.title_en),
        ("provenance-ja", &head.provenance_ja),
        ("provenance-en", &head.provenance_en),
    ];
    match fields.iter().find(|(_, value)| value.trim().is_empty()) {
        Some((name, _)) => {
            let offset = text.find(&format!("\n{name}")).map_or(0, |at| at + 1);
            Err(PackError::at(HEAD_FILE, text, offset, format!("`{name}` is empty")))
        }
        None => Ok(()),
    }
}

/// The case table by itself: ids are unique, texts are there, names are declared.
pub(crate) fn table(pack: &Pack, text: &str) -> Result<(), PackError> {
    let table = &pack.table;
    let bad = |id: &str, message: String| PackError::about(CASES_FILE, text, id, message);
    let mut ids = BTreeSet::new();
    let rows = table.cases.iter().map(|c| &c.id).chain(table.prohibitions.iter().map(|p| &p.id));
    let rows = rows.chain(table.conditions.iter().map(|c| &c.id)).chain(table.obligations.iter().map(|o| &o.id));
    for id in rows {
        if id.trim().is_empty() || !ids.insert(id) {
            return Err(bad(id, format!("id `{id}` is empty or used twice")));
        }
    }
    for (id, texts) in texts_by_id(pack) {
        if texts.iter().any(|t| t.trim().is_empty()) {
            return Err(bad(&id, format!("`{id}` lacks a text in Japanese or English")));
        }
    }
    for case in &table.cases {
        let empty = [
            ("basis", case.basis.is_empty()),
            ("acts", case.acts.is_empty()),
            ("conditions", case.conditions.is_empty()),
            ("lapses", case.lapses.is_empty()),
            ("evidence", case.evidence.is_empty()),
            ("citations", case.citations.is_empty()),
        ];
        if let Some((name, _)) = empty.iter().find(|(_, empty)| *empty) {
            return Err(bad(&case.id, format!("case `{}` has no {name}", case.id)));
        }
        for condition in &case.conditions {
            if !table.conditions.iter().any(|c| c.id == *condition) {
                return Err(bad(condition, format!("condition `{condition}` of case `{}` has no text", case.id)));
            }
        }
        for obligation in &case.obligations {
            if !table.obligations.iter().any(|o| o.id == *obligation) {
                return Err(bad(obligation, format!("obligation `{obligation}` of case `{}` is unknown", case.id)));
            }
        }
    }
    let named = table.prohibitions.iter().flat_map(|p| p.holds.iter().chain(&p.fails));
    for name in named.chain(table.conditions.iter().map(|c| &c.id)) {
        if !pack.rules.declared.contains(name) {
            return Err(bad(name, format!("`{name}` is not a finding of the schema")));
        }
    }
    if let Some(p) = table.prohibitions.iter().find(|p| p.holds.is_empty() && p.fails.is_empty()) {
        return Err(bad(&p.id, format!("prohibition `{}` has no condition", p.id)));
    }
    citations(pack, text)
}

/// A confirmed citation has its text in both languages; an unconfirmed one has none that could be shown.
fn citations(pack: &Pack, text: &str) -> Result<(), PackError> {
    let wrong = |c: &Citation| {
        let present = [&c.text_ja, &c.text_en].map(|t| !t.trim().is_empty());
        present != [c.confirmed; 2]
    };
    let cases = pack.table.cases.iter().map(|c| (&c.id, &c.citations));
    let prohibitions = pack.table.prohibitions.iter().map(|p| (&p.id, &p.citations));
    match cases.chain(prohibitions).find(|(_, list)| list.iter().any(wrong)) {
        Some((id, _)) => Err(PackError::about(
            CASES_FILE,
            text,
            id,
            format!("`{id}`: a confirmed citation needs its text in both languages, an unconfirmed one must have none"),
        )),
        None => Ok(()),
    }
}

/// Every text of the table that a user may see, by the id it belongs to.
pub(crate) fn texts_by_id(pack: &Pack) -> Vec<(String, Vec<&str>)> {
    let t = &pack.table;
    let mut out: Vec<(String, Vec<&str>)> = vec![
        ("ask-customer".to_owned(), vec![&t.offers.ask_customer.ja, &t.offers.ask_customer.en]),
        ("counsel".to_owned(), vec![&t.offers.counsel.ja, &t.offers.counsel.en]),
    ];
    for c in &t.cases {
        let evidence = c.evidence.iter().flat_map(|e| [e.ja.as_str(), e.en.as_str()]);
        let titles = [c.title_ja.as_str(), c.title_en.as_str()];
        out.push((c.id.clone(), titles.into_iter().chain(evidence).collect()));
    }
    for p in &t.prohibitions {
        out.push((p.id.clone(), vec![&p.title_ja, &p.title_en, &p.text_ja, &p.text_en, &p.how_ja, &p.how_en]));
    }
    for c in &t.conditions {
        out.push((c.id.clone(), vec![&c.text_ja, &c.text_en, &c.how_ja, &c.how_en]));
    }
    for o in &t.obligations {
        out.push((o.id.clone(), vec![&o.ja, &o.en]));
    }
    out
}

/// Every permit belongs to one case and every forbid to one prohibition, and the other way round.
pub(crate) fn links(pack: &Pack, cases_text: &str, policy_text: &str) -> Result<(), PackError> {
    let table = &pack.table;
    for policy in &pack.rules.index {
        let known = if policy.permits {
            table.cases.iter().any(|c| c.id == policy.case)
        } else {
            table.prohibitions.iter().any(|p| p.id == policy.case)
        };
        if !known {
            let kind = if policy.permits { "case" } else { "prohibition" };
            let message = format!("@case(\"{}\") of policy `{}` is no {kind} of {CASES_FILE}", policy.case, policy.id);
            return Err(PackError::about(POLICIES_FILE, policy_text, &policy.case, message));
        }
    }
    let rows = table.cases.iter().map(|c| (&c.id, true)).chain(table.prohibitions.iter().map(|p| (&p.id, false)));
    for (id, permits) in rows {
        let count = pack.rules.index.iter().filter(|p| p.case == *id && p.permits == permits).count();
        if count != 1 {
            let message = format!("`{id}` must have exactly one policy in {POLICIES_FILE}, and has {count}");
            return Err(PackError::about(CASES_FILE, cases_text, id, message));
        }
    }
    Ok(())
}

/// Policies and table agree: each case permits with all its conditions and nothing else, no longer when one of them is
/// taken away, and not for another act; each prohibition fires when the table says so, and not otherwise.
pub(crate) fn agreement(pack: &Pack, policy_text: &str) -> Result<(), PackError> {
    let mut quiet: BTreeMap<&str, bool> = findings::names().into_iter().map(|n| (n, false)).collect();
    for p in &pack.table.prohibitions {
        // One false `holds` suffices to keep it from firing; without any, its `fails` must be true.
        if p.holds.is_empty() {
            for name in &p.fails {
                quiet.insert(name, true);
            }
        }
    }
    // Forbids first: one that fires too often would otherwise be blamed on the permits.
    let (permits, forbids): (Vec<_>, Vec<_>) = pack.rules.index.iter().partition(|p| p.permits);
    for policy in forbids.into_iter().chain(permits) {
        let differ = |what: &str| {
            let message = format!("policy `{}` and `{}` of {CASES_FILE} disagree: {what}", policy.id, policy.case);
            PackError::about(POLICIES_FILE, policy_text, &policy.id, message)
        };
        let fires = |act: Act, findings: &BTreeMap<&str, bool>| -> Result<bool, PackError> {
            let answer = pack.rules.ask(act, "self-check", findings)?;
            Ok(answer.allowed == policy.permits && answer.policies.contains(&policy.id))
        };
        if let Some(case) = pack.table.cases.iter().find(|c| c.id == policy.case) {
            let mut all = quiet.clone();
            all.extend(case.conditions.iter().map(|n| (n.as_str(), true)));
            for act in Act::ALL {
                if fires(act, &all)? != case.acts.contains(&act) {
                    return Err(differ(&format!("whether `{act}` is permitted with all conditions met")));
                }
                for name in &case.conditions {
                    let mut without = all.clone();
                    without.insert(name, false);
                    if fires(act, &without)? {
                        return Err(differ(&format!("`{act}` is permitted without `{name}`")));
                    }
                }
            }
        }
        if let Some(row) = pack.table.prohibitions.iter().find(|p| p.id == policy.case) {
            let mut all = quiet.clone();
            all.extend(row.holds.iter().map(|n| (n.as_str(), true)));
            all.extend(row.fails.iter().map(|n| (n.as_str(), false)));
            for act in Act::ALL {
                if !fires(act, &all)? {
                    return Err(differ(&format!("`{act}` is not forbidden")));
                }
                for name in row.holds.iter().chain(&row.fails) {
                    let mut turned = all.clone();
                    turned.entry(name).and_modify(|v| *v = !*v);
                    if fires(act, &turned)? {
                        return Err(differ(&format!("`{act}` is forbidden whatever `{name}` is")));
                    }
                }
            }
        }
    }
    Ok(())
}
