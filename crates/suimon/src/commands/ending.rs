//! The way back of a measure on the command line: tasks, notices, checks, renewals, proposing again.

use super::case::{list, show, text};
use super::measure::{denied, joined};
use crate::cli::SocketArgs;
use crate::client;
use crate::exit::Exit;
use crate::output;
use clap::{Subcommand, ValueEnum};
use hyper::Method;
use serde_json::Value;
use suimon_base::MeasureId;
use suimon_base::ending::NoticeWhen;
use suimon_spine::command::{EndingAsk, StillThere};
use suimon_spine::stale::StaleWhy;

/// Before or after the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhenArg {
    /// Before the release
    Before,
    /// After the release
    After,
}

/// Steps on the way back.
#[derive(Debug, Subcommand)]
pub enum EndingCommand {
    /// Record that the counter-measure a measure waits for is done; the measure is released
    TaskDone {
        /// The measure, such as M-1
        measure: MeasureId,
        /// Who did it
        #[arg(long)]
        by: String,
        /// What was done
        #[arg(long, default_value = "")]
        words: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Record that a contact was told before or after a release
    Told {
        /// The measure, such as M-1
        measure: MeasureId,
        /// Before or after the release
        #[arg(long, value_enum)]
        when: WhenArg,
        /// Whom
        #[arg(long)]
        contact: String,
        /// How, and what they said
        #[arg(long, default_value = "")]
        words: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Record what the customer found when trying from their side after a release
    Access {
        /// The measure, such as M-1
        measure: MeasureId,
        /// Whether everything can be reached
        #[arg(long, action = clap::ArgAction::Set)]
        ok: bool,
        /// Who answered
        #[arg(long)]
        by: String,
        /// In their words
        #[arg(long, default_value = "")]
        words: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Ask that a measure stays longer, or agree to it as a second person
    Renew {
        /// The measure, such as M-1
        measure: MeasureId,
        /// The end from now on, as for `propose`
        #[arg(long, required_unless_present_any = ["approve", "refuse"])]
        end: Option<String>,
        /// How it was found out that the requester is still there and in charge
        #[arg(long, value_name = "HOW", conflicts_with = "requester_gone")]
        requester: Option<String>,
        /// The requester is not there any more: how that was found out
        #[arg(long, value_name = "HOW")]
        requester_gone: Option<String>,
        /// How it was found out that the one who answers for the measure still does
        #[arg(long, value_name = "HOW", conflicts_with = "owner_gone")]
        owner: Option<String>,
        /// The one who answers for the measure does not any more: how that was found out
        #[arg(long, value_name = "HOW")]
        owner_gone: Option<String>,
        /// Why it is still needed
        #[arg(long, default_value = "")]
        words: String,
        /// Agree to the renewal that waits, as a second person
        #[arg(long, conflicts_with_all = ["end", "refuse"])]
        approve: bool,
        /// Refuse the renewal that waits: why
        #[arg(long, value_name = "REASON", conflicts_with = "end")]
        refuse: Option<String>,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// List measures that have stood too long, and why
    Stale {
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Propose a measure that is gone again; it is decided anew and needs approval
    Reapply {
        /// The measure, such as M-1
        measure: MeasureId,
        /// Another end than it had
        #[arg(long)]
        end: Option<String>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
}

/// Runs a step.
pub fn run(command: &EndingCommand, json: bool) -> anyhow::Result<Exit> {
    if let EndingCommand::Stale { socket } = command {
        return stale(socket, json);
    }
    let Some((measure, socket, ask)) = ask(command) else { return Ok(Exit::Done) };
    let body = serde_json::to_value(&ask)?;
    let path = format!("/api/v1/measures/{measure}/ending");
    let answer = client::call(&socket.socket, Method::POST, &path, Some(&body))?;
    if answer.status == 403 {
        return denied(&answer, json);
    }
    show(&answer.success()?, json, |v| words(measure, &ask, v));
    Ok(Exit::Done)
}

/// One line a measure, with its reasons below it.
fn stale(socket: &SocketArgs, json: bool) -> anyhow::Result<Exit> {
    let answer = client::call(&socket.socket, Method::GET, "/api/v1/measures/stale", None)?.success()?;
    if !json && answer.as_array().is_some_and(Vec::is_empty) {
        output::line("no measure has stood too long");
        return Ok(Exit::Done);
    }
    list(&answer, "stale", json, |s| {
        let head = format!(
            "{:<6} {:<10} {:<6} {:<16} {:<20} {}",
            text(s, "/measure"),
            text(s, "/status"),
            text(s, "/case"),
            text(s, "/customer"),
            text(s, "/end"),
            joined(s.get("targets")),
        );
        let why = s.get("why").and_then(|w| serde_json::from_value::<Vec<StaleWhy>>(w.clone()).ok());
        let why = why.unwrap_or_default().into_iter().map(|w| format!("\n       {}", w.words_en()));
        format!("{head}{}", why.collect::<String>())
    });
    Ok(Exit::Done)
}

fn ask(command: &EndingCommand) -> Option<(MeasureId, &SocketArgs, EndingAsk)> {
    Some(match command {
        EndingCommand::Stale { .. } => return None,
        EndingCommand::TaskDone { measure, by, words, socket } => {
            (*measure, socket, EndingAsk::TaskDone { by: by.clone(), words: words.clone() })
        }
        EndingCommand::Told { measure, when, contact, words, socket } => {
            let when = match when {
                WhenArg::Before => NoticeWhen::Before,
                WhenArg::After => NoticeWhen::After,
            };
            (*measure, socket, EndingAsk::Told { when, contact: contact.clone(), words: words.clone() })
        }
        EndingCommand::Access { measure, ok, by, words, socket } => {
            (*measure, socket, EndingAsk::Access { ok: *ok, by: by.clone(), words: words.clone() })
        }
        EndingCommand::Renew { measure, approve: true, socket, .. } => (*measure, socket, EndingAsk::ApproveRenewal {}),
        EndingCommand::Renew { measure, refuse: Some(reason), socket, .. } => {
            (*measure, socket, EndingAsk::RefuseRenewal { reason: reason.clone() })
        }
        EndingCommand::Renew { measure, end, requester, requester_gone, owner, owner_gone, words, socket, .. } => {
            let ask = EndingAsk::Renew {
                end: end.clone().unwrap_or_default(),
                requester: still(requester, requester_gone),
                owner: still(owner, owner_gone),
                words: words.clone(),
            };
            (*measure, socket, ask)
        }
        EndingCommand::Reapply { measure, end, reason, socket } => {
            (*measure, socket, EndingAsk::Reapply { end: end.clone(), reason: reason.clone() })
        }
    })
}

/// Where nobody was asked, the words are empty, and the daemon says that they are needed.
fn still(there: &Option<String>, gone: &Option<String>) -> StillThere {
    StillThere { there: gone.is_none(), how: gone.as_ref().or(there.as_ref()).cloned().unwrap_or_default() }
}

fn words(measure: MeasureId, ask: &EndingAsk, answer: &Value) -> String {
    match ask {
        EndingAsk::TaskDone { .. } => format!("{measure}: on record; it is released now"),
        EndingAsk::Told { .. } | EndingAsk::Access { .. } => format!("{measure}: on record"),
        EndingAsk::Renew { .. } => format!("{measure}: a second person must agree (measure renew {measure} --approve)"),
        EndingAsk::ApproveRenewal {} => format!("{measure} renewed"),
        EndingAsk::RefuseRenewal { .. } => format!("{measure} not renewed; it ends as before"),
        EndingAsk::Reapply { .. } => {
            format!("{} proposed; a second person must approve it", text(answer, "/measures/0"))
        }
    }
}
