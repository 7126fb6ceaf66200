//! `verify`, `orphan …` and `bgp …`: what is in the network, over the daemon's socket.

use super::case::{list, show, text};
use crate::cli::{BgpCommand, OrphanCommand, ResolveArgs, SocketArgs, StepArg};
use crate::client;
use crate::exit::Exit;
use crate::output;
use hyper::Method;
use serde_json::{Value, json};

/// Shows what the hands see.
pub fn run(args: &SocketArgs, json: bool) -> anyhow::Result<Exit> {
    let seen = client::call(&args.socket, Method::GET, "/api/v1/verification", None)?.success()?;
    let differs = items(&seen, "orphans").next().is_some()
        || items(&seen, "hands").any(|h| {
            let dark = h.get("unreachable").is_some_and(Value::is_object);
            dark || items(h, "measures").any(|m| text(m, "/state") != "as-wanted")
        });
    if json {
        output::json(&seen);
    } else {
        items(&seen, "hands").for_each(hand);
        items(&seen, "orphans").for_each(|o| output::line(orphan_line(o)));
        for p in items(&seen, "release-proposed") {
            output::line(format!("{} release proposed: {}", text(p, "/measure"), text(p, "/why")));
        }
    }
    Ok(if differs { Exit::No } else { Exit::Done })
}

fn items<'a>(v: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    v.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn hand(h: &Value) {
    let state = match (h.pointer("/unreachable/since"), h.get("looks").and_then(Value::as_bool)) {
        (Some(_), _) => format!("unreachable since {}: {}", text(h, "/unreachable/since"), text(h, "/unreachable/why")),
        (None, Some(false)) => "a person works here; nothing is read back".to_owned(),
        (None, Some(true)) => format!("looked at {}", text(h, "/looked")),
        (None, None) => "not looked at yet".to_owned(),
    };
    output::line(format!("{}: {state}", text(h, "/hand")));
    for m in items(h, "measures") {
        let count = |key: &str, unit: &str| {
            m.get(key).and_then(Value::as_u64).map(|n| format!(", {n} {unit}")).unwrap_or_default()
        };
        let why = text(m, "/why");
        let why = if why.is_empty() { why } else { format!(" ({why})") };
        output::line(format!(
            "  {:<6} {:<11} {}{why} since {}{}{}",
            text(m, "/id"),
            text(m, "/state"),
            text(m, "/place"),
            text(m, "/since"),
            count("packets", "packets"),
            count("octets", "octets")
        ));
    }
}

fn orphan_line(o: &Value) -> String {
    let decided = match (text(o, "/resolved/step"), text(o, "/gone/1")) {
        (step, gone) if step.is_empty() && gone.is_empty() => "open".to_owned(),
        (step, gone) if gone.is_empty() => step,
        (_, gone) => format!("gone: {gone}"),
    };
    format!(
        "{:<6} {:<8} {} {} {}: {} [{decided}]",
        text(o, "/id"),
        text(o, "/kind"),
        text(o, "/hand"),
        text(o, "/place"),
        text(o, "/name"),
        text(o, "/what")
    )
}

/// Runs an orphan command.
pub fn orphan(command: &OrphanCommand, json: bool) -> anyhow::Result<Exit> {
    match command {
        OrphanCommand::List { all, socket } => {
            let answer = client::call(&socket.socket, Method::GET, "/api/v1/orphans?limit=1000", None)?.success()?;
            let is_open = |o: &&Value| o["resolved"].is_null() && o["gone"].is_null();
            let wanted: Vec<&Value> = answer.as_array().into_iter().flatten().filter(|o| *all || is_open(o)).collect();
            list(&json!(wanted), "orphans", json, orphan_line);
        }
        OrphanCommand::Show { orphan, socket } => {
            let path = format!("/api/v1/orphans/{orphan}");
            let answer = client::call(&socket.socket, Method::GET, &path, None)?.success()?;
            show(&answer, json, |o| format!("{}\nfound {}\n\n{}", orphan_line(o), text(o, "/at"), text(o, "/text")));
        }
        OrphanCommand::Resolve(args) => return resolve(args, json),
    }
    Ok(Exit::Done)
}

fn resolve(args: &ResolveArgs, json: bool) -> anyhow::Result<Exit> {
    let step = match args.step {
        StepArg::Adopt => "adopt",
        StepArg::Remove => "remove",
        StepArg::Restore => "restore",
        StepArg::Release => "release",
        StepArg::Leave => "leave",
    };
    let mut body = json!({ "step": step, "reason": args.reason });
    if let (Some(case), Some(end)) = (args.case, &args.end) {
        body["case"] = json!(case);
        body["end"] = json!(end);
    }
    let path = format!("/api/v1/orphans/{}/resolve", args.orphan);
    let answer = client::call(&args.socket.socket, Method::POST, &path, Some(&body))?;
    if answer.status == 403 {
        return super::measure::denied(&answer, json);
    }
    show(&answer.success()?, json, |v| match text(v, "/measures/0") {
        id if id.is_empty() => format!("{} {step}", args.orphan),
        id => format!("{} {step}: {id} proposed; a second person must approve it", args.orphan),
    });
    Ok(Exit::Done)
}

/// The ranking of ways and places that a proposal carries.
pub fn placement(placement: Option<&Value>) {
    let Some(placement) = placement.filter(|p| p.is_object()) else { return };
    for (i, c) in items(placement, "choices").enumerate() {
        let reason = text(c, "/reason");
        let possible = if reason.is_empty() { String::new() } else { format!(" — not possible: {reason}") };
        output::line(format!(
            "place {}. {} on {} ({}){possible}",
            i + 1,
            text(c, "/way"),
            text(c, "/device"),
            text(c, "/place")
        ));
        output::line(format!("   {}", text(c, "/words-en")));
    }
    for (i, s) in items(placement, "stages").enumerate() {
        output::line(format!("stage {}. {} {}", i + 1, text(s, "/words-en"), text(s, "/until-en")));
    }
}

/// Runs a BGP command.
pub fn bgp(command: &BgpCommand, json: bool) -> anyhow::Result<Exit> {
    let BgpCommand::Peers { socket } = command;
    let answer = client::call(&socket.socket, Method::GET, "/api/v1/sessions", None)?.success()?;
    list(&answer, "sessions", json, |p| {
        let number = |key: &str| p.get(key).and_then(Value::as_u64).unwrap_or_default();
        let families = items(p, "families").filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        let note = text(p, "/note");
        format!(
            "{:<16} {:<12} {:>6} routes  up {} down {}  {families}{}",
            text(p, "/peer"),
            text(p, "/state"),
            number("routes"),
            number("established"),
            number("lost"),
            if note.is_empty() { note } else { format!("  {note}") }
        )
    });
    Ok(Exit::Done)
}
