//! The pack as files: typos are named with their place, texts are complete, versions follow the event's date.

use crate::common::*;
use std::collections::BTreeMap;
use suimon_policy::*;

fn files_with(file: &str, from: &str, to: &str) -> BTreeMap<String, String> {
    let mut files = builtin_jp_files();
    let text = files.get_mut(file).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    *text = text.replacen(from, to, 1);
    files
}

/// The line of the first occurrence, from 1.
fn line_of(file: &str, needle: &str) -> usize {
    let text = &builtin_jp_files()[file];
    text[..text.find(needle).unwrap()].matches('\n').count() + 1
}

#[test]
fn a_mistake_is_named_with_file_and_line() {
    // file, what stands there, the mistake, words of the message
    let mistakes = [
        ("pack.toml", "version =", "versoin =", "versoin"),
        ("pack.toml", "format = 1", "format = 2", "format 2"),
        ("pack.toml", "2021-11-24T00:00:00+09:00", "2021-11-31T00:00:00+09:00", "2021-11-31"),
        ("pack.toml", "title-en = \"Decision pack under Japanese law (first version)\"", "title-en = \"\"", "empty"),
        ("schema.cedarschema", "end_stated: Bool", "end_stated: Boool", "Boool"),
        ("schema.cedarschema", "proposer_named: Bool", "proposer_named Bool", "unexpected token"),
        ("schema.cedarschema", "line_not_opted_out: Bool", "line_not_opted_out: Long", "required Bool"),
        ("schema.cedarschema", "payload_read: Bool", "payload_read: Bool,\n    moon_full: Bool", "moon_full"),
        ("policies.cedar", "context.plant_impaired ", "context.plant_impared ", "plant_impared"),
        ("policies.cedar", "context.no_other_means &&", "context.no_other_means &", "invalid token"),
        ("policies.cedar", "  context.harm_balanced &&\n", "", "harm_balanced"),
        ("policies.cedar", "@case(\"JP-16\")\n", "", "@case"),
        ("policies.cedar", "@case(\"JP-16\")", "@case(\"JP-99\")", "JP-99"),
        ("policies.cedar", "@id(\"permit-own-plant\")", "@id(\"permit-request\")", "twice"),
        ("policies.cedar", "action == Suimon::Action::\"notify\"", "action == Suimon::Action::\"notice\"", "notice"),
        ("policies.cedar", "unless { context.proposer_named }", "when { context.proposer_named }", "disagree"),
        ("policies.cedar", "context.after_proposal && !", "!", "whatever `after_proposal`"),
        ("cases.toml", "basis = [\"legitimate-business\", ", "basis = [\"legitimate-busines\", ", "legitimate-busines"),
        ("cases.toml", "\"requester_identified\", ", "\"requester_identifed\", ", "requester_identifed"),
        ("cases.toml", "\"watch-the-impairment\"]", "\"watch-the-impairmnt\"]", "watch-the-impairmnt"),
        ("cases.toml", "text-ja = \"終了条件が決まっていること\"", "text-ja = \"\"", "lacks a text"),
        ("cases.toml", "acts = [\"notify\"]", "acts = [\"notify\", \"suspend\"]", "suspend"),
        (
            "cases.toml",
            "level = \"guideline\", confirmed = false",
            "level = \"guideline\", confirmed = true",
            "citation",
        ),
        ("cases.toml", "id = \"JP-23\"", "id = \"JP-18\"", "twice"),
    ];
    let mut wrong = Vec::new();
    for (file, from, to, words) in mistakes {
        let error = Pack::load(&files_with(file, from, to)).expect_err(to);
        let text = error.to_string();
        if !text.contains(words) || !text.starts_with(&error.file) || error.line.is_none() {
            wrong.push(format!("{to}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let error =
        Pack::load(&files_with("policies.cedar", "context.plant_impaired ", "context.plant_impared ")).unwrap_err();
    assert_eq!(
        (error.file.as_str(), error.line),
        ("policies.cedar", Some(line_of("policies.cedar", "context.plant_impaired ")))
    );
    let error = Pack::load(&files_with("pack.toml", "version =", "versoin =")).unwrap_err();
    assert_eq!((error.line, error.column), (Some(line_of("pack.toml", "version =")), Some(1)));
}

/// Leaving out any one condition of any permit is noticed when the pack is loaded. Not so the end: it makes no
/// difference there, since without one the prohibition JP-F01 denies whatever a permit says.
#[test]
fn a_permit_without_one_of_its_conditions_is_refused() {
    let files = builtin_jp_files();
    let lines: Vec<&str> = files["policies.cedar"].lines().collect();
    let mut tried = 0;
    for (index, line) in lines.iter().enumerate() {
        if !line.starts_with("  context.") || line.contains("end_stated") {
            continue;
        }
        let mut kept: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        kept[index] = if line.ends_with("&&") { "  true &&".to_owned() } else { "  true".to_owned() };
        let mut files = files.clone();
        files.insert("policies.cedar".to_owned(), kept.join("\n"));
        let Err(error) = Pack::load(&files).map_err(|e| e.to_string()) else { panic!("loads without {line}") };
        let name = line.trim().trim_start_matches("context.").trim_end_matches(" &&");
        assert!(error.contains(name), "{line}: {error}");
        tried += 1;
    }
    assert!(tried > 35, "only {tried} conditions");
}

#[test]
fn missing_and_unknown_files_are_named() {
    for name in Pack::file_names() {
        let mut files = builtin_jp_files();
        files.remove(name);
        assert_eq!(Pack::load(&files).unwrap_err().to_string(), format!("{name}: the file is missing"));
    }
    let mut files = builtin_jp_files();
    files.insert("policy.cedar".to_owned(), String::new());
    assert!(Pack::load(&files).unwrap_err().to_string().starts_with("policy.cedar: not a file of a pack"));
}

fn is_japanese(text: &str) -> bool {
    text.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c) || ('\u{4e00}'..='\u{9fff}').contains(&c))
}

/// Every `…ja` has its `…en` beside it; the one is Japanese and the other is not without Latin letters.
fn parity(value: &toml::Value, place: &str, count: &mut usize) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let place = format!("{place}.{key}");
                if let (Some(stem), Some(text)) = (key.strip_suffix("ja"), value.as_str()) {
                    let english = table.get(&format!("{stem}en")).and_then(|v| v.as_str());
                    assert!(is_japanese(text), "{place} is not Japanese: {text}");
                    assert!(english.is_some_and(|e| e.contains(|c: char| c.is_ascii_alphabetic())), "{place}");
                    *count += 1;
                } else if let Some(stem) = key.strip_suffix("en").filter(|_| value.is_str()) {
                    assert!(table.contains_key(&format!("{stem}ja")), "{place} has no Japanese beside it");
                }
                parity(value, &place, count);
            }
        }
        toml::Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                parity(value, &format!("{place}[{index}]"), count);
            }
        }
        _ => {}
    }
}

