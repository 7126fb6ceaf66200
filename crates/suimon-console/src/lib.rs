//! HTTP API and server-rendered pages, in Japanese and English, without JavaScript.
//!
//! [`routes`] holds the one table of what is served and who may reach it: the router, the access matrix of the tests and
//! the OpenAPI document are made from it. Nothing here decides anything: every act is a command to the spine, and every
//! page is made from the spine's state.

mod api;
mod guard;
mod limits;
mod openapi;
mod os_user;
mod pages;
mod problem;
mod random;
mod routes;
mod serve;
mod sign_in;
mod text;

use std::fmt;
use std::sync::Arc;
use suimon_base::Clock;
use suimon_spine::Handle;

pub use openapi::document as openapi_document;
pub use routes::{Access, access_matrix};
pub use serve::{serve_tcp, serve_unix};
pub use sign_in::SignIn;

/// What the console says about the daemon around it.
#[derive(Clone)]
pub struct About {
    /// Version of the program.
    pub version: String,
    /// Where people reach the pages, without a slash at the end.
    pub base_url: String,
    /// Whether this run is an exercise; every page says so.
    pub exercise: bool,
    /// Prometheus text exposition of the daemon's counters; called once for each `GET /metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Dialects that the planner can write, for the form.
    pub dialects: Vec<&'static str>,
    /// Hands that are configured, for the form.
    pub hands: Vec<String>,
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About")
            .field("version", &self.version)
            .field("exercise", &self.exercise)
            .finish_non_exhaustive()
    }
}

/// The console over a running engine.
#[derive(Clone)]
pub struct Console {
    /// The way into the engine.
    pub handle: Handle,
    /// The time; the console never asks anything else for it.
    pub clock: Arc<dyn Clock>,
    /// Who is signed in; shared with whoever prints links.
    pub sign_in: Arc<SignIn>,
    /// What to say about the daemon.
    pub about: About,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Console {
    /// The service without a socket. It expects loopback behind it: plain HTTP, and a `Host` that is a loopback name.
    pub fn router(self) -> axum::Router {
        routes::router(Arc::new(self))
    }
}

/// What handlers share.
pub(crate) type App = Arc<Console>;
