//! Forms: each becomes one command, then leads to the page that shows what became of it.

use super::context::Ctx;
use crate::App;
use crate::guard::Caller;
use crate::problem::Problem;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Form};
use ipnet::IpNet;
use serde::Deserialize;
use suimon_base::party::{Callback, ContactChannel, Requester};
use suimon_base::{CaseId, MeasureId};
use suimon_spine::command::{Claims, Malice, Proposal, RequestDraft};
use suimon_spine::{Command, Outcome};

pub(super) type Filled<T> = Result<Form<T>, FormRejection>;

/// Takes a form apart, runs its command, and goes on to `next`.
pub(super) async fn run<T>(
    app: &App,
    ctx: &Ctx,
    caller: Caller,
    form: Filled<T>,
    next: &str,
    command: impl FnOnce(T) -> Result<Command, Problem>,
) -> Response {
    ctx.after(outcome(app, caller, form, command).await, next)
}

async fn outcome<T>(
    app: &App,
    caller: Caller,
    form: Filled<T>,
    command: impl FnOnce(T) -> Result<Command, Problem>,
) -> Result<Outcome, Problem> {
    let Form(form) = form.map_err(|e| Problem::bad(e.body_text()))?;
    Ok(app.handle.command(caller.0, command(form)?).await?)
}

/// An id out of a path or a field.
pub(super) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e: T::Err| Problem::bad(e.to_string()))
}

