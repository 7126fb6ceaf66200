//! Mail through a real mail server (Debian's aiosmtpd), read back by Python's mail library.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as loudly as a test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use suimon_base::Timestamp;
use suimon_base::id::{AlertId, CaseId};
use suimon_notify::{Alert, Channel, Courier, Credentials, DeliverError, Language, Mail, MailTls, Secret, Severity};
use suimon_testkit::{KilledOnDrop, free_tcp_port, program_or_skip, start_quietly};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);

const READ_MAIL: &str = "
import email, email.policy, json, pathlib, sys
out = []
for path in sorted(pathlib.Path(sys.argv[1]).glob('new/*')):
    m = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    out.append({'headers': [[k.lower(), str(v)] for k, v in m.items()], 'body': m.get_content(),
                'defects': [str(d) for d in m.defects] + [str(d) for v in m.values() for d in v.defects],
                'longest': max(map(len, path.read_bytes().splitlines()))})
print(json.dumps(out))
";

fn alert() -> Alert {
    Alert {
        id: AlertId(7),
        at: NOW,
        severity: Severity::Critical,
        case: Some(CaseId(3)),
        subject_ja: "攻撃を検知しました（192.0.2.10 宛、DNS リフレクション、毎秒 1.2 Gbit）①髙".to_owned(),
        subject_en: "Attack on 192.0.2.10\r\nBcc: thief@example.com".to_owned(),
        text_ja: format!("{}\n.\n先頭の点は消えません。", "あ".repeat(2_000)),
        text_en: ".dots\nstay. QUIT\r\n".to_owned(),
        link: Some("https://suimon.example.com/cases/C-3?lang=ja&x=1".to_owned()),
    }
}

fn mail(port: u16) -> Mail {
    Mail {
        server: "localhost".to_owned(),
        port,
        tls: MailTls::None,
        ca_pem: None,
        credentials: None,
        from: "水門 <suimon@example.com>".to_owned(),
        to: vec!["noc@example.com".to_owned(), "当番 <duty@example.com>".to_owned()],
        language: Language::Both,
    }
}

