//! `measure …`: over the daemon's socket.

use super::case::{list, show, text};
use super::read_text;
use crate::cli::{MeasureCommand, ProposeArgs};
use crate::client::{self, Answer};
use crate::exit::Exit;
use crate::output;
use hyper::Method;
use serde_json::{Value, json};
use std::path::Path;
use suimon_base::MeasureId;
use suimon_spine::command::{Claims, Malice, Proposal};

/// Runs a measure command.
pub fn run(command: &MeasureCommand, json: bool) -> anyhow::Result<Exit> {
    match command {
        MeasureCommand::Propose(args) => propose(args, json),
        MeasureCommand::Ending(command) => super::ending::run(command, json),
        MeasureCommand::List { socket } => {
            let answer = client::call(&socket.socket, Method::GET, "/api/v1/measures", None)?.success()?;
            list(&answer, "measures", json, |m| {
                format!(
                    "{:<6} {:<10} {:<6} {:<10} {:<16} {}",
                    text(m, "/id"),
                    text(m, "/status"),
                    text(m, "/case"),
                    text(m, "/act"),
                    text(m, "/customer"),
                    joined(m.get("targets"))
                )
            });
            Ok(Exit::Done)
        }
        MeasureCommand::Show { measure, socket } => {
            let path = format!("/api/v1/measures/{measure}");
            let answer = client::call(&socket.socket, Method::GET, &path, None)?.success()?;
            if json {
                output::json(&answer)
            } else {
                words(answer.get("measure").unwrap_or(&answer))
            }
            Ok(Exit::Done)
        }
        MeasureCommand::Approve { measure, choose, wider_because, socket } => {
            let claims = Claims { wider_because: wider_because.clone(), ..Claims::default() };
            let body = json!({ "choose": choose, "claims": claims });
            moved(&socket.socket, *measure, "approve", &body, json)
        }
        MeasureCommand::Reject { measure, reason, socket } => {
            moved(&socket.socket, *measure, "reject", &json!({ "reason": reason }), json)
        }
        MeasureCommand::Applied { measure, place, note, socket } => {
            moved(&socket.socket, *measure, "applied", &json!({ "place": place, "note": note }), json)
        }
        MeasureCommand::Release { config: Some(config), words, .. } => super::emergency::run(config, words, json),
        MeasureCommand::Release { all: true, words, socket, .. } => {
            let path = "/api/v1/measures/release-all";
            let answer =
                client::call(&socket.socket, Method::POST, path, Some(&json!({ "words": words })))?.success()?;
            show(&answer, json, |v| {
                let ids = v.get("measures").and_then(Value::as_array).into_iter().flatten();
                let ids = ids.filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
                if ids.is_empty() { "nothing was in the network".to_owned() } else { format!("releasing {ids}") }
            });
            for id in answer.get("measures").and_then(Value::as_array).into_iter().flatten() {
                if let Some(id) = id.as_str().and_then(|id| id.parse().ok()) {
                    undo_by_person(&socket.socket, id, json)?;
                }
            }
            Ok(Exit::Done)
        }
        MeasureCommand::Release { measure, words, done, socket, .. } => {
            let Some(measure) = measure else { return Ok(Exit::Done) };
            match done {
                Some(how) => moved(&socket.socket, *measure, "released", &json!({ "checked": how }), json),
                None => {
                    let exit = moved(&socket.socket, *measure, "release", &json!({ "words": words }), json)?;
                    undo_by_person(&socket.socket, *measure, json)?;
                    Ok(exit)
                }
            }
        }
    }
}

fn propose(args: &ProposeArgs, json: bool) -> anyhow::Result<Exit> {
    let proposal = Proposal {
        case: args.case,
        attack: args.attack,
        end: args.end.clone(),
        dialect: args.dialect.clone(),
        hand: args.hand.clone(),
        choose: args.choose,
        filter_request: args.request.as_deref().map(read_text).transpose()?,
        reason: args.reason.clone(),
        claims: Claims {
            plant_impaired: args.plant_impaired.clone(),
            protects: args.protects.clone(),
            malice: args.malice.clone().map(|evidence| Malice { malicious: true, evidence }),
            alternatives_tried: args.alternatives_tried.clone(),
            harm_balance: args.harm_balance.clone(),
            wider_because: args.wider_because.clone(),
            loss_accepted: false,
        },
    };
    let body = serde_json::to_value(&proposal)?;
    if args.dry_run {
        return dry_run(&args.socket.socket, &body, json);
    }
    let answer = client::call(&args.socket.socket, Method::POST, "/api/v1/measures", Some(&body))?;
    if answer.status == 403 {
        return denied(&answer, json);
    }
    show(&answer.success()?, json, |v| format!("{} proposed; a second person must approve it", text(v, "/measures/0")));
    Ok(Exit::Done)
}

