//! What every page needs: language, who is signed in, the token of its forms.

use super::decision::DecisionView;
use crate::App;
use crate::guard::{Caller, FormToken, LANG_COOKIE, asked_lang, cookie};
use crate::problem::Problem;
use crate::text::{self, Lang, Texts};
use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use std::convert::Infallible;
use suimon_base::Actor;

/// The surroundings of one page.
pub(crate) struct Ctx {
    pub lang: Lang,
    pub t: &'static Texts,
    pub actor: Option<Actor>,
    pub token: String,
    pub exercise: bool,
    pub version: String,
    path: String,
    /// Path and query; where a page leads back to.
    again: String,
}

impl Ctx {
    fn new(app: &App, headers: &HeaderMap, uri: &Uri, extensions: &Extensions) -> Self {
        let kept = || cookie(headers, LANG_COOKIE).and_then(|code| text::from_code(&code));
        let lang = asked_lang(uri).or_else(kept).unwrap_or_else(|| text::accepted(headers));
        Ctx {
            lang,
            t: text::texts(lang),
            actor: extensions.get::<Caller>().map(|c| c.0.clone()),
            token: extensions.get::<FormToken>().cloned().unwrap_or_default().0,
            exercise: app.about.exercise,
            version: app.about.version.clone(),
            path: uri.path().to_owned(),
            again: uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
        }
    }

    /// Code of the language.
    pub(crate) fn code(&self) -> &'static str {
        text::code(self.lang)
    }

    /// Whether this page belongs to a part of the menu.
    pub(crate) fn here(&self, part: &str) -> bool {
        self.path == part || (part != "/" && self.path.strip_prefix(part).is_some_and(|r| r.starts_with('/')))
    }

    /// Japanese or English, whichever is read.
    pub(crate) fn either<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        match self.lang {
            Lang::Ja => ja,
            Lang::En => en,
        }
    }

    /// A page.
    pub(crate) fn page(&self, template: &impl Template) -> Response {
        self.page_with(StatusCode::OK, template)
    }

    pub(crate) fn page_with(&self, status: StatusCode, template: &impl Template) -> Response {
        match template.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(error) => {
                tracing::error!(%error, path = self.path, "a page could not be made");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// What went wrong, as a page. `again` leads back.
    pub(crate) fn fail(&self, problem: &Problem, again: &str) -> Response {
        let t = self.t;
        let (heading, words) = match problem.kind {
            "unauthenticated" => (t.not_signed_in, ""),
            "bad" => (t.problem_bad, problem.message.as_str()),
            "forbidden" if self.actor.is_none() && !self.token.is_empty() => (t.problem_forbidden, t.stale_form),
            "forbidden" => (t.problem_forbidden, problem.message.as_str()),
            "denied" => (t.problem_denied, ""),
            "not-found" => (t.problem_not_found, problem.message.as_str()),
            "conflict" => (t.problem_conflict, problem.message.as_str()),
            "ledger" => (t.problem_ledger, problem.message.as_str()),
            _ => (t.problem_other, problem.message.as_str()),
        };
        let page = ProblemPage {
            ctx: self,
            t,
            heading,
            words,
            decision: problem.denial.as_ref().map(|d| DecisionView::new(self, d)),
            signed_out: problem.status == StatusCode::UNAUTHORIZED,
            again,
        };
        self.page_with(problem.status, &page)
    }

    /// To `next` after success, else the problem.
    pub(crate) fn after<T>(&self, result: Result<T, Problem>, next: &str) -> Response {
        match result {
            Ok(_) => Redirect::to(next).into_response(),
            Err(problem) => self.fail(&problem, next),
        }
    }
}

impl FromRequestParts<App> for Ctx {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Ctx::new(app, &parts.headers, &parts.uri, &parts.extensions))
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    heading: &'a str,
    words: &'a str,
    decision: Option<DecisionView>,
    signed_out: bool,
    again: &'a str,
}

/// A problem that was seen before the page's own code ran.
pub(crate) fn problem(app: &App, request: &Request, problem: &Problem) -> Response {
    let ctx = Ctx::new(app, request.headers(), request.uri(), request.extensions());
    // A form that was not taken leads to the start page: there is nothing to look at under its own path.
    let again = if request.method() == Method::GET { ctx.again.clone() } else { "/".to_owned() };
    ctx.fail(problem, &again)
}

/// Paths that no route knows.
pub(crate) async fn nothing_here(State(app): State<App>, request: Request) -> Response {
    let missing = Problem::not_found(request.uri().path());
    if request.uri().path().starts_with("/api/") {
        return missing.into_response();
    }
    let ctx = Ctx::new(&app, request.headers(), request.uri(), request.extensions());
    ctx.fail(&missing, "/")
}
