//! `measure release --all --without-daemon`: the way out when nothing else works.

use super::serve::own_user;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::exit::Exit;
use crate::output;
use serde_json::{Value, json};
use std::path::Path;
use suimon_base::{Actor, Clock as _};
use suimon_spine::emergency::{HandOutcome, release_all_without_engine};
use suimon_spine::ports::HandReport;

/// Lets go of everything that the configured routers hold. BGP routes went with the daemon's sessions.
pub fn run(config: &Path, words: &str, json: bool) -> anyhow::Result<Exit> {
    let config = Config::read(config)?;
    let actor = Actor::os_user(&own_user());
    let outcomes = release_all_without_engine(&config.data, &config.devices, &actor, words, SystemClock.now())?;
    let mut left = false;
    for outcome in &outcomes {
        for line in lines(outcome) {
            left |= line.get("error").is_some_and(|e| !e.is_null());
            if json { output::json(&line) } else { output::line(in_words(&line)) }
        }
    }
    if !json && outcomes.is_empty() {
        output::line("no [[device]] is configured; what a person entered, a person has to take out");
    }
    Ok(if left { Exit::No } else { Exit::Done })
}

fn lines(outcome: &HandOutcome) -> Vec<Value> {
    let line = |measure: Value, said: Value, error: Value| json!({ "hand": outcome.hand, "measure": measure, "said": said, "error": error });
    match &outcome.released {
        Err(error) => vec![line(Value::Null, Value::Null, json!(error.to_string()))],
        Ok(None) => vec![line(Value::Null, Value::Null, json!("this hand cannot look at what it holds"))],
        Ok(Some(all)) if all.is_empty() => vec![line(Value::Null, json!("nothing of ours is there"), Value::Null)],
        Ok(Some(all)) => all
            .iter()
            .map(|(id, result)| match result {
                Ok(HandReport::Done { place, receipt }) => {
                    line(json!(id), json!(format!("{place}: {receipt}")), Value::Null)
                }
                Ok(HandReport::ByPerson) => line(json!(id), Value::Null, json!("a person has to take it out")),
                Err(error) => line(json!(id), Value::Null, json!(error.to_string())),
            })
            .collect(),
    }
}

fn in_words(line: &Value) -> String {
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (hand, measure) = (text("hand"), text("measure"));
    match line.get("error").and_then(Value::as_str) {
        Some(error) => format!("{hand:<12} {measure:<6} FAILED: {error}"),
        None => format!("{hand:<12} {measure:<6} {}", text("said")),
    }
}
