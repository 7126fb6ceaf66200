//! Coming in by a one-time link, and going out.

use super::context::Ctx;
use crate::App;
use crate::api::extract::Params;
use crate::guard::{SESSION_COOKIE, cookie};
use crate::limits::SESSION_LIFE_MS;
use crate::text::Texts;
use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use suimon_base::Actor;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    holder: Option<Actor>,
    token: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct Token {
    #[serde(default)]
    token: String,
}

/// Shows a button. The link itself does nothing: programs that look at links before people do must not use it up.
pub(crate) async fn ask(State(app): State<App>, ctx: Ctx, Params(link): Params<Token>) -> Response {
    let holder = app.sign_in.link_holder(&link.token, app.clock.now());
    let status = if holder.is_some() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    ctx.page_with(status, &SignInPage { ctx: &ctx, t: ctx.t, holder, token: &link.token })
}

/// Uses the link up and begins a session.
pub(crate) async fn enter(State(app): State<App>, ctx: Ctx, form: Result<Form<Token>, FormRejection>) -> Response {
    let token = form.map(|Form(f)| f.token).unwrap_or_default();
    let Some(session) = app.sign_in.begin(&token, app.clock.now()) else {
        let page = SignInPage { ctx: &ctx, t: ctx.t, holder: None, token: "" };
        return ctx.page_with(StatusCode::UNAUTHORIZED, &page);
    };
    // Not `Secure`: this is plain HTTP on loopback, and not every browser takes a Secure cookie there.
    let life = SESSION_LIFE_MS / 1_000;
    let value = format!("{SESSION_COOKIE}={session}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict");
    (AppendHeaders([(header::SET_COOKIE, value)]), Redirect::to("/")).into_response()
}

/// Ends the session.
pub(crate) async fn leave(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(session) = cookie(&headers, SESSION_COOKIE) {
        app.sign_in.end(&session);
    }
    let gone = format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    (AppendHeaders([(header::SET_COOKIE, gone)]), Redirect::to("/sign-in")).into_response()
}
