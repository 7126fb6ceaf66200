//! The same life by the pages: forms, redirects, what is shown and how it is escaped.

use crate::bench::{WORDS, ask, house, request};
use axum::body::Body;
use suimon_base::event::Effect;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_measure_by_the_pages() {
    let house = house().await;
    house.attacked().await;
    let (operator, approver) = (house.browser("operator").await, house.browser("approver").await);
    let start = operator.get("/").await.text;
    assert!(start.contains("いまネットワークに入っている措置はありません") && start.contains("192.0.2.10/32"));
    assert!(start.contains("訓練 / EXERCISE") && start.contains("http-equiv=\"refresh\""));
    assert!(!operator.get("/?live=0").await.text.contains("http-equiv=\"refresh\""));

    let proposal = [("end", "quiet:15m"), ("reason", "DNS <b>reflection</b>"), ("end-other", "")];
    let denied = operator.post("/cases/C-1/measures", &proposal).await;
    assert_eq!((denied.status.as_u16(), denied.location()), (303, "/measures/M-1"), "{}", denied.text);
    let page = operator.get("/measures/M-1").await.text;
    assert!(page.contains("不可") && page.contains("足りないもの"), "{page}");

    let case = operator.get("/cases/C-1").await.text;
    assert!(case.contains("攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい</textarea>"));
    let taken = [
        ("words", WORDS),
        ("company", "Example Shop"),
        ("contact", "noc"),
        ("service", "line-1"),
        ("channel", "telephone"),
        ("scope", "192.0.2.10, 192.0.2.16/28"),
        ("asks-investigation", "yes"),
        ("asks-blocking", "yes"),
    ];
    assert_eq!(operator.post("/cases/C-1/requests", &taken).await.location(), "/cases/C-1");
    let page = operator.get("/cases/C-1").await.text;
    assert!(page.contains("192.0.2.10/32, 192.0.2.16/28") && page.contains("+81-3-0000-0000"));
    let called = [("case", "C-1"), ("confirmed", "yes"), ("note", "ok")];
    assert_eq!(operator.post("/requests/R-1/callback", &called).await.location(), "/cases/C-1");
    assert_eq!(operator.post("/cases/C-1/measures", &proposal).await.location(), "/measures/M-2");

    let own = operator.get("/measures/M-2").await.text;
    assert!(own.contains("承認には別の人が必要です") && !own.contains("action=\"/measures/M-2/approve\""));
    let forced = operator.post("/measures/M-2/approve", &[]).await;
    assert_eq!(forced.status, 403, "the page hides the button, and the policy engine refuses all the same");
    let page = approver.get("/measures/M-2").await.text;
    assert!(page.contains("action=\"/measures/M-2/approve\"") && page.contains("deny udp any host 192.0.2.10"));
    assert!(page.contains("完全に一致") && page.contains("value=\"1\""), "proof and the other way");
    assert_eq!(approver.post("/measures/M-2/approve", &[("choose", "")]).await.location(), "/measures/M-2");
    assert_eq!(operator.post("/measures/M-2/applied", &[("place", "router-1")]).await.status, 303);
    let effect = Effect {
        attack_arriving_pps: 500_000.0,
        attack_passed_pps: 1_500.0,
        other_arriving_pps: 100.0,
        other_passed_pps: 100.0,
        observes_drops: true,
        quiet_ms: Some(200_000),
    };
    house.effect("M-2", effect).await;
    let start = approver.get("/?lang=en").await.text;
    for shown in ["1 in the network right now", "500.0 kpps", "0.3 %", "100.0 %", "3 min", "role:approver", "router-1"]
    {
        assert!(start.contains(shown), "{shown}: {start}");
    }
    assert!(approver.get("/release-all").await.text.contains("M-2"));
    assert_eq!(approver.post("/release-all", &[("words", "over")]).await.location(), "/");
    house.wait(|h| h.with_state(|s| s.in_force().any(|m| m.release.is_some()))).await;
    assert_eq!(operator.post("/measures/M-2/released", &[("checked", "show")]).await.status, 303);
    assert_eq!(operator.post("/cases/C-1/close", &[("host-check", "")]).await.location(), "/cases/C-1");
    assert!(operator.get("/cases/C-1/report").await.text.contains("M-2"));
    assert!(operator.get("/ledger").await.text.contains("measure-released"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_write_is_shown_and_never_run() {
    let house = house().await;
    house.attacked().await;
    let browser = house.browser("operator").await;
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(2)>' & done";
    assert_eq!(browser.post("/cases/C-1/notes", &[("text", evil)]).await.status, 303);
    let opened = browser.post("/cases", &[("customer", "shop"), ("title", evil)]).await;
    assert_eq!(opened.location(), "/cases/C-2");
    let taken = [("words", evil), ("company", evil), ("contact", "noc"), ("service", "line-1"), ("channel", "mail")];
    assert_eq!(browser.post("/cases/C-2/requests", &taken).await.status, 303);
    let proposal = [("end", "1h"), ("reason", evil)];
    assert_eq!(browser.post("/cases/C-2/measures", &proposal).await.location(), "/measures/M-1");
    let mut seen = 0;
    for path in ["/", "/cases", "/cases/C-1", "/cases/C-2", "/cases/C-2/report", "/measures/M-1", "/ledger"] {
        for lang in ["ja", "en"] {
            let page = browser.get(&format!("{path}?lang={lang}")).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(!page.text.contains("<script") && !page.text.contains("<img"), "{path}: {}", page.text);
            seen += usize::from(page.text.contains("&#60;script&#62;alert(1)"));
        }
    }
    assert_eq!(seen, 14, "the words are there, escaped");
    let bad = browser.post("/cases/C-1/measures", &[("end", "<script>")]).await;
    assert_eq!(bad.status, 400);
    assert!(!bad.text.contains("<script"), "{}", bad.text);
    let not_found = browser.get("/cases/%3Cscript%3E").await;
    assert!(not_found.status == 400 && !not_found.text.contains("<script"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_in_both_languages() {
    let house = house().await;
    house.attacked().await;
    let browser = house.browser("operator").await;
    for path in [
        "/",
        "/attacks",
        "/attacks/A-1",
        "/cases",
        "/cases/C-1",
        "/measures",
        "/release-all",
        "/verification",
        "/why",
        "/ledger",
    ] {
        let ja = browser.get(&format!("{path}?lang=ja")).await;
        let en = browser.get(&format!("{path}?lang=en")).await;
        assert!(ja.text.contains("<html lang=\"ja\">") && ja.text.contains("<h1"), "{path}");
        assert!(en.text.contains("<html lang=\"en\">") && en.text.contains("Sign out"), "{path}");
        assert_eq!(en.headers["set-cookie"], "suimon-lang=en; Path=/; Max-Age=31536000; SameSite=Strict");
        assert!(!ja.text.contains("<script") && !ja.text.contains(" style="), "{path}: nothing that the CSP forbids");
    }
    let chosen = request("GET", "/sign-in").header("cookie", "suimon-lang=en").header("accept-language", "ja");
    assert!(ask(&house.router, chosen.body(Body::empty()).unwrap()).await.text.contains("Sign in"));
    let asked = request("GET", "/sign-in").header("accept-language", "en-GB, ja;q=0.1");
    assert!(ask(&house.router, asked.body(Body::empty()).unwrap()).await.text.contains("Sign in"));
    let silent = ask(&house.router, request("GET", "/sign-in").body(Body::empty()).unwrap()).await;
    assert!(silent.text.contains("サインイン"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_by_the_pages() {
    let house = house().await;
    house.attacked().await;
    let (operator, approver) = (house.browser("operator").await, house.browser("approver").await);
    let taken = [
        ("words", WORDS),
        ("company", "Example Shop"),
        ("contact", "noc"),
        ("service", "line-1"),
        ("channel", "telephone"),
        ("asks-investigation", "yes"),
        ("asks-blocking", "yes"),
    ];
    operator.post("/cases/C-1/requests", &taken).await;
    operator.post("/requests/R-1/callback", &[("case", "C-1"), ("confirmed", "yes"), ("note", "ok")]).await;
    let proposal = [("end", "task:hardening"), ("reason", "until the server is patched"), ("end-other", "")];
    assert_eq!(operator.post("/cases/C-1/measures", &proposal).await.location(), "/measures/M-1");
    approver.post("/measures/M-1/approve", &[("choose", "")]).await;
    operator.post("/measures/M-1/applied", &[("place", "router-1")]).await;
    let page = operator.get("/measures/M-1").await.text;
    assert!(page.contains("対策が済んだことを記録する") && page.contains("延長を求める"), "{page}");

    // A renewal: asked with both answers, agreed to by somebody else.
    let unasked = [("step", "renew"), ("end", "task:move:30d"), ("requester-there", "yes"), ("owner-there", "yes")];
    assert_eq!(operator.post("/measures/M-1/ending", &unasked).await.status, 400);
    let asked = [
        ("step", "renew"),
        ("end", "task:move:30d"),
        ("requester-there", "yes"),
        ("requester-how", "called <noc>"),
        ("owner-there", "yes"),
        ("owner-how", "asked"),
        ("words", "they move next month"),
    ];
    assert_eq!(operator.post("/measures/M-1/ending", &asked).await.location(), "/measures/M-1");
    let own = operator.get("/measures/M-1").await.text;
    assert!(own.contains("延長が、別の人の承認を待っています") && !own.contains("value=\"approve-renewal\""), "{own}");
    assert!(own.contains("called &#60;noc&#62;"), "{own}");
    assert_eq!(operator.post("/measures/M-1/ending", &[("step", "approve-renewal")]).await.status, 403);
    assert!(approver.get("/measures/M-1").await.text.contains("value=\"approve-renewal\""));
    assert_eq!(approver.post("/measures/M-1/ending", &[("step", "approve-renewal")]).await.status, 303);
    assert!(operator.get("/measures/M-1?lang=en").await.text.contains("task:move:30d"));

    house.clock.advance_ms(8 * 86_400_000);
    let operator = house.browser("operator").await;
    let page = operator.get("/stale").await.text;
    assert!(page.contains("長く残っている措置") && page.contains("から延長されないまま残っています"), "{page}");
    assert!(operator.get("/stale?lang=en").await.text.contains("without a renewal"));

    let told = [("step", "told"), ("when", "before"), ("by", "noc"), ("words", "by telephone")];
    assert_eq!(operator.post("/measures/M-1/ending", &told).await.status, 303);
    let done = [("step", "task-done"), ("by", "shop noc"), ("words", "moved")];
    assert_eq!(operator.post("/measures/M-1/ending", &done).await.status, 303);
    house.wait(|h| h.with_state(|s| s.measures.values().any(|m| m.release.is_some()))).await;
    operator.post("/measures/M-1/released", &[("checked", "show access-lists")]).await;
    let page = operator.get("/measures/M-1?lang=en").await.text;
    for part in
        ["the counter-measure was done: shop noc: moved", "Told before", "Record the answer", "Propose it again"]
    {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let access = [("step", "access"), ("ok", "no"), ("by", "noc"), ("words", "one host is slow")];
    assert_eq!(operator.post("/measures/M-1/ending", &access).await.status, 303);
    assert!(
        operator.get("/measures/M-1?lang=en").await.text.contains("something cannot be reached: noc one host is slow")
    );
    assert_eq!(operator.post("/measures/M-1/ending", &[("step", "reapply"), ("end", "1h")]).await.status, 303);
    let page = operator.get("/measures/M-1").await.text;
    assert!(page.contains("href=\"/measures/M-2\""), "{page}");
    assert_eq!(operator.post("/measures/M-1/ending", &[("step", "dance")]).await.status, 400);
    let report = operator.get("/cases/C-1/report?lang=en").await.text;
    assert!(report.contains("checked by the customer: not fine") && report.contains("followed by: M-2"), "{report}");
}
