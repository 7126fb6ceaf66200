//! The OpenAPI document, and real answers held against its schemas.

use crate::bench::{draft, house};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use suimon_base::event::Effect;

fn schemas() -> Value {
    suimon_console::openapi_document()["components"]["schemas"].clone()
}

#[test]
fn the_document_is_the_committed_one() {
    let path = suimon_testkit::workspace_root().join("docs/reference/openapi.json");
    suimon_testkit::golden(&path, &format!("{:#}\n", suimon_console::openapi_document()));
}

#[test]
fn every_schema_is_there_and_used_and_every_operation_has_its_own_name() {
    let document = suimon_console::openapi_document();
    let mut used = BTreeSet::new();
    let mut stack = vec![&document];
    while let Some(v) = stack.pop() {
        match v {
            Value::Object(map) => {
                used.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                stack.extend(map.values());
            }
            Value::Array(list) => stack.extend(list),
            _ => {}
        }
    }
    let there: BTreeSet<String> =
        schemas().as_object().unwrap().keys().map(|k| format!("#/components/schemas/{k}")).collect();
    assert_eq!(used, there);
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
        }
    }
    assert!(ids.len() > 25);
}

/// Holds a value against a named schema. `allOf`-free schemas, so that `additionalProperties: false` bites.
fn check(name: &str, value: &Value) {
    let schema = json!({ "$ref": format!("#/components/schemas/{name}"), "components": { "schemas": schemas() } });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{name}:\n{}\n{value:#}", errors.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_documented() {
    let house = house().await;
    let (operator, approver) = (house.api("operator"), house.api("approver"));
    house.handle().start_collection().await.unwrap();
    house.attacked().await;
    let proposal = json!({ "case": "C-1", "end": "next-business-day", "claims": { "loss-accepted": true } });
    check("Proposal", &proposal);
    check("Error", &operator.post("/api/v1/measures", proposal.clone()).await.json());
    check("RequestDraft", &draft());
    check("Outcome", &operator.post("/api/v1/cases/C-1/requests", draft()).await.json());
    let called = json!({ "confirmed": true, "note": "" });
    check("Callback", &called);
    check("Outcome", &operator.post("/api/v1/requests/R-1/callback", called).await.json());
    check("Outcome", &operator.post("/api/v1/measures", proposal).await.json());
    check("Outcome", &approver.post("/api/v1/measures/M-3/approve", json!({})).await.json());
    let applied = json!({ "place": "router-1", "note": "" });
    check("AppliedAt", &applied);
    check("Outcome", &operator.post("/api/v1/measures/M-3/applied", applied).await.json());
    house.effect("M-3", Effect::default()).await;
    check("Outcome", &operator.post("/api/v1/cases/C-1/notes", json!({ "text": "n" })).await.json());
    check("Now", &operator.get("/api/v1/now").await.json());
    check("Attacks", &operator.get("/api/v1/attacks").await.json());
    check("KnownAttack", &operator.get("/api/v1/attacks/A-1").await.json());
    check("Cases", &operator.get("/api/v1/cases").await.json());
    check("CaseWhole", &operator.get("/api/v1/cases/C-1").await.json());
    check("Measures", &operator.get("/api/v1/measures?limit=5").await.json());
    check("MeasureWhole", &operator.get("/api/v1/measures/M-2").await.json());
    check("MeasureWhole", &operator.get("/api/v1/measures/M-3").await.json());
    let still = json!({ "there": true, "how": "called" });
    let renew = json!({ "step": "renew", "end": "by-hand:3d", "requester": still, "owner": still, "words": "w" });
    let told = json!({ "step": "told", "when": "after", "contact": "noc", "words": "w" });
    let again = json!({ "step": "reapply", "end": null, "reason": "w" });
    for (who, ask) in [
        (&operator, renew.clone()),
        (&operator, json!({ "step": "refuse-renewal", "reason": "w" })),
        (&operator, renew),
        (&approver, json!({ "step": "approve-renewal" })),
        (&operator, told),
    ] {
        check("EndingAsk", &ask);
        check("Outcome", &who.post("/api/v1/measures/M-3/ending", ask).await.json());
        check("MeasureWhole", &operator.get("/api/v1/measures/M-3").await.json());
    }
    house.clock.advance_ms(4 * 86_400_000);
    let operator = house.api("operator");
    let stale = operator.get("/api/v1/measures/stale").await.json();
    assert_eq!(stale[0]["why"][0]["why"], "review-passed", "{stale:#}");
    check("StaleMeasures", &stale);
    check("Outcome", &operator.post("/api/v1/measures/M-3/release", json!({ "words": "w" })).await.json());
    check("Outcome", &operator.post("/api/v1/measures/M-3/released", json!({ "checked": "c" })).await.json());
    let access = json!({ "step": "access", "ok": true, "by": "noc", "words": "w" });
    for ask in [access, again] {
        check("EndingAsk", &ask);
        check("Outcome", &operator.post("/api/v1/measures/M-3/ending", ask).await.json());
    }
    check(
        "Error",
        &operator.post("/api/v1/measures/M-3/ending", json!({ "step": "task-done", "by": "x" })).await.json(),
    );
    check("MeasureWhole", &operator.get("/api/v1/measures/M-3").await.json());
    check("LedgerHead", &operator.get("/api/v1/ledger/head").await.json());
    check("Events", &operator.get("/api/v1/events?limit=1000").await.json());
    check("Error", &operator.get("/api/v1/cases/C-9").await.json());
    check("Verification", &operator.get("/api/v1/verification").await.json());
    check("Orphans", &operator.get("/api/v1/orphans").await.json());
    check("Sessions", &operator.get("/api/v1/sessions").await.json());
    check("Why", &operator.get("/api/v1/why?src=198.51.100.1&dst=192.0.2.10&proto=udp&port=53").await.json());
    check(
        "Why",
        &operator.get("/api/v1/why?src=198.51.100.1&dst=192.0.2.10&proto=17&at=2026-01-01+09:00").await.json(),
    );
    check("Error", &operator.get("/api/v1/why?src=everybody&dst=192.0.2.10&proto=udp").await.json());
    check("ResolveOrphan", &json!({ "step": "leave", "reason": "known" }));
    check(
        "Error",
        &operator.post("/api/v1/orphans/O-1/resolve", json!({ "step": "leave", "reason": "known" })).await.json(),
    );
    let proposal = json!({ "case": "C-1", "end": "1h" });
    check("Tried", &operator.post("/api/v1/measures/dry-run", proposal).await.json());
    assert_eq!(operator.get("/api/v1/openapi.json").await.json(), suimon_console::openapi_document());
    assert_eq!(operator.get("/metrics").await.text, "suimon_up 1\n");
}

#[test]
fn a_schema_can_fail() {
    let schema = json!({ "$ref": "#/components/schemas/Outcome", "components": { "schemas": schemas() } });
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(!validator.is_valid(&json!({ "seq": "1" })));
    assert!(!validator.is_valid(&json!({ "seq": 1, "more": 1 })));
}
