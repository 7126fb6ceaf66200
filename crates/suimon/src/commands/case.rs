//! `case …`: over the daemon's socket.

use super::read_text;
use crate::cli::{CaseCommand, LangArg};
use crate::exit::{Exit, bad_input};
use crate::{client, output};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use suimon_base::party::{Callback, ContactChannel, Requester};
use suimon_spine::command::RequestDraft;

/// The file of `case open`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RequestFile {
    /// Id of the customer in the configuration.
    customer: String,
    /// One line; the first words of the request where absent.
    #[serde(default)]
    title: Option<String>,
    /// Verbatim.
    words: String,
    /// The registered contact that asked.
    contact: String,
    /// Company as it introduced itself.
    company: String,
    /// Service or line identifier.
    service: String,
    /// telephone, mail or portal.
    channel: ContactChannel,
    /// Destinations; all that the customer holds where absent.
    #[serde(default)]
    scope: Vec<ipnet::IpNet>,
    /// Call-back, where it was already made.
    #[serde(default)]
    callback: Option<Callback>,
}

/// Runs a case command.
pub fn run(command: &CaseCommand, json: bool) -> anyhow::Result<Exit> {
    match command {
        CaseCommand::Open { request, socket } => {
            let file = request_file(request)?;
            let title = file.title.clone().unwrap_or_else(|| file.words.trim().chars().take(60).collect());
            let body = json!({ "customer": file.customer.clone(), "title": title, "request": file.draft() });
            let answer = client::call(&socket.socket, Method::POST, "/api/v1/cases", Some(&body))?.success()?;
            show(&answer, json, |v| format!("{} {}", text(v, "/case"), text(v, "/request")));
        }
        CaseCommand::List { socket } => {
            let answer = client::call(&socket.socket, Method::GET, "/api/v1/cases", None)?.success()?;
            list(&answer, "cases", json, |c| {
                format!(
                    "{:<6} {:<9} {:<16} {}",
                    text(c, "/id"),
                    text(c, "/phase"),
                    text(c, "/customer"),
                    text(c, "/title")
                )
            });
        }
        CaseCommand::Show { case, report: true, lang, socket } => {
            let lang = match lang {
                LangArg::Ja => "ja",
                LangArg::En => "en",
            };
            let path = format!("/api/v1/cases/{case}/report?lang={lang}");
            let answer = client::call(&socket.socket, Method::GET, &path, None)?;
            if answer.status != 200 {
                answer.success()?;
                return Ok(Exit::No);
            }
            if json { output::json(&json!({ "case": case, "report": answer.text })) } else { output::raw(&answer.text) }
        }
        CaseCommand::Show { case, socket, .. } => {
            let answer =
                client::call(&socket.socket, Method::GET, &format!("/api/v1/cases/{case}"), None)?.success()?;
            show(&answer, json, pretty);
        }
        CaseCommand::Request { case, request, socket } => {
            let body = serde_json::to_value(request_file(request)?.draft())?;
            let path = format!("/api/v1/cases/{case}/requests");
            let answer = client::call(&socket.socket, Method::POST, &path, Some(&body))?.success()?;
            show(&answer, json, |v| format!("{} {}", text(v, "/case"), text(v, "/request")));
        }
        CaseCommand::Withdraw { request, words, socket } => {
            let path = format!("/api/v1/requests/{request}/withdraw");
            let body = json!({ "words": words });
            let answer = client::call(&socket.socket, Method::POST, &path, Some(&body))?.success()?;
            show(&answer, json, |v| format!("{} withdrawn", text(v, "/request")));
        }
        CaseCommand::Note { case, text: remark, socket } => {
            let path = format!("/api/v1/cases/{case}/notes");
            let body = json!({ "text": remark });
            let answer = client::call(&socket.socket, Method::POST, &path, Some(&body))?.success()?;
            show(&answer, json, |v| format!("{} noted", text(v, "/case")));
        }
        CaseCommand::Callback { request, confirmed, note, socket } => {
            let body = json!({ "confirmed": confirmed, "note": note });
            let path = format!("/api/v1/requests/{request}/callback");
            let answer = client::call(&socket.socket, Method::POST, &path, Some(&body))?.success()?;
            show(&answer, json, |v| {
                format!("{} {}", text(v, "/request"), if *confirmed { "confirmed" } else { "not confirmed" })
            });
        }
        CaseCommand::Close { case, host_check, socket } => {
            let body = json!({ "host-check": host_check });
            let path = format!("/api/v1/cases/{case}/close");
            let answer = client::call(&socket.socket, Method::POST, &path, Some(&body))?.success()?;
            show(&answer, json, |v| format!("{} closed", text(v, "/case")));
        }
    }
    Ok(Exit::Done)
}

fn request_file(path: &Path) -> anyhow::Result<RequestFile> {
    toml::from_str(&read_text(path)?).map_err(|e| bad_input(format!("{}: {e}", path.display())))
}

impl RequestFile {
    fn draft(self) -> RequestDraft {
        RequestDraft {
            words: self.words,
            requester: Requester { company: self.company, contact: self.contact, service: self.service },
            channel: self.channel,
            scope: self.scope,
            asks_investigation: true,
            asks_blocking: true,
            callback: self.callback,
        }
    }
}

/// Prints an answer as JSON or in words.
pub fn show(answer: &Value, json: bool, words: impl FnOnce(&Value) -> String) {
    if json { output::json(answer) } else { output::line(words(answer)) }
}

/// Prints a list, one object a line.
pub fn list(answer: &Value, key: &str, json: bool, words: impl Fn(&Value) -> String) {
    let items = answer.get(key).unwrap_or(answer);
    for item in items.as_array().into_iter().flatten() {
        if json { output::json(item) } else { output::line(words(item)) }
    }
}

/// The text at a JSON pointer; empty where there is none.
pub fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Indented JSON, for people who look at a whole thing.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
