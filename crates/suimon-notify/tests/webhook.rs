//! Webhooks against a server that speaks HTTP over a real socket.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as loudly as a test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use suimon_base::Timestamp;
use suimon_base::id::{AlertId, CaseId};
use suimon_notify::{Action, Alert, Channel, Courier, Input, Limits, Outbox, Secret, Severity, Webhook};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);

fn alert() -> Alert {
    Alert {
        id: AlertId(7),
        at: NOW,
        severity: Severity::Critical,
        case: Some(CaseId(3)),
        subject_ja: "攻撃を検知しました: 192.0.2.10".to_owned(),
        subject_en: "Attack on 192.0.2.10\r\nX-Injected: yes".to_owned(),
        text_ja: "DNS リフレクションです。\n承認をお待ちしています。".to_owned(),
        text_en: "DNS reflection.\nApproval is awaited.".to_owned(),
        link: Some("https://suimon.example.com/cases/C-3".to_owned()),
    }
}

/// A request as the server read it.
struct Seen {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.head.iter().filter_map(|line| line.split_once(": "));
        found.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
}

fn read(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let mut seen = Seen { head, body: Vec::new() };
    let length: usize = seen.header("content-length").expect("a length").parse().unwrap();
    seen.body = vec![0; length];
    reader.read_exact(&mut seen.body).unwrap();
    seen
}

/// Answers one connection after the other with `answers` as they are, and hands back what it was asked.
fn server(answers: Vec<&'static [u8]>) -> (String, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            seen.push(read(&stream));
            stream.write_all(answer).unwrap();
        }
        seen
    });
    (url, thread)
}

fn courier(url: String, secret: Option<Secret>) -> Courier {
    Courier::new([("web".to_owned(), Channel::Webhook(Webhook { url, secret, ca_pem: None }))]).unwrap()
}

#[test]
fn a_signed_json_object_arrives() {
    let (url, thread) = server(vec![b"HTTP/1.1 204 No Content\r\n\r\n"]);
    courier(url, Some(Secret::new("key\n"))).deliver("web", &alert(), NOW).unwrap();
    let seen = &thread.join().unwrap()[0];
    assert_eq!(seen.head[0], "POST /hook HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("idempotency-key"), Some("N-7-1700000000123"));
    // Sorted, since the order of a map depends on what else is built into the test.
    let json: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_slice(&seen.body).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/webhook.json");
    suimon_testkit::golden(&golden, &(serde_json::to_string_pretty(&json).unwrap() + "\n"));

    // What a receiver would do to check it, with somebody else's HMAC.
    let test = "webhook::a_signed_json_object_arrives (signature)";
    if suimon_testkit::program_or_skip(test, "python3") {
        let code = "import hmac,sys; print('sha256='+hmac.new(b'key',sys.stdin.buffer.read(),'sha256').hexdigest())";
        let mut python = std::process::Command::new("python3")
            .args(["-c", code])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().write_all(&seen.body).unwrap();
        let expected = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(seen.header("suimon-signature"), Some(expected.trim()));
    }
}

#[test]
fn the_outbox_tries_again_after_a_500_with_the_same_key() {
    let (url, thread) = server(vec![b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]);
    let courier = courier(url, None);
    let mut outbox = Outbox::new(Limits::default());
    let mut now = NOW;
    let mut inbox = vec![Input::Queue(Arc::new(alert()), vec!["web".to_owned()])];
    let mut last_words = Vec::new();
    while let Some(input) = inbox.pop() {
        for action in outbox.step(now, 0.5, input) {
            match action {
                Action::Try { alert, channel } => {
                    let result = courier.deliver(&channel, &alert, now);
                    inbox.push(Input::Tried { id: alert.id, channel, result });
                }
                other => last_words.push(other),
            }
        }
        if inbox.is_empty()
            && let Some(due) = outbox.next_due()
        {
            now = due;
            inbox.push(Input::Tick);
        }
    }
    assert_eq!(last_words, [Action::Delivered { id: AlertId(7), channel: "web".to_owned(), tries: 2 }]);
    assert_eq!(now.ms_since(NOW), 3_750, "half of five seconds, and half of the other half");
    let seen = thread.join().unwrap();
    assert_eq!(seen[0].header("idempotency-key"), seen[1].header("idempotency-key"));
    assert_eq!(seen[0].body, seen[1].body);
}

#[test]
fn answers_say_whether_a_later_try_can_help() {
    let cases: [(&'static [u8], bool, Option<i64>); 8] = [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", false, None),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", false, None),
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n", false, None),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 30\r\n\r\n", true, Some(30_000)),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 999999999\r\n\r\n", true, Some(3_600_000)),
        (b"220 mail.example.com ESMTP\r\n", true, None),
        (b"\xff\xfe\x00\x01\x02\r\n\r\n", true, None),
        (b"", true, None),
    ];
    for (answer, retry, after_ms) in cases {
        let (url, thread) = server(vec![answer]);
        let error = courier(url, None).deliver("web", &alert(), NOW).unwrap_err();
        assert_eq!((error.retry, error.after_ms), (retry, after_ms), "{}: {error}", String::from_utf8_lossy(answer));
        thread.join().unwrap();
    }
}

#[test]
fn an_endless_head_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read(&stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        let mut sent = 0usize;
        while stream.write_all(b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok()
            && sent < 100 << 20
        {
            sent += 64;
        }
        sent
    });
    let error = courier(url, None).deliver("web", &alert(), NOW).unwrap_err();
    assert!(error.retry, "{error}");
    assert!(thread.join().unwrap() < 100 << 20, "the connection was closed long before 100 MiB");
}

#[test]
fn a_silent_receiver_is_not_waited_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let channel = Channel::Webhook(Webhook { url, secret: None, ca_pem: None });
    let courier = Courier::with_patience([("web".to_owned(), channel)], Duration::from_millis(200)).unwrap();
    let error = courier.deliver("web", &alert(), NOW).unwrap_err();
    assert!(error.retry && error.problem.contains("timeout"), "{error}");
}

#[test]
fn nobody_there_and_no_such_channel() {
    let courier = courier(format!("http://127.0.0.1:{}/", suimon_testkit::free_tcp_port()), None);
    assert!(courier.deliver("web", &alert(), NOW).unwrap_err().retry);
    assert!(!courier.deliver("nothing", &alert(), NOW).unwrap_err().retry);
}
