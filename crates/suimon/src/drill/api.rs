//! The scripted roles' way in: the public HTTP API, each with a token of its own.

use crate::client::{self, Answer};
use anyhow::Context as _;
use hyper::Method;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use suimon_base::{Actor, Timestamp};
use suimon_console::SignIn;

/// A role that is signed in.
#[derive(Clone, Debug)]
pub struct Role {
    address: SocketAddr,
    token: String,
}

impl Role {
    /// Signs a role in.
    pub fn new(name: &str, address: SocketAddr, sign_in: &SignIn, now: Timestamp) -> Self {
        Role { address, token: sign_in.api_token(Actor::role(name), now) }
    }

    /// Reads.
    ///
    /// # Errors
    /// When the answer is no success.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await?.success().with_context(|| format!("GET {path}"))
    }

    /// Reads text.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get_text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.call(Method::GET, path, None).await?.text)
    }

    /// Acts.
    ///
    /// # Errors
    /// When the answer is no success.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.try_post(path, body).await?.success().with_context(|| format!("POST {path}"))
    }

    /// Acts, and takes a refusal for an answer.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn try_post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        client::send(TokioIo::new(stream), method, path, Some(&self.token), body).await
    }
}