#[test]
fn every_text_is_there_in_both_languages() {
    let mut count = 0;
    for file in ["pack.toml", "cases.toml"] {
        let value: toml::Value = toml::from_str(&builtin_jp_files()[file]).unwrap();
        parity(&value, file, &mut count);
    }
    assert!(count > 150, "only {count} texts");
    for basis in Basis::ALL {
        assert!(is_japanese(basis.name_ja()) && !is_japanese(basis.name_en()));
        assert_eq!(Basis::try_from(basis.name().to_owned()), Ok(basis));
    }
    for act in Act::ALL {
        assert!(is_japanese(act.name_ja()) && !is_japanese(act.name_en()));
        assert_eq!(serde_json::to_value(act).unwrap(), act.name());
    }
}

#[test]
fn what_is_not_confirmed_is_shown_as_such() {
    let engine = Engine::builtin().unwrap();
    for (case, act) in [("JP-01", Act::Acl), ("JP-03b", Act::Acl), ("JP-18", Act::DnsFilter)] {
        let decision = allowed(&engine, &meets(case, act));
        let citations = &decision.grounds()[0].citations;
        assert!(citations.iter().any(|c| c.ja == "ガイドライン：弁護士等の確認を要します"), "{case}");
        assert!(citations.iter().any(|c| c.en == "guideline: to be confirmed by counsel"), "{case}");
        assert!(citations.iter().all(|c| !c.ja.starts_with("ガイドライン") || c.ja.ends_with("確認を要します")));
    }
    for (name, text) in builtin_jp_files() {
        for mark in ["[K-", "[S:", "[V-", "IIJ", "JANOG"] {
            assert!(!text.contains(mark), "{name} shows a provenance mark {mark}");
        }
    }
}

