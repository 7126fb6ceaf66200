//! An alert leaves the box: by webhook and mail, tried again, on record, and never twice.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use suimon_base::Event;
use suimon_ledger::Ledger;
use suimon_testkit::{free_tcp_port, program_or_skip, start_quietly};
use support::{SUIMON, Serve, config, expect, metric, metrics, until};
use traffic::Traffic;

/// Takes webhooks; the first `refused` of them are answered with 500.
fn receiver(refused: usize) -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    let bodies = got.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim().to_lowercase();
                if let Some(n) = line.strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let mut bodies = bodies.lock().unwrap();
            bodies.push(serde_json::from_slice(&body).unwrap());
            let status = if bodies.len() <= refused { "500 Internal Server Error" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, got)
}

fn with_collector(alerts: &str) -> String {
    config(&format!("[collect]\nlisten = [\"127.0.0.1:0\"]\n{alerts}"))
}

/// What the ledger says of deliveries: channel and tries.
fn deliveries(data: &Path) -> Vec<(String, u32)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rows = Ledger::open(data, false).await.unwrap().read(1, 1_000).await.unwrap();
        rows.into_iter()
            .filter_map(|row| match row.recorded.event {
                Event::AlertDelivered { channel, tries, .. } => Some((channel, tries)),
                _ => None,
            })
            .collect()
    })
}

#[test]
fn tried_again_and_not_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (url, got) = receiver(1);
    let text = with_collector(&format!("[[alert]]\nkind = \"webhook\"\nname = \"desk\"\nurl = \"{url}\"\n"));
    let text = text.replace("[node]\n", "[node]\nbase-url = \"https://suimon.example.com\"\n");
    let check = folder.path().join("check.toml");
    std::fs::write(&check, &text).unwrap();
    expect(Command::new(SUIMON).arg("check-config").arg(&check).output().unwrap(), 0, &["check-config"]);
    let serve = Serve::start(folder.path(), &text);
    let traffic = Traffic::start(serve.collector(), "127.0.0.1", &Arc::default(), 5_000, 0);
    until("the alert", || (got.lock().unwrap().len() >= 2).then_some(()));
    drop(traffic);
    let case = serve.ends(0, &["case", "list"]).split_whitespace().next().map(str::to_owned).expect("a case");
    let seen = got.lock().unwrap().clone();
    assert_eq!(seen[0], seen[1], "the same alert, tried again");
    assert_eq!(seen[1]["link"], format!("https://suimon.example.com/cases/{case}"));
    assert!(seen[1]["subject_ja"].as_str().unwrap().contains("203.0.113.80"), "{}", seen[1]);
    let before = metric(&metrics(&serve), "suimon_ledger_events");
    until("its record", || {
        let data = metrics(&serve);
        (metric(&data, "suimon_ledger_events") >= before && serve.json(&["case", "show", &case]).is_object())
            .then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    serve.stop();
    assert_eq!(deliveries(&folder.path().join("data")), [("desk".to_owned(), 2)]);

    let serve = Serve::start(folder.path(), &text);
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(got.lock().unwrap().len(), 2, "sent again after the restart");
    serve.stop();
}

#[test]
fn taken_up_again_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_tcp_port();
    // Nobody listens there yet.
    let dead = with_collector(&format!(
        "[[alert]]\nkind = \"webhook\"\nname = \"desk\"\nurl = \"http://127.0.0.1:{port}/\"\n"
    ));
    let serve = Serve::start(folder.path(), &dead);
    let traffic = Traffic::start(serve.collector(), "127.0.0.1", &Arc::default(), 5_000, 0);
    until("a case", || (!serve.ends(0, &["case", "list"]).is_empty()).then_some(()));
    drop(traffic);
    drop(serve); // SIGKILL
    let (url, got) = receiver(0);
    let serve = Serve::start(folder.path(), &dead.replace(&format!("http://127.0.0.1:{port}/"), &url));
    until("the alert", || (!got.lock().unwrap().is_empty()).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    serve.stop();
    assert_eq!(deliveries(&folder.path().join("data")), [("desk".to_owned(), 1)]);
}

#[test]
fn by_mail() {
    if !program_or_skip("by_mail", "aiosmtpd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (port, mailbox) = (free_tcp_port(), folder.path().join("box"));
    let mut command = Command::new("aiosmtpd");
    command.args(["-n", "-l", &format!("localhost:{port}"), "-c", "aiosmtpd.handlers.Mailbox"]).arg(&mailbox);
    let _server = start_quietly(&mut command).unwrap();
    until("the mail server", || std::net::TcpStream::connect(("localhost", port)).ok());
    let alert = format!(
        "[[alert]]\nkind = \"mail\"\nname = \"duty\"\nserver = \"localhost\"\nport = {port}\ntls = \"none\"\n\
         from = \"suimon@example.com\"\nto = [\"duty@example.com\"]\nlanguage = \"en\"\n"
    );
    let serve = Serve::start(folder.path(), &with_collector(&alert));
    let traffic = Traffic::start(serve.collector(), "127.0.0.1", &Arc::default(), 5_000, 0);
    let mail = until("the mail", || {
        let new = std::fs::read_dir(mailbox.join("new")).ok()?.flatten().next()?;
        std::fs::read_to_string(new.path()).ok()
    });
    drop(traffic);
    assert!(mail.contains("To: duty@example.com") || mail.contains("To: <duty@example.com>"), "{mail}");
    assert!(mail.contains("/cases/C-1"), "{mail}");
    std::thread::sleep(Duration::from_millis(500));
    serve.stop();
    assert_eq!(deliveries(&folder.path().join("data")), [("duty".to_owned(), 1)]);
}
