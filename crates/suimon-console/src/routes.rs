//! The one table of what is served and who may reach it.

mod table;

use crate::App;
use crate::guard::{Guard, guard, outer};
use crate::limits::MAX_BODY_BYTES;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use std::fmt;

pub(crate) use table::ROUTES;

/// Who may call a route. Roles come with accounts; until then everybody who is signed in may do everything, save for
/// what the policy engine forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the loopback address.
    AnyoneOnLoopback,
    /// Any signed-in actor: a session for pages, a bearer token or the Unix socket's peer for the API.
    SignedIn,
    /// Only over the Unix socket, as the operating-system user behind it.
    OsUser,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::AnyoneOnLoopback => "anyone on loopback",
            Access::SignedIn => "any signed-in actor",
            Access::OsUser => "operating-system user on the Unix socket",
        })
    }
}

/// What kind of answer a route gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// For people; not in the OpenAPI document.
    Page,
    /// For programs.
    Api(Doc),
}

/// What the OpenAPI document says about a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doc {
    /// `operationId`.
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Query parameters: name, JSON type, meaning.
    pub query: &'static [(&'static str, &'static str, &'static str)],
    /// Schema of the body.
    pub body: Option<&'static str>,
    /// Status of success.
    pub status: u16,
    /// Schema of the answer; a name with a slash is a media type of its own.
    pub answer: &'static str,
}

/// One line of the table.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    pub kind: Kind,
    pub handler: fn() -> MethodRouter<App>,
}

pub(crate) fn router(app: App) -> Router {
    let mut router = Router::<App>::new();
    for route in ROUTES {
        let guarded = Guard { app: app.clone(), access: route.access, page: matches!(route.kind, Kind::Page) };
        router = router.route(route.path, (route.handler)().layer(from_fn_with_state(guarded, guard)));
    }
    router
        .fallback(crate::pages::nothing_here)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(app.clone(), outer))
        .with_state(app)
}

/// The table as text: method, path, who may. For the reference and the golden of the tests.
pub fn access_matrix() -> String {
    ROUTES.iter().map(|r| format!("{:4} {:44} {}\n", r.method, r.path, r.access)).collect()
}
