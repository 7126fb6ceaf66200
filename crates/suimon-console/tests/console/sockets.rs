//! Real sockets: who is on the other end, and what a slow or greedy client gets.

use crate::bench::house;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;

/// One request and everything that comes back.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn simple(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unix_socket_knows_the_user() {
    let house = house().await;
    let path = house.dir.join("api.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(suimon_console::serve_unix(house.console.clone(), listener, async {
        let _ = stopped.await;
    }));
    let answer = talk(UnixStream::connect(&path).await.unwrap(), &simple("POST", "/api/v1/sign-in-link")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["url"], format!("http://127.0.0.1:8080{}", body["path"].as_str().unwrap()));
    let token = body["path"].as_str().unwrap().strip_prefix("/sign-in?token=").unwrap().to_owned();
    let page = crate::bench::request("GET", &format!("/sign-in?token={token}"));
    let page = crate::bench::ask(&house.router, page.body(axum::body::Body::empty()).unwrap()).await;
    let me = std::process::Command::new("id").arg("-un").output().unwrap();
    let me = String::from_utf8(me.stdout).unwrap();
    assert!(page.text.contains(&format!("os-user:{}", me.trim())), "{}", page.text);

    let body = r#"{"customer":"shop","title":"by socket"}"#;
    let open = format!(
        "POST /api/v1/cases HTTP/1.1\r\nhost: suimon\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = talk(UnixStream::connect(&path).await.unwrap(), &open).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let rows = house.handle().events().read(1, 100).await.unwrap();
    let opened = rows.iter().find(|r| r.recorded.event.kind() == "case-opened").unwrap();
    assert_eq!(opened.recorded.actor.to_string(), format!("os-user:{}", me.trim()));

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_serves_loopback_only_and_stops_when_told() {
    let house = house().await;
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = suimon_console::serve_tcp(house.console.clone(), everywhere, std::future::pending()).await;
    assert!(refused.unwrap_err().to_string().contains("loopback"));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(suimon_console::serve_tcp(house.console.clone(), listener, async {
        let _ = stopped.await;
    }));
    let answer = talk(TcpStream::connect(address).await.unwrap(), &simple("GET", "/healthz")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    let answer = talk(TcpStream::connect(address).await.unwrap(), &simple("POST", "/api/v1/sign-in-link")).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "TCP knows no user: {answer}");
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(64 << 10));
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close while we still write.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");

    // Somebody waits for events and somebody says nothing: neither holds the server up.
    let silent = TcpStream::connect(address).await.unwrap();
    let token = house.sign_in.api_token(suimon_base::Actor::role("operator"), house.now());
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let wait = format!(
        "GET /api/v1/events?after=99999&wait_ms=30000 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    waiting.write_all(wait.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(8), server).await.unwrap().unwrap().unwrap();
    drop(silent);
}
