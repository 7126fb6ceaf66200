//! Who may reach what.

use crate::bench::{ask, house, post_form, request};
use axum::body::Body;
use std::path::Path;
use suimon_base::Actor;

/// Every line of the table as (method, path, who).
fn table() -> Vec<(String, String, String)> {
    let line = |l: &str| {
        let mut parts = l.split_whitespace();
        let (method, path) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
        (method, path, parts.collect::<Vec<_>>().join(" "))
    };
    suimon_console::access_matrix().lines().map(line).collect()
}

#[test]
fn the_matrix_is_the_committed_one() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/access.txt");
    suimon_testkit::golden(&golden, &suimon_console::access_matrix());
}

#[tokio::test]
async fn without_credentials_every_route_says_so_as_the_matrix_does() {
    let house = house().await;
    let mut counts = [0; 3];
    for (method, path, who) in table() {
        let path = path.replace("{id}", "C-1");
        for (name, value) in [("accept", "*/*"), ("cookie", "suimon-session=guess"), ("authorization", "Bearer guess")]
        {
            let got =
                ask(&house.router, request(&method, &path).header(name, value).body(Body::empty()).unwrap()).await;
            match who.as_str() {
                "anyone on loopback" => {
                    // Signing in without a token is refused, but not for want of a session.
                    assert!(got.status.is_success() || path == "/sign-in", "{method} {path}: {}", got.status);
                    counts[0] += 1;
                }
                "any signed-in actor" => {
                    assert_eq!(got.status, 401, "{method} {path} with {name}");
                    counts[1] += 1;
                }
                "operating-system user on the Unix socket" => {
                    assert_eq!(got.status, 401, "{method} {path} with {name}");
                    counts[2] += 1;
                }
                other => panic!("unknown rule {other}"),
            }
            assert_eq!(got.headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(got.headers["referrer-policy"], "no-referrer", "{path}");
            assert_eq!(got.headers["cache-control"], "no-store", "{path}");
            let csp = got.headers["content-security-policy"].to_str().unwrap();
            assert!(csp.starts_with("default-src 'none'; style-src 'self'") && csp.contains("frame-ancestors 'none'"));
        }
    }
    assert!(counts.iter().all(|n| *n > 0), "{counts:?}");
}

#[tokio::test]
async fn credentials_of_one_kind_do_not_open_the_other() {
    let house = house().await;
    let browser = house.browser("operator").await;
    assert_eq!(browser.get("/api/v1/now").await.status, 401, "a cookie is not for the API");
    let bearer = house.api("operator");
    assert_eq!(bearer.get("/").await.status, 401, "a bearer token is not for pages");
    assert_eq!(bearer.get("/api/v1/now").await.status, 200);
    let link = bearer.post("/api/v1/sign-in-link", serde_json::json!({})).await;
    assert_eq!(link.status, 403, "a bearer token is no operating-system user");
    assert_eq!(link.json()["error"]["kind"], "forbidden");
}

#[tokio::test]
async fn a_foreign_host_name_gets_nothing() {
    let house = house().await;
    let token = house.sign_in.api_token(Actor::role("operator"), house.now());
    for path in ["/", "/healthz", "/api/v1/now", "/nowhere"] {
        let foreign = axum::http::Request::builder()
            .uri(path)
            .header("host", "rebound.example.com:8080")
            .header("authorization", format!("Bearer {token}"));
        assert_eq!(ask(&house.router, foreign.body(Body::empty()).unwrap()).await.status, 421, "{path}");
    }
}

#[tokio::test]
async fn a_link_is_looked_at_many_times_and_used_once() {
    let house = house().await;
    let token = house.sign_in.link_token(Actor::role("operator"), house.now());
    let path = format!("/sign-in?token={token}");
    for _ in 0..3 {
        let got = ask(&house.router, request("GET", &path).body(Body::empty()).unwrap()).await;
        assert_eq!(got.status, 200);
        assert!(got.text.contains("role:operator") && got.headers.get("set-cookie").is_none());
    }
    assert_eq!(post_form(&house.router, "/sign-in", "", &[("token", &token)]).await.status, 303);
    assert_eq!(post_form(&house.router, "/sign-in", "", &[("token", &token)]).await.status, 401);
    let got = ask(&house.router, request("GET", &path).body(Body::empty()).unwrap()).await;
    assert_eq!(got.status, 401);

    let late = house.sign_in.link_token(Actor::role("operator"), house.now());
    house.clock.advance_ms(15 * 60_000);
    assert_eq!(post_form(&house.router, "/sign-in", "", &[("token", &late)]).await.status, 401);
}

#[tokio::test]
async fn a_session_ends_by_time_and_by_hand() {
    let house = house().await;
    let browser = house.browser("operator").await;
    assert_eq!(browser.get("/").await.status, 200);
    assert_eq!(browser.post("/sign-out", &[]).await.location(), "/sign-in");
    assert_eq!(browser.get("/").await.status, 401);
    let browser = house.browser("operator").await;
    house.clock.advance_ms(12 * 3_600_000);
    assert_eq!(browser.get("/").await.status, 401);
}

#[tokio::test]
async fn a_form_without_the_sessions_token_changes_nothing() {
    let house = house().await;
    house.attacked().await;
    let (mine, other) = (house.browser("operator").await, house.browser("approver").await);
    let stolen = other.form_token().await;
    let before = house.handle().with_state(|s| s.seq);
    for fields in
        [vec![("text", "x")], vec![("text", "x"), ("form-token", "")], vec![("text", "x"), ("form-token", &stolen)]]
    {
        let got = post_form(&house.router, "/cases/C-1/notes", &mine.cookie, &fields).await;
        assert_eq!(got.status, 403, "{fields:?}");
    }
    let own = mine.form_token().await;
    let body = format!("form-token={own}&text=x");
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://example.com")] {
        let request = request("POST", "/cases/C-1/notes")
            .header("cookie", &mine.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value);
        assert_eq!(ask(&house.router, request.body(Body::from(body.clone())).unwrap()).await.status, 403, "{name}");
    }
    assert_eq!(house.handle().with_state(|s| s.seq), before);
    assert_eq!(mine.post("/cases/C-1/notes", &[("text", "x")]).await.status, 303);
}
