//! Pages for people: plain HTML from the spine's state, forms that post one command each.

pub(crate) mod acts;
mod attacks;
mod cases;
mod context;
mod decision;
pub(crate) mod ending;
mod ledger;
mod measures;
mod now;
mod show;
pub(crate) mod sign_in;
pub(crate) mod verification;

pub(crate) use attacks::{attack, attacks};
pub(crate) use cases::{case, cases, report};
pub(crate) use context::{nothing_here, problem};
pub(crate) use ledger::ledger;
pub(crate) use measures::{measure, measures, release_all};
pub(crate) use now::now;

use axum::http::header;
use axum::response::IntoResponse;

/// The one style sheet.
pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../assets/style.css"))
}
