//! What people and programs may do: one command each.

use crate::App;
use crate::api::extract::{Id, JsonBody};
use crate::guard::Caller;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use suimon_base::party::Callback;
use suimon_base::{CaseId, MeasureId, RequestId};
use suimon_spine::command::{Claims, EndingAsk, Proposal, RequestDraft};
use suimon_spine::{Command, Outcome};

type Done = Result<Json<Outcome>, Problem>;
type Made = Result<(StatusCode, Json<Outcome>), Problem>;

async fn run(app: &App, caller: Caller, command: Command) -> Done {
    Ok(Json(app.handle.command(caller.0, command).await?))
}

async fn make(app: &App, caller: Caller, command: Command) -> Made {
    Ok((StatusCode::CREATED, run(app, caller, command).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct OpenCase {
    customer: String,
    title: String,
    #[serde(default)]
    request: Option<RequestDraft>,
}

pub(crate) async fn open_case(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(b): JsonBody<OpenCase>,
) -> Made {
    let command = Command::OpenCase { customer: b.customer, title: b.title, request: b.request };
    make(&app, caller, command).await
}

pub(crate) async fn record_request(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(case): Id<CaseId>,
    JsonBody(request): JsonBody<RequestDraft>,
) -> Made {
    make(&app, caller, Command::RecordRequest { case, request }).await
}

pub(crate) async fn callback(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(request): Id<RequestId>,
    JsonBody(callback): JsonBody<Callback>,
) -> Done {
    run(&app, caller, Command::RecordCallback { request, callback }).await
}

/// Why, in a person's words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Words {
    #[serde(default)]
    words: String,
}

pub(crate) async fn withdraw(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(request): Id<RequestId>,
    JsonBody(b): JsonBody<Words>,
) -> Done {
    run(&app, caller, Command::WithdrawRequest { request, words: b.words }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct NoteText {
    text: String,
}

pub(crate) async fn note(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(case): Id<CaseId>,
    JsonBody(b): JsonBody<NoteText>,
) -> Done {
    run(&app, caller, Command::Note { case, text: b.text }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Close {
    #[serde(default)]
    host_check: String,
}

pub(crate) async fn close(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(case): Id<CaseId>,
    JsonBody(b): JsonBody<Close>,
) -> Done {
    run(&app, caller, Command::CloseCase { case, host_check: b.host_check }).await
}

pub(crate) async fn propose(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(proposal): JsonBody<Proposal>,
) -> Made {
    make(&app, caller, Command::Propose(Box::new(proposal))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Approve {
    #[serde(default)]
    choose: Option<usize>,
    #[serde(default)]
    claims: Option<Claims>,
}

pub(crate) async fn approve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(measure): Id<MeasureId>,
    JsonBody(b): JsonBody<Approve>,
) -> Done {
    run(&app, caller, Command::Approve { measure, choose: b.choose, claims: b.claims }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Reject {
    #[serde(default)]
    reason: String,
}

pub(crate) async fn reject(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(measure): Id<MeasureId>,
    JsonBody(b): JsonBody<Reject>,
) -> Done {
    run(&app, caller, Command::Reject { measure, reason: b.reason }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AppliedAt {
    place: String,
    #[serde(default)]
    note: String,
}

pub(crate) async fn applied(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(measure): Id<MeasureId>,
    JsonBody(b): JsonBody<AppliedAt>,
) -> Done {
    run(&app, caller, Command::RecordApplied { measure, place: b.place, note: b.note }).await
}

pub(crate) async fn release(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(measure): Id<MeasureId>,
    JsonBody(b): JsonBody<Words>,
) -> Done {
    run(&app, caller, Command::Release { measure, words: b.words }).await
}

pub(crate) async fn release_all(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(b): JsonBody<Words>,
) -> Done {
    run(&app, caller, Command::ReleaseAll { words: b.words }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Checked {
    checked: String,
}

pub(crate) async fn released(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(measure): Id<MeasureId>,
    JsonBody(b): JsonBody<Checked>,
) -> Done {
    run(&app, caller, Command::RecordReleased { measure, checked: b.checked }).await
}

pub(crate) async fn ending(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(measure): Id<MeasureId>,
    JsonBody(ask): JsonBody<EndingAsk>,
) -> Done {
    run(&app, caller, Command::Ending { measure, ask: Box::new(ask) }).await
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Link {
    /// To be put behind the address of the TCP listener.
    path: String,
    /// The whole link, by the address under which people reach the pages.
    url: String,
}

pub(crate) async fn sign_in_link(State(app): State<App>, Extension(caller): Extension<Caller>) -> Json<Link> {
    let token = app.sign_in.link_token(caller.0, app.clock.now());
    let path = format!("/sign-in?token={token}");
    Json(Link { url: format!("{}{path}", app.about.base_url), path })
}
