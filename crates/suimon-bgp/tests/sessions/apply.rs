//! Orders with decisions of the real policy engine.

use crate::raw::Raw;
use crate::setup::{hand, peer, wait};
use suimon_base::MeasureId;
use suimon_bgp::hand::{BgpHand, Hand as _, HandReport, Order};
use suimon_filter::dialect::{self, Dialect};
use suimon_policy::{
    Act, Authority, Callback, Channel, Decision, Engine, Facts, Question, RequestFacts, Stage, Verdict,
};

fn decision(act: Act) -> Decision {
    let request = RequestFacts {
        requester: "network contact of the customer".into(),
        identified: true,
        authority: Authority::Order,
        authority_covers_target: true,
        channel: Channel::Telephone,
        callback: Callback::Confirmed,
        words: "調査して遮断してほしい".into(),
        covers: Act::INVESTIGATE_AND_BLOCK.to_vec(),
        withdrawn: false,
    };
    let question = Question {
        at: "2026-05-01T00:00:00Z".parse().unwrap(),
        act,
        stage: Stage::Approve,
        proposer: "operator-1".into(),
        approver: Some("operator-2".into()),
        facts: Facts { end_stated: true, scope_within_holdings: true, request: Some(request), ..Facts::default() },
    };
    let verdict = Engine::builtin().unwrap().decide(&question);
    let Verdict::Allowed(decision) = verdict else { panic!("{verdict:?}") };
    decision
}

fn order(id: u64, dialect: Dialect, text: &str) -> Order {
    let rules = dialect::parse(text, dialect).unwrap().rules;
    Order { id: MeasureId(id), rules, text: text.to_owned(), undo: String::new() }
}

const RULE: &str = "match destination 198.51.100.8/32 protocol =17 source-port =123 then discard\n";
const RATE: &str = "match destination 198.51.100.9/32 protocol =17 then rate-bytes 125000\n";
const HOLE: &str = "route 198.51.100.7/32 community 65535:666\n";

fn raw_and_hand() -> (Raw, BgpHand) {
    let raw = Raw::listen(64514);
    let hand = hand(&(peer("upstream", "127.0.0.1", raw.port, 64514) + "edge = false\n"));
    (raw, hand)
}

#[test]
fn an_order_is_announced_as_what_was_decided() {
    let (raw, hand) = raw_and_hand();
    for (id, act, dialect, text) in [
        (1, Act::Flowspec, Dialect::Flowspec, RULE),
        (2, Act::Police, Dialect::Flowspec, RATE),
        (3, Act::Rtbh, Dialect::Rtbh, HOLE),
    ] {
        let report = hand.apply(&order(id, dialect, text), &decision(act)).unwrap();
        assert!(matches!(report, HandReport::Done { .. }));
        wait("the route", || raw.keys().len() == id as usize);
    }
    assert_eq!(hand.in_force().unwrap().unwrap().len(), 3);
    // After a crash the engine applies again.
    hand.apply(&order(1, Dialect::Flowspec, RULE), &decision(Act::Flowspec)).unwrap();
    assert_eq!(raw.keys().len(), 3);
    for id in 1..=3 {
        hand.release(MeasureId(id)).unwrap();
    }
    wait("nothing", || raw.keys().is_empty());
}

#[test]
fn an_order_is_not_announced_as_something_else() {
    let (raw, hand) = raw_and_hand();
    let refused = |act: Act, dialect: Dialect, text: &str, word: &str| {
        let error = hand.apply(&order(1, dialect, text), &decision(act)).unwrap_err();
        assert!(error.0.contains(word), "{act:?}: {error}");
    };
    refused(Act::Acl, Dialect::Flowspec, RULE, "nothing that BGP carries");
    refused(Act::Police, Dialect::Flowspec, RULE, "drops everything");
    refused(Act::Rtbh, Dialect::Flowspec, RULE, "cannot be announced");
    // A text that people approved and rules that differ from it.
    let mut sly = order(1, Dialect::Flowspec, RULE);
    sly.text = "match destination 198.51.100.0/24 protocol =17 then discard\n".into();
    let error = hand.apply(&sly, &decision(Act::Flowspec)).unwrap_err();
    assert!(error.0.contains("does not drop exactly"), "{error}");
    let error = hand.apply(&order(1, Dialect::Rtbh, "route 0.0.0.0/0 community 65535:666\n"), &decision(Act::Rtbh));
    assert!(error.unwrap_err().0.contains("guard rails refuse"));
    assert_eq!(raw.state().updates, 0);
}
