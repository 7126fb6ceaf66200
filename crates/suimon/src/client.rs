//! The command line's way to a running daemon: HTTP over its Unix socket.

use crate::exit::bad_input;
use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;

/// An answer: status and body.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.text)
            .with_context(|| format!("the daemon answered something unreadable: {}", self.text))
    }

    /// The JSON of a success; errors become errors of the command line by status.
    ///
    /// # Errors
    /// Exit code 2 for what was asked wrongly, 3 for what failed.
    pub fn success(self) -> anyhow::Result<Value> {
        if (200..300).contains(&self.status) {
            return self.json();
        }
        let message = self
            .json()
            .ok()
            .and_then(|v| v.pointer("/error/message").and_then(Value::as_str).map(str::to_owned))
            .unwrap_or_else(|| self.text.clone());
        match self.status {
            400..=499 => Err(bad_input(message)),
            _ => Err(anyhow::anyhow!(message)),
        }
    }
}

/// One request over the socket; blocks the calling thread.
///
/// # Errors
/// When no daemon answers there.
pub fn call(socket: &Path, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(call_async(socket, method, path, body))
}

async fn call_async(socket: &Path, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let stream = tokio::net::UnixStream::connect(socket)
        .await
        .with_context(|| format!("no daemon answers on {}; is `suimon serve` running?", socket.display()))?;
    send(TokioIo::new(stream), method, path, None, body).await
}

/// One request over an open connection.
///
/// # Errors
/// When the connection breaks.
pub async fn send<T>(
    io: T,
    method: Method,
    path: &str,
    bearer: Option<&str>,
    body: Option<&Value>,
) -> anyhow::Result<Answer>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let driver = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if let Some(token) = bearer {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = match body {
        Some(value) => {
            request = request.header("content-type", "application/json");
            serde_json::to_vec(value)?
        }
        None => Vec::new(),
    };
    let response = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok(Answer { status, text: String::from_utf8_lossy(&bytes).into_owned() })
}