/// Whether the same proposal would be taken; nothing is recorded.
fn dry_run(socket: &Path, body: &Value, json: bool) -> anyhow::Result<Exit> {
    let tried = client::call(socket, Method::POST, "/api/v1/measures/dry-run", Some(body))?.success()?;
    let list = |pointer: &str| tried.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let allowed = tried.get("allowed").and_then(Value::as_bool).unwrap_or_default();
    let error = text(&tried, "/error");
    let refused = !allowed || !error.is_empty() || !list("/checks/refusals").is_empty();
    if json {
        output::json(&tried);
        return Ok(if refused { Exit::No } else { Exit::Done });
    }
    output::line(format!(
        "{} by {}: {}",
        text(&tried, "/act"),
        text(&tried, "/hand"),
        if allowed { "allowed" } else { "not allowed" }
    ));
    output::line(format!("  {}", text(&tried, "/decision/summary/en")));
    if !error.is_empty() {
        output::line(format!("cannot be done: {error}"));
    }
    for (name, pointer) in [
        ("refused", "/checks/refusals"),
        ("warning", "/checks/warnings"),
        ("touches", "/checks/touches"),
        ("question", "/plan/questions"),
        ("", "/checks/listing"),
    ] {
        for line in list(pointer).iter().filter_map(Value::as_str) {
            output::line(if name.is_empty() { format!("  {line}") } else { format!("{name}: {line}") });
        }
    }
    super::verify::placement(tried.pointer("/plan/placement"));
    if list("/checks/listing").is_empty() {
        output::raw(&text(&tried, "/plan/text"));
    }
    output::line("nothing was recorded, nobody was told");
    Ok(if refused { Exit::No } else { Exit::Done })
}

/// A denial is an answer, not a failure: what is missing is said, and the exit code is 1.
pub fn denied(answer: &Answer, json: bool) -> anyhow::Result<Exit> {
    let value = answer.json()?;
    if json {
        output::json(&value);
        return Ok(Exit::No);
    }
    output::line(format!("not allowed: {}", text(&value, "/error/message")));
    output::line(text(&value, "/error/denial/summary/ja"));
    let items = |v: &Value, key: &str| v.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let denial = value.pointer("/error/denial").cloned().unwrap_or_default();
    for p in items(&denial, "prohibitions") {
        output::line(format!("\n  {}: {}", text(&p, "/id"), text(&p, "/text/en")));
        output::line(format!("     → {}", text(&p, "/how/en")));
    }
    for case in items(&denial, "missing") {
        output::line(format!(
            "\n  {} {} / {}",
            text(&case, "/case"),
            text(&case, "/title_en"),
            text(&case, "/title_ja")
        ));
        for c in items(&case, "conditions") {
            output::line(format!("   - {} / {}", text(&c, "/text_en"), text(&c, "/text_ja")));
            output::line(format!("     → {} / {}", text(&c, "/how_en"), text(&c, "/how_ja")));
        }
    }
    let offer = text(&denial, "/offer/en");
    if !offer.is_empty() {
        output::line(format!("\n  {offer}\n  {}", text(&denial, "/offer/ja")));
    }
    Ok(Exit::No)
}

fn moved(socket: &Path, measure: MeasureId, step: &str, body: &Value, json: bool) -> anyhow::Result<Exit> {
    let path = format!("/api/v1/measures/{measure}/{step}");
    let answer = client::call(socket, Method::POST, &path, Some(body))?;
    if answer.status == 403 {
        return denied(&answer, json);
    }
    show(&answer.success()?, json, |_| format!("{measure} {step}"));
    Ok(Exit::Done)
}

/// Where a person applied it, a person has to take it out: the undo is printed at once.
fn undo_by_person(socket: &Path, measure: MeasureId, json: bool) -> anyhow::Result<()> {
    let path = format!("/api/v1/measures/{measure}");
    let whole = client::call(socket, Method::GET, &path, None)?.success()?;
    let m = whole.get("measure").unwrap_or(&whole);
    if !json && text(m, "/draft/hand") == crate::config::MANUAL {
        output::line(format!("enter this on {}:", text(m, "/applied/place")));
        output::raw(&text(m, "/draft/plan/undo"));
        output::line(format!("then: suimon measure release {measure} --done \"how it was checked\""));
    }
    Ok(())
}

pub(super) fn joined(list: Option<&Value>) -> String {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

fn words(m: &Value) {
    for (name, pointer) in [
        ("measure", "/id"),
        ("status", "/status"),
        ("case", "/case"),
        ("act", "/draft/act"),
        ("hand", "/draft/hand"),
        ("customer", "/draft/customer"),
        ("expected", "/draft/expected-en"),
        ("basis", "/decision/summary/en"),
        ("applied at", "/applied/at"),
        ("applied on", "/applied/place"),
        ("error", "/error"),
    ] {
        let value = text(m, pointer);
        if !value.is_empty() {
            output::line(format!("{name:<11} {value}"));
        }
    }
    output::line(format!("{:<11} {}", "targets", joined(m.pointer("/draft/plan/targets"))));
    for (i, a) in m.pointer("/draft/plan/alternatives").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let chosen = m.pointer("/draft/plan/chosen").and_then(Value::as_u64) == Some(i as u64);
        output::line(format!(
            "{} {i:>2} {}: {}",
            if chosen { "*" } else { " " },
            text(a, "/means"),
            text(a, "/words-en")
        ));
    }
    super::verify::placement(m.pointer("/draft/plan/placement"));
    output::line(format!("\n{}", text(m, "/draft/plan/text")));
    output::line(format!("undo:\n{}", text(m, "/draft/plan/undo")));
}
