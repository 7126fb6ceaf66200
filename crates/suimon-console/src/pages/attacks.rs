//! Attacks in words and numbers.

use super::context::Ctx;
use super::show::{AttackRow, Before, When, customer_name, newest, percent};
use crate::App;
use crate::api::extract::{Id, Params};
use crate::api::read::with_live;
use crate::problem::Problem;
use crate::text::Texts;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use suimon_base::AttackId;
use suimon_base::attack::{FiredRule, Rates, SamplingEvidence, Share};

#[derive(Template)]
#[template(path = "attacks.html")]
struct AttacksPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    attacks: Vec<AttackRow>,
    older: Option<u64>,
}

pub(crate) async fn attacks(State(app): State<App>, ctx: Ctx, Params(page): Params<Before>) -> Response {
    let live = app.handle.live();
    let (attacks, older) = app.handle.with_state(|s| {
        let all = s.attacks.iter().rev().map(|(id, a)| (id.0, a));
        newest(all, page.before, |a| AttackRow::new(&with_live(a, &live)))
    });
    ctx.page(&AttacksPage { ctx: &ctx, t: ctx.t, attacks, older })
}

#[derive(Template)]
#[template(path = "attack.html")]
struct AttackPage<'a> {
    ctx: &'a Ctx,
    t: &'static Texts,
    a: AttackRow,
    words: String,
    detected: When,
    sources: u64,
    spoofed: String,
    sampling: String,
    customer: String,
    spoof_reasons: Vec<String>,
    vectors: Vec<VectorRow>,
    fired: Vec<FiredRule>,
    tops: Vec<Top>,
}

struct VectorRow {
    name: String,
    peak: String,
    current: String,
}

struct Top {
    title: &'static str,
    rows: Vec<ShareRow>,
}

struct ShareRow {
    key: String,
    share: String,
}

pub(crate) async fn attack(State(app): State<App>, ctx: Ctx, id: Result<Id<AttackId>, Problem>) -> Response {
    let id = match id {
        Ok(Id(id)) => id,
        Err(problem) => return ctx.fail(&problem, "/attacks"),
    };
    let live = app.handle.live();
    let Some(known) = app.handle.with_state(|s| s.attacks.get(&id).map(|a| with_live(a, &live))) else {
        return ctx.fail(&Problem::not_found(id), "/attacks");
    };
    let (t, a) = (ctx.t, &known.attack);
    let e = &a.evidence;
    let vectors = a.vectors.iter().map(|v| VectorRow {
        name: v.vector.to_string(),
        peak: rates(&v.peak),
        current: rates(&v.current),
    });
    let top = |title, shares: &[Share]| Top {
        title,
        rows: shares.iter().map(|s| ShareRow { key: s.key.clone(), share: percent(s.share) }).collect(),
    };
    let tops = [
        top(t.top_sources, &e.top_sources),
        top(t.top_src_ports, &e.top_src_ports),
        top(t.top_dst_ports, &e.top_dst_ports),
        top(t.top_flags, &e.tcp_flags),
        top(t.top_sizes, &e.sizes),
        top(t.top_ingress, &e.ingress),
    ];
    ctx.page(&AttackPage {
        ctx: &ctx,
        t,
        words: ctx.either(&e.words_ja, &e.words_en).to_owned(),
        detected: When(a.detected),
        sources: a.sources,
        spoofed: percent(a.spoof_likelihood),
        sampling: sampling(t, &e.sampling),
        customer: customer_name(t, &app.handle, known.customer.as_deref()),
        spoof_reasons: e.spoof_reasons.clone(),
        vectors: vectors.collect(),
        fired: e.fired.clone(),
        tops: tops.into_iter().filter(|top| !top.rows.is_empty()).collect(),
        a: AttackRow::new(&known),
    })
}

fn rates(r: &Rates) -> String {
    format!("{} · {} · {}", r.pps, r.bps, r.fps)
}

fn sampling(t: &Texts, s: &SamplingEvidence) -> String {
    let words = t
        .sampling_words
        .replace("{rate}", &s.rate.to_string())
        .replace("{samples}", &s.samples.to_string())
        .replace("{error}", &percent(s.relative_error));
    format!("{words}{}", if s.assumed { t.sampling_assumed } else { "" })
}
