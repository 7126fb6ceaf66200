//! Pages for people.

use crate::App;
use crate::problem::Problem;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};

pub(crate) fn problem(_: &App, _: &Request, problem: &Problem) -> Response {
    (problem.status, problem.message.clone()).into_response()
}

pub(crate) async fn nothing_here() -> Problem {
    Problem::not_found("this page")
}