fn deliver(mail: Mail) -> Result<(), DeliverError> {
    Courier::new([("mail".to_owned(), Channel::Mail(mail))]).unwrap().deliver("mail", &alert(), NOW)
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mail-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Starts aiosmtpd with a mail folder, and waits until it answers.
fn aiosmtpd(dir: &Path, port: u16, options: &[&str]) -> KilledOnDrop {
    let mut command = Command::new("aiosmtpd");
    command.args(["-n", "-l", &format!("localhost:{port}"), "-c", "aiosmtpd.handlers.Mailbox"]);
    let server = start_quietly(command.args(options).arg(dir.join("box"))).unwrap();
    for _ in 0..200 {
        if TcpStream::connect(("localhost", port)).is_ok() {
            return server;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("aiosmtpd does not listen on port {port}");
}

/// What lies in the mail folder.
fn mailbox(dir: &Path) -> Vec<serde_json::Value> {
    let output = Command::new("python3").args(["-c", READ_MAIL]).arg(dir.join("box")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn headers<'a>(mail: &'a serde_json::Value, name: &str) -> Vec<&'a str> {
    let all = mail["headers"].as_array().unwrap().iter();
    all.filter(|h| h[0] == name).map(|h| h[1].as_str().unwrap()).collect()
}

#[test]
fn japanese_arrives_intact_and_no_header_is_smuggled_in() {
    let test = "mail::japanese_arrives_intact_and_no_header_is_smuggled_in";
    if !(program_or_skip(test, "aiosmtpd") && program_or_skip(test, "python3")) {
        return;
    }
    let (dir, port) = (folder("plain"), free_tcp_port());
    let _server = aiosmtpd(&dir, port, &[]);
    deliver(mail(port)).unwrap();
    let mails = mailbox(&dir);
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    let subject = format!("[Suimon N-7] {} / Attack on 192.0.2.10  Bcc: thief@example.com", alert().subject_ja);
    assert_eq!(headers(mail, "subject"), [subject]);
    assert_eq!(headers(mail, "bcc"), [""; 0]);
    assert_eq!(headers(mail, "from"), ["水門 <suimon@example.com>"]);
    assert_eq!(headers(mail, "to"), ["noc@example.com, 当番 <duty@example.com>"]);
    assert_eq!(headers(mail, "message-id"), ["<N-7-1700000000123@example.com>"]);
    assert_eq!(headers(mail, "date"), ["Tue, 14 Nov 2023 22:13:20 +0000"]);
    assert_eq!(headers(mail, "auto-submitted"), ["auto-generated"]);
    assert_eq!(mail["defects"], serde_json::json!([]));
    assert!(mail["longest"].as_u64().unwrap() <= 998, "RFC 5322 line length");
    let alert = alert();
    let body = format!(
        "{}\n\n----\n\n.dots\nstay. QUIT\n\n事案 / Case: C-3\n{}\n",
        alert.text_ja,
        alert.link.as_deref().unwrap()
    );
    assert_eq!(mail["body"].as_str().unwrap().replace("\r\n", "\n"), body);
}

#[test]
fn one_language_where_one_is_wanted() {
    let test = "mail::one_language_where_one_is_wanted";
    if !(program_or_skip(test, "aiosmtpd") && program_or_skip(test, "python3")) {
        return;
    }
    let (dir, port) = (folder("language"), free_tcp_port());
    let _server = aiosmtpd(&dir, port, &[]);
    deliver(Mail { language: Language::En, ..mail(port) }).unwrap();
    let mail = &mailbox(&dir)[0];
    assert_eq!(headers(mail, "subject"), ["[Suimon N-7] Attack on 192.0.2.10  Bcc: thief@example.com"]);
    assert!(!mail["body"].as_str().unwrap().contains('あ'));
}

/// A certificate for `localhost` that only its owner trusts.
fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    (cert, key)
}

#[test]
fn tls_is_used_with_a_trusted_certificate_and_refused_without() {
    let test = "mail::tls_is_used_with_a_trusted_certificate_and_refused_without";
    if !(program_or_skip(test, "aiosmtpd") && program_or_skip(test, "python3") && program_or_skip(test, "openssl")) {
        return;
    }
    let dir = folder("tls");
    let (cert, key) = certificate(&dir);
    let (cert_path, key_path) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let ca_pem = Some(std::fs::read_to_string(&cert).unwrap());
    for (tls, options) in [
        (MailTls::StartTls, ["--tlscert", cert_path, "--tlskey", key_path]),
        (MailTls::Wrapped, ["--smtpscert", cert_path, "--smtpskey", key_path]),
    ] {
        let _ = std::fs::remove_dir_all(dir.join("box"));
        let port = free_tcp_port();
        let _server = aiosmtpd(&dir, port, &options);
        let stranger = deliver(Mail { tls, ..mail(port) }).unwrap_err();
        assert!(stranger.problem.contains("certificate"), "{tls:?}: {stranger}");
        assert_eq!(mailbox(&dir).len(), 0, "{tls:?}: nothing goes to a stranger");
        deliver(Mail { tls, ca_pem: ca_pem.clone(), ..mail(port) }).unwrap();
        assert_eq!(mailbox(&dir).len(), 1, "{tls:?}");
    }
}

#[test]
fn a_server_without_starttls_gets_neither_mail_nor_password() {
    let test = "mail::a_server_without_starttls_gets_neither_mail_nor_password";
    if !(program_or_skip(test, "aiosmtpd") && program_or_skip(test, "python3")) {
        return;
    }
    let (dir, port) = (folder("downgrade"), free_tcp_port());
    let _server = aiosmtpd(&dir, port, &[]);
    let password = Credentials { user: "suimon".to_owned(), password: Secret::new("p") };
    for credentials in [None, Some(password)] {
        let error = deliver(Mail { tls: MailTls::StartTls, credentials, ..mail(port) }).unwrap_err();
        assert!(error.problem.contains("STARTTLS"), "{error}");
    }
    assert_eq!(mailbox(&dir).len(), 0);
}

#[test]
fn a_mail_that_is_too_large_for_the_server_is_not_tried_again() {
    let test = "mail::a_mail_that_is_too_large_for_the_server_is_not_tried_again";
    if !program_or_skip(test, "aiosmtpd") {
        return;
    }
    let (dir, port) = (folder("size"), free_tcp_port());
    let _server = aiosmtpd(&dir, port, &["-s", "100"]);
    let error = deliver(mail(port)).unwrap_err();
    assert!(!error.retry, "{error}");
    assert!(error.problem.contains("552"), "{error}");
}

/// A server that answers each line of the client with the next of `answers`.
fn script(answers: Vec<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        for answer in answers {
            if stream.write_all(answer.as_bytes()).is_err() || reader.read_line(&mut String::new()).is_err() {
                return;
            }
        }
    });
    port
}

#[test]
fn answers_say_whether_a_later_try_can_help() {
    let cases = [
        (vec!["220 hi\r\n", "250 hi\r\n", "451 greylisted\r\n"], true),
        (vec!["220 hi\r\n", "250 hi\r\n", "250 ok\r\n", "550 no such user\r\n"], false),
        (vec!["554 go away\r\n"], false),
        (vec!["HTTP/1.1 400 Bad Request\r\n\r\n"], true),
        (vec!["\u{0}\u{1}\r\n"], true),
        (vec![], true),
    ];
    for (answers, retry) in cases {
        let shown = format!("{answers:?}");
        let error = deliver(Mail { server: "127.0.0.1".to_owned(), ..mail(script(answers)) }).unwrap_err();
        assert_eq!(error.retry, retry, "{shown}: {error}");
    }
    let channel = Channel::Mail(mail(script(vec!["220 hi\r\n", ""])));
    let courier = Courier::with_patience([("mail".to_owned(), channel)], Duration::from_millis(200)).unwrap();
    let silent = courier.deliver("mail", &alert(), NOW).unwrap_err();
    assert!(silent.retry, "{silent}");
    let nobody = deliver(mail(free_tcp_port())).unwrap_err();
    assert!(nobody.retry, "{nobody}");
}
