//! Whole verdicts as JSON: what the ledger, the API and the pages get.

use crate::common::*;
use suimon_policy::*;

fn check(name: &str, q: &Question) {
    let verdict = Engine::builtin().unwrap().decide(q);
    let text = serde_json::to_string_pretty(&verdict).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    suimon_testkit::golden(&path, &text);
}

#[test]
fn verdicts() {
    check("allowed-request", &meets("JP-01", Act::Acl));
    check("allowed-own-plant", &meets("JP-02", Act::Rtbh));
    check("allowed-self-defence", &meets("JP-03a", Act::Flowspec));
    check("allowed-necessity", &meets("JP-03b", Act::Flowspec));
    check("allowed-terms-dns", &meets("JP-18", Act::DnsFilter));
    check("allowed-standing-collection", &meets("JP-23", Act::CollectFlows));
    let mut two = meets("JP-01", Act::Acl);
    two.facts.plant = Some(plant());
    check("allowed-two-grounds", &two);
    check("denied-nothing-known", &question(Act::Acl));
    check("denied-no-pattern", &question(Act::Suspend));
    let mut no_callback = meets("JP-01", Act::Acl);
    take_away(&mut no_callback, "request_called_back");
    check("denied-no-call-back", &no_callback);
    let mut same = meets("JP-01", Act::Acl);
    same.approver = Some(same.proposer.clone());
    check("denied-same-approver", &same);
    let mut public = meets("JP-02", Act::Acl);
    public.facts.public_body = Some(PublicBodyFacts { name: "a public body".to_owned(), wants_content_blocked: true });
    check("denied-public-body", &public);
}

#[test]
fn a_question_reads_back_and_an_unknown_fact_is_named() {
    let q = meets("JP-01", Act::Acl);
    let text = serde_json::to_string(&q).unwrap();
    assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), q);
    let typo = text.replace("\"identified\"", "\"identifed\"");
    let error = serde_json::from_str::<Question>(&typo).unwrap_err().to_string();
    assert!(error.contains("identifed"), "{error}");
}