#[test]
fn the_event_date_picks_the_version() {
    let mut later = files_with("pack.toml", "2021-11-24T00:00:00+09:00", "2026-04-01T00:00:00+09:00");
    let head = later.get_mut("pack.toml").unwrap();
    *head = head.replace("version = \"1.0.0\"", "version = \"2.0.0\"");
    head.push_str("effective-until = \"2027-04-01T00:00:00+09:00\"\n");
    let later = Pack::load(&later).unwrap();
    let packs = Packs::new(vec![later, Pack::builtin_jp().unwrap()]).unwrap();
    let version = |at: &str| packs.in_force(at.parse().unwrap()).map(|p| p.reference().version);
    assert_eq!(version("2021-11-23T14:59:59.999Z"), None, "before the first");
    assert_eq!(version("2021-11-23T15:00:00Z").as_deref(), Some("1.0.0"));
    assert_eq!(version("2026-03-31T14:59:59.999Z").as_deref(), Some("1.0.0"));
    assert_eq!(version("2026-03-31T15:00:00Z").as_deref(), Some("2.0.0"));
    assert_eq!(version("2027-03-31T15:00:00Z"), None, "the last has ended; an older one does not come back");
    let engine = Engine::new(packs);
    let mut q = meets("JP-01", Act::Acl);
    assert_eq!(allowed(&engine, &q).pack().version, "2.0.0");
    q.at = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(allowed(&engine, &q).pack().version, "1.0.0");
    q.at = "2020-01-01T00:00:00Z".parse().unwrap();
    let denial = denied(&engine, &q);
    assert_eq!((denial.pack, denial.route), (None, Route::Counsel));
}

#[test]
fn packs_need_one_jurisdiction_and_distinct_versions() {
    assert!(Packs::new(Vec::new()).is_err());
    let twice = vec![Pack::builtin_jp().unwrap(), Pack::builtin_jp().unwrap()];
    assert!(Packs::new(twice).unwrap_err().to_string().contains("share a version"));
    let other = Pack::load(&files_with("pack.toml", "id = \"jp\"", "id = \"xx\"")).unwrap();
    let mixed = Packs::new(vec![Pack::builtin_jp().unwrap(), other]).unwrap_err();
    assert!(mixed.to_string().contains("several jurisdictions"));
}

#[test]
fn an_older_schema_with_fewer_findings_still_loads() {
    let mut files = builtin_jp_files();
    let drop_from = |text: &mut String, start: &str, end: &str| {
        let from = text.find(start).unwrap();
        let to = from + text[from..].find(end).unwrap() + end.len();
        text.replace_range(from..to, "");
    };
    drop_from(files.get_mut("schema.cedarschema").unwrap(), "    rung_skipped_unreasoned: Bool,", "\n");
    drop_from(files.get_mut("policies.cedar").unwrap(), "@id(\"forbid-rung-skipped\")", "};\n");
    let cases = files.get_mut("cases.toml").unwrap();
    drop_from(cases, "[[prohibitions]]\nid = \"JP-F06\"", "\n\n");
    Pack::load(&files).unwrap();
}

#[test]
fn the_document_shows_the_pack_as_it_is() {
    let path = suimon_testkit::workspace_root().join("docs/explanation/lawful-basis.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let pack = Pack::builtin_jp().unwrap();
    let mut wanted = text.clone();
    for (name, language) in [("table-ja", Language::Japanese), ("table-en", Language::English)] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let from = wanted.find(&begin).expect("the begin mark") + begin.len();
        let to = from + wanted[from..].find(&end).expect("the end mark");
        wanted.replace_range(from..to, &pack.to_markdown(language));
    }
    suimon_testkit::golden(&path, &wanted);
}
