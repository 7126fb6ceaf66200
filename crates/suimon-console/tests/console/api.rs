//! The whole life of a measure over the API.

use crate::bench::{WORDS, draft, house};
use serde_json::json;
use std::time::Duration;
use suimon_base::event::Effect;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_attack_to_the_report() {
    let house = house().await;
    let (operator, approver) = (house.api("operator"), house.api("approver"));
    house.attacked().await;
    let now = operator.get("/api/v1/now").await.json();
    assert_eq!(now["attacks"][0]["attack"]["target"], "192.0.2.10/32");
    assert_eq!(now["cases"][0]["phase"], "assess");
    assert_eq!(now["measures"], json!([]));
    assert_eq!(now["exercise"], true);

    // No request, no basis: refused, and it says what is missing.
    let proposal = json!({ "case": "C-1", "end": "quiet:15m", "reason": "DNS reflection" });
    let denied = operator.post("/api/v1/measures", proposal.clone()).await;
    assert_eq!(denied.status, 403, "{}", denied.text);
    let error = denied.json()["error"].clone();
    assert_eq!((&error["kind"], &error["measure"]), (&json!("denied"), &json!("M-1")));
    assert!(!error["denial"]["missing"].as_array().unwrap().is_empty(), "{error}");

    let asked = operator.post("/api/v1/cases/C-1/requests", draft()).await;
    assert_eq!((asked.status.as_u16(), &asked.json()["request"]), (201, &json!("R-1")), "{}", asked.text);
    let called = json!({ "confirmed": true, "note": "the same person" });
    assert_eq!(operator.post("/api/v1/requests/R-1/callback", called).await.status, 200);
    let proposed = operator.post("/api/v1/measures", proposal).await;
    assert_eq!((proposed.status.as_u16(), &proposed.json()["measures"]), (201, &json!(["M-2"])), "{}", proposed.text);

    let own = operator.post("/api/v1/measures/M-2/approve", json!({})).await;
    assert_eq!((own.status.as_u16(), &own.json()["error"]["kind"]), (403, &json!("denied")));
    assert_eq!(approver.post("/api/v1/measures/M-2/approve", json!({})).await.status, 200);
    let applied = json!({ "place": "router-1 Gi0/0 in", "note": "ok" });
    assert_eq!(operator.post("/api/v1/measures/M-2/applied", applied.clone()).await.status, 200);
    let again = operator.post("/api/v1/measures/M-2/applied", applied).await;
    assert_eq!((again.status.as_u16(), &again.json()["error"]["kind"]), (409, &json!("conflict")));

    let effect =
        Effect { attack_arriving_pps: 500_000.0, attack_passed_pps: 500.0, observes_drops: true, ..Effect::default() };
    house.effect("M-2", effect).await;
    let now = operator.get("/api/v1/now").await.json();
    assert_eq!(now["measures"][0]["status"], "applied");
    assert_eq!(now["measures"][0]["effect"]["attack-arriving-pps"], 500_000.0);
    assert_eq!(now["measures"][0]["approved"][0], json!({ "kind": "role", "name": "approver" }));
    assert_eq!(now["measures"][0]["end-text"], "quiet:15m");
    let early = operator.post("/api/v1/cases/C-1/close", json!({})).await;
    assert_eq!(early.status, 409, "nothing may stay in force in a closed case");

    assert_eq!(operator.post("/api/v1/measures/M-2/release", json!({ "words": "over" })).await.status, 200);
    house.wait(|h| h.with_state(|s| s.in_force().any(|m| m.release.is_some()))).await;
    let checked = json!({ "checked": "show access-lists" });
    assert_eq!(operator.post("/api/v1/measures/M-2/released", checked).await.status, 200);
    let closed = operator.post("/api/v1/cases/C-1/close", json!({ "host-check": "no trace" })).await;
    assert_eq!(closed.status, 200, "{}", closed.text);

    let case = operator.get("/api/v1/cases/C-1").await.json();
    assert_eq!(case["case"]["phase"], "closed");
    assert_eq!(case["requests"][0]["request"]["words"], WORDS);
    assert_eq!(case["measures"][1]["status"], "released");
    let report = operator.get("/api/v1/cases/C-1/report?lang=en").await;
    assert!(report.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(report.text.contains("M-2") && report.text.contains(WORDS), "{}", report.text);
    assert_ne!(operator.get("/api/v1/cases/C-1/report").await.text, report.text);

    let events = operator.get("/api/v1/events?after=0&limit=1000").await.json();
    let list = events["events"].as_array().unwrap();
    assert_eq!(list.len() as u64, events["head"].as_u64().unwrap());
    assert!(list.iter().all(|e| e["exercise"] == true));
    let head = operator.get("/api/v1/ledger/head").await.json();
    assert_eq!(head["seq"], events["head"]);
    assert_eq!(head["hash"].as_str().unwrap().len(), 64);
    let verified = suimon_ledger::verify(&house.dir).await;
    assert!(verified.is_ok_and(|v| v.broken.is_none() && v.events > 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_opens_a_case_and_everything_can_be_ended_at_once() {
    let house = house().await;
    let (operator, approver) = (house.api("operator"), house.api("approver"));
    let open = json!({ "customer": "shop", "title": "a call", "request": draft() });
    let opened = operator.post("/api/v1/cases", open).await;
    assert_eq!((opened.status.as_u16(), &opened.json()["case"]), (201, &json!("C-1")), "{}", opened.text);
    let called = json!({ "confirmed": true });
    assert_eq!(operator.post("/api/v1/requests/R-1/callback", called).await.status, 200);
    let proposal = json!({ "case": "C-1", "end": "12h", "filter-request": "192.0.2.10 UDP" });
    let proposed = operator.post("/api/v1/measures", proposal).await;
    assert_eq!(proposed.status, 201, "{}", proposed.text);
    let wider = json!({ "choose": 1, "claims": { "wider-because": "the list is full", "loss-accepted": true } });
    let approved = approver.post("/api/v1/measures/M-1/approve", wider).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
    let measure = operator.get("/api/v1/measures/M-1").await.json();
    assert_eq!(measure["measure"]["draft"]["plan"]["chosen"], 1);
    let released = operator.post("/api/v1/measures/release-all", json!({ "words": "a mistake" })).await;
    assert_eq!(released.json()["measures"], json!(["M-1"]));
    assert_eq!(operator.get("/api/v1/now").await.json()["measures"][0]["status"], "releasing");
}

#[tokio::test]
async fn bad_input_is_told_where_it_is_bad() {
    let house = house().await;
    let api = house.api("operator");
    let error =
        |got: crate::bench::Got| (got.status.as_u16(), got.json()["error"]["message"].as_str().unwrap().to_owned());
    let (status, message) = error(api.post("/api/v1/cases", json!({ "customer": "shop" })).await);
    assert!(status == 400 && message.contains("title") && message.contains("line 1"), "{message}");
    let (status, message) = error(api.post("/api/v1/cases", json!({ "customer": "shop", "title": "", "x": 1 })).await);
    assert!(status == 400 && message.contains("`x`"), "{message}");
    let (status, message) = error(api.get("/api/v1/cases/M-1").await);
    assert!(status == 400 && message.contains("C-1"), "{message}");
    assert_eq!(api.get("/api/v1/cases/C-9").await.json()["error"]["kind"], "not-found");
    let (status, message) = error(api.get("/api/v1/events?after=x").await);
    assert!(status == 400 && message.starts_with("query"), "{message}");
    let unknown = api.post("/api/v1/cases", json!({ "customer": "nobody", "title": "t" })).await;
    assert_eq!(unknown.status, 404);
    let huge = api.post("/api/v1/cases", json!({ "customer": "shop", "title": "x".repeat(300 << 10) })).await;
    assert_eq!((huge.status.as_u16(), &huge.json()["error"]["kind"]), (413, &json!("too-large")));
    assert_eq!(api.get("/api/v1/nowhere").await.json()["error"]["kind"], "not-found");
    assert_eq!(api.get("/api/v1/measures/release-all").await.status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_waited_for() {
    let house = house().await;
    let api = house.api("operator");
    let head = api.get("/api/v1/ledger/head").await.json()["seq"].as_u64().unwrap();
    let waiting = format!("/api/v1/events?after={head}&wait_ms=20000");
    let (got, ()) = tokio::join!(api.get(&waiting), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        house.attacked().await;
    });
    assert_eq!(got.json()["events"][0]["event"]["event"], "attack-seen");
    let head = api.get("/api/v1/ledger/head").await.json()["seq"].as_u64().unwrap();
    let got = api.get(&format!("/api/v1/events?after={head}&wait_ms=50")).await.json();
    assert_eq!(got, json!({ "events": [], "head": head }));
}
