//! Cases: phases, the customer's words, and the forms that move a case on.

use super::context::Ctx;
use super::show::{AttackRow, Before, CaseRow, MeasureRow, When, joined, newest};
use crate::App;
use crate::api::extract::{Id, Params};
use crate::api::read::with_live;
use crate::problem::Problem;
use crate::text::Texts;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use suimon_base::case::Phase;
use suimon_base::party::ContactChannel;
use suimon_base::state::{Case, Request};
use suimon_base::{Actor, Authority, CaseId, RequestId};
use suimon_spine::{Customer, report as report_text};

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    cases: Vec<CaseRow>,
    older: Option<u64>,
    customers: &'a [Customer],
}

pub(crate) async fn cases(State(app): State<App>, ctx: Ctx, Params(page): Params<Before>) -> Response {
    let (cases, older) = app.handle.with_state(|s| {
        let all = s.cases.iter().rev().map(|(id, c)| (id.0, c));
        newest(all, page.before, |c| CaseRow::new(&ctx, c, &app.handle))
    });
    let customers = &app.handle.register().customers;
    ctx.page(&CasesPage { ctx: &ctx, t: ctx.t, cases, older, customers })
}

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    c: CaseRow,
    open: bool,
    phases: Vec<PhaseView>,
    attacks: Vec<AttackRow>,
    measures: Vec<MeasureRow>,
    requests: Vec<RequestView>,
    notes: Vec<NoteView>,
    customer: Option<CustomerView>,
    dialects: &'a [&'static str],
    hands: &'a [String],
}

struct PhaseView {
    name: String,
    class: &'static str,
    at: Option<When>,
}

struct RequestView {
    id: RequestId,
    words: String,
    requester: String,
    authority: &'static str,
    channel: &'static str,
    at: When,
    taken_by: Actor,
    scope: String,
    callback: String,
    callback_open: bool,
    telephone: Option<String>,
    withdrawn: Option<When>,
}

struct NoteView {
    at: When,
    by: Actor,
    text: String,
}

struct CustomerView {
    name: String,
    service: String,
    prefixes: String,
    contacts: Vec<ContactView>,
}

struct ContactView {
    id: String,
    authority: String,
}

pub(crate) async fn case(State(app): State<App>, ctx: Ctx, id: Result<Id<CaseId>, Problem>) -> Response {
    let id = match id {
        Ok(Id(id)) => id,
        Err(problem) => return ctx.fail(&problem, "/cases"),
    };
    let live = app.handle.live();
    let page = app.handle.with_state(|s| {
        let c = s.cases.get(&id)?;
        let customer = c.customer.as_deref().and_then(|k| app.handle.register().customer(k));
        let attacks = c.attacks.iter().filter_map(|a| s.attacks.get(a));
        let measures = c.measures.iter().rev().filter_map(|m| s.measures.get(m));
        let requests = c.requests.iter().rev().filter_map(|r| s.requests.get(r));
        let notes = c.notes.iter().rev();
        Some(CasePage {
            ctx: &ctx,
            t: ctx.t,
            c: CaseRow::new(&ctx, c, &app.handle),
            open: c.phase != Phase::Closed,
            phases: phases(&ctx, c),
            attacks: attacks.map(|a| AttackRow::new(&with_live(a, &live))).collect(),
            measures: measures.map(|m| MeasureRow::new(&ctx, m, &live)).collect(),
            requests: requests.map(|r| request_view(ctx.t, r, customer)).collect(),
            notes: notes.map(|(at, by, text)| NoteView { at: When(*at), by: by.clone(), text: text.clone() }).collect(),
            customer: customer.map(|k| customer_view(ctx.t, k)),
            dialects: &app.about.dialects,
            hands: &app.about.hands,
        })
    });
    match page {
        Some(page) => ctx.page(&page),
        None => ctx.fail(&Problem::not_found(id), "/cases"),
    }
}

fn phases(ctx: &Ctx, c: &Case) -> Vec<PhaseView> {
    let order = [Phase::Assess, Phase::Contact, Phase::Mitigate, Phase::Recover, Phase::Closed];
    order
        .into_iter()
        .map(|phase| {
            let at = c.phases.iter().rev().find(|(p, _)| *p == phase).map(|(_, at)| When(*at));
            let class = match (phase == c.phase, at.is_some()) {
                (true, _) => "here",
                (false, true) => "done",
                (false, false) => "ahead",
            };
            PhaseView { name: ctx.either(phase.ja(), &phase.to_string()).to_owned(), class, at }
        })
        .collect()
}

fn request_view(t: &'static Texts, r: &Request, customer: Option<&Customer>) -> RequestView {
    let w = &r.request;
    let who = &w.requester;
    let callback = w.callback.as_ref();
    let contact = customer.and_then(|k| k.contacts.iter().find(|c| c.id == who.contact));
    RequestView {
        id: r.id,
        words: w.words.clone(),
        requester: format!("{} / {} / {}", who.company, who.contact, who.service),
        authority: w.authority.map_or(t.authority_none, |a| authority(t, a)),
        channel: match w.channel {
            ContactChannel::Telephone => t.telephone,
            ContactChannel::Mail => t.mail,
            ContactChannel::Portal => t.portal,
        },
        at: When(r.at),
        taken_by: r.taken_by.clone(),
        scope: joined(&w.scope),
        callback: callback.map_or_else(
            || t.callback_none.to_owned(),
            |c| format!("{} {}", if c.confirmed { t.confirmed } else { t.not_confirmed }, c.note),
        ),
        callback_open: callback.is_none() && w.channel != ContactChannel::Portal,
        telephone: contact.and_then(|c| c.telephone.clone()),
        withdrawn: r.withdrawn.map(When),
    }
}

fn customer_view(t: &'static Texts, k: &Customer) -> CustomerView {
    let contacts = k
        .contacts
        .iter()
        .map(|c| ContactView { id: c.id.clone(), authority: joined(c.authority.iter().map(|a| authority(t, *a))) });
    CustomerView {
        name: k.name.clone(),
        service: k.service.clone(),
        prefixes: joined(&k.prefixes),
        contacts: contacts.collect(),
    }
}

fn authority(t: &'static Texts, a: Authority) -> &'static str {
    match a {
        Authority::Ask => t.authority_ask,
        Authority::Order => t.authority_order,
        Authority::Lift => t.authority_lift,
        Authority::Disclose => t.authority_disclose,
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    id: CaseId,
    text: String,
}

pub(crate) async fn report(State(app): State<App>, ctx: Ctx, id: Result<Id<CaseId>, Problem>) -> Response {
    let id = match id {
        Ok(Id(id)) => id,
        Err(problem) => return ctx.fail(&problem, "/cases"),
    };
    let text = app.handle.with_state(|s| report_text::render(s, app.handle.register(), id, ctx.lang));
    match text {
        Some(text) => ctx.page(&ReportPage { ctx: &ctx, t: ctx.t, id, text }),
        None => ctx.fail(&Problem::not_found(id), "/cases"),
    }
}