/// An empty field is no answer.
pub(super) fn some(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

pub(super) fn ticked(text: &str) -> bool {
    text == "yes"
}

#[derive(Deserialize)]
pub(crate) struct OpenCase {
    customer: String,
    title: String,
}

pub(crate) async fn open_case(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    form: Filled<OpenCase>,
) -> Response {
    let open = |f: OpenCase| Ok(Command::OpenCase { customer: f.customer, title: f.title, request: None });
    let result = outcome(&app, caller, form, open).await;
    let next = result.as_ref().ok().and_then(|o| o.case).map_or("/cases".to_owned(), |c| format!("/cases/{c}"));
    ctx.after(result, &next)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RequestForm {
    words: String,
    company: String,
    contact: String,
    service: String,
    channel: ContactChannel,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    asks_investigation: String,
    #[serde(default)]
    asks_blocking: String,
}

impl RequestForm {
    fn draft(self) -> Result<RequestDraft, Problem> {
        let parts = self.scope.split([',', ' ', '\n', '\r', '、', '　']).filter(|p| !p.is_empty());
        Ok(RequestDraft {
            scope: parts.map(prefix).collect::<Result<_, _>>()?,
            // Browsers send CRLF; the words are kept as they were typed.
            words: self.words.replace("\r\n", "\n"),
            requester: Requester { company: self.company, contact: self.contact, service: self.service },
            channel: self.channel,
            asks_investigation: ticked(&self.asks_investigation),
            asks_blocking: ticked(&self.asks_blocking),
            callback: None,
        })
    }
}

/// A prefix, or one address.
fn prefix(text: &str) -> Result<IpNet, Problem> {
    let one = || text.parse().map(|a: std::net::IpAddr| IpNet::from(a));
    text.parse().or_else(|_| one()).map_err(|_| Problem::bad(format!("`{text}` is not an address or a prefix")))
}

pub(crate) async fn record_request(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(case): Path<String>,
    form: Filled<RequestForm>,
) -> Response {
    let record = |f: RequestForm| Ok(Command::RecordRequest { case: id(&case)?, request: f.draft()? });
    run(&app, &ctx, caller, form, &format!("/cases/{case}"), record).await
}

#[derive(Deserialize)]
pub(crate) struct CallbackForm {
    case: CaseId,
    confirmed: String,
    #[serde(default)]
    note: String,
}

pub(crate) async fn callback(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(request): Path<String>,
    form: Filled<CallbackForm>,
) -> Response {
    let next = form.as_ref().map_or("/cases".to_owned(), |f| format!("/cases/{}", f.case));
    let record = |f: CallbackForm| {
        let callback = Callback { confirmed: ticked(&f.confirmed), note: f.note };
        Ok(Command::RecordCallback { request: id(&request)?, callback })
    };
    run(&app, &ctx, caller, form, &next, record).await
}

#[derive(Deserialize)]
pub(crate) struct WithdrawForm {
    case: CaseId,
    #[serde(default)]
    words: String,
}

pub(crate) async fn withdraw(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(request): Path<String>,
    form: Filled<WithdrawForm>,
) -> Response {
    let next = form.as_ref().map_or("/cases".to_owned(), |f| format!("/cases/{}", f.case));
    let withdraw = |f: WithdrawForm| Ok(Command::WithdrawRequest { request: id(&request)?, words: f.words });
    run(&app, &ctx, caller, form, &next, withdraw).await
}

#[derive(Deserialize)]
pub(crate) struct NoteForm {
    text: String,
}

pub(crate) async fn note(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(case): Path<String>,
    form: Filled<NoteForm>,
) -> Response {
    let note = |f: NoteForm| Ok(Command::Note { case: id(&case)?, text: f.text.replace("\r\n", "\n") });
    run(&app, &ctx, caller, form, &format!("/cases/{case}"), note).await
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CloseForm {
    #[serde(default)]
    host_check: String,
}

pub(crate) async fn close(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(case): Path<String>,
    form: Filled<CloseForm>,
) -> Response {
    let close = |f: CloseForm| Ok(Command::CloseCase { case: id(&case)?, host_check: f.host_check });
    run(&app, &ctx, caller, form, &format!("/cases/{case}"), close).await
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(Default)]
pub(crate) struct ProposalForm {
    attack: String,
    end: String,
    end_other: String,
    dialect: String,
    hand: String,
    reason: String,
    filter_request: String,
    plant_impaired: String,
    protects: String,
    malice: String,
    malice_evidence: String,
    alternatives_tried: String,
    harm_balance: String,
    wider_because: String,
    loss_accepted: String,
}

impl ProposalForm {
    fn proposal(self, case: CaseId) -> Result<Proposal, Problem> {
        Ok(Proposal {
            case,
            attack: some(self.attack).map(|attack| id(attack.trim())).transpose()?,
            end: some(self.end_other).map_or(self.end, |end| end.trim().to_owned()),
            dialect: some(self.dialect),
            hand: some(self.hand),
            choose: None,
            filter_request: some(self.filter_request).map(|text| text.replace("\r\n", "\n")),
            reason: self.reason,
            claims: Claims {
                plant_impaired: some(self.plant_impaired),
                protects: some(self.protects),
                malice: some(self.malice)
                    .map(|said| Malice { malicious: ticked(&said), evidence: self.malice_evidence }),
                alternatives_tried: some(self.alternatives_tried),
                harm_balance: some(self.harm_balance),
                wider_because: some(self.wider_because),
                loss_accepted: ticked(&self.loss_accepted),
            },
        })
    }
}

/// Leads to the measure whether it was allowed or not: a denial is on record and says what is missing.
pub(crate) async fn propose(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(case): Path<String>,
    form: Filled<ProposalForm>,
) -> Response {
    let propose = |f: ProposalForm| Ok(Command::Propose(Box::new(f.proposal(id(&case)?)?)));
    let result = outcome(&app, caller, form, propose).await;
    let measure = match &result {
        Ok(outcome) => outcome.measures.first().copied(),
        Err(problem) => problem.measure,
    };
    match measure {
        Some(measure) => ctx.after(Ok(()), &format!("/measures/{measure}")),
        None => ctx.after(result, &format!("/cases/{case}")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ApproveForm {
    #[serde(default)]
    choose: String,
    #[serde(default)]
    wider_because: String,
    #[serde(default)]
    loss_accepted: String,
}

pub(crate) async fn approve(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(measure): Path<String>,
    form: Filled<ApproveForm>,
) -> Response {
    let approve = |f: ApproveForm| {
        let choose = some(f.choose)
            .map(|n| n.parse().map_err(|_| Problem::bad(format!("`{n}` is no alternative"))))
            .transpose()?;
        let (wider_because, loss_accepted) = (some(f.wider_because), ticked(&f.loss_accepted));
        let claims = (wider_because.is_some() || loss_accepted).then(|| Claims {
            wider_because,
            loss_accepted,
            ..Claims::default()
        });
        Ok(Command::Approve { measure: id(&measure)?, choose, claims })
    };
    run(&app, &ctx, caller, form, &format!("/measures/{measure}"), approve).await
}

#[derive(Deserialize)]
pub(crate) struct RejectForm {
    reason: String,
}

pub(crate) async fn reject(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(measure): Path<String>,
    form: Filled<RejectForm>,
) -> Response {
    let reject = |f: RejectForm| Ok(Command::Reject { measure: id(&measure)?, reason: f.reason });
    run(&app, &ctx, caller, form, &format!("/measures/{measure}"), reject).await
}

#[derive(Deserialize)]
pub(crate) struct AppliedForm {
    place: String,
    #[serde(default)]
    note: String,
}

pub(crate) async fn applied(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(measure): Path<String>,
    form: Filled<AppliedForm>,
) -> Response {
    let applied = |f: AppliedForm| Ok(Command::RecordApplied { measure: id(&measure)?, place: f.place, note: f.note });
    run(&app, &ctx, caller, form, &format!("/measures/{measure}"), applied).await
}

#[derive(Deserialize)]
pub(crate) struct WordsForm {
    words: String,
}

pub(crate) async fn release(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(measure): Path<String>,
    form: Filled<WordsForm>,
) -> Response {
    let release = |f: WordsForm| Ok(Command::Release { measure: id(&measure)?, words: f.words });
    run(&app, &ctx, caller, form, &format!("/measures/{measure}"), release).await
}

pub(crate) async fn release_all(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    form: Filled<WordsForm>,
) -> Response {
    run(&app, &ctx, caller, form, "/", |f: WordsForm| Ok(Command::ReleaseAll { words: f.words })).await
}

#[derive(Deserialize)]
pub(crate) struct CheckedForm {
    checked: String,
}

pub(crate) async fn released(
    State(app): State<App>,
    ctx: Ctx,
    Extension(caller): Extension<Caller>,
    Path(measure): Path<String>,
    form: Filled<CheckedForm>,
) -> Response {
    let released =
        |f: CheckedForm| Ok(Command::RecordReleased { measure: id::<MeasureId>(&measure)?, checked: f.checked });
    run(&app, &ctx, caller, form, &format!("/measures/{measure}"), released).await
}
