//! `why`: is it you who drops this?

use super::case::text;
use crate::cli::WhyArgs;
use crate::client;
use crate::exit::{Exit, bad_input};
use crate::output;
use hyper::Method;
use serde_json::Value;

/// Asks the daemon.
pub fn run(args: &WhyArgs, json: bool) -> anyhow::Result<Exit> {
    let (port, at) = rest(&args.rest)?;
    let mut path = format!(
        "/api/v1/why?src={}&dst={}&proto={}",
        encoded(&args.src.to_string()),
        encoded(&args.dst.to_string()),
        encoded(&args.proto)
    );
    for (name, value) in [("port", port), ("src-port", args.src_port.map(|p| p.to_string())), ("at", at)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(&value)));
        }
    }
    let why = client::call(&args.socket.socket, Method::GET, &path, None)?.success()?;
    let touched = text(&why, "/verdict") != "passes";
    if json {
        output::json(&why);
    } else {
        print(&why);
    }
    Ok(if touched { Exit::Done } else { Exit::No })
}

/// `[PORT] [at TIME]`; a time of two words may stand without quotes.
fn rest(words: &[String]) -> anyhow::Result<(Option<String>, Option<String>)> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok((None, None)),
        [port] if *port != "at" => Ok((Some((*port).to_owned()), None)),
        ["at", time @ ..] if !time.is_empty() => Ok((None, Some(time.join(" ")))),
        [port, "at", time] => Ok((Some((*port).to_owned()), Some((*time).to_owned()))),
        _ => Err(bad_input("after the protocol: a port, then `at` and a time; a time of two words in quotes")),
    }
}

/// What a query may not hold as it is.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn list<'a>(v: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    v.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn print(why: &Value) {
    output::line(text(why, "/words-en"));
    output::line(text(why, "/words-ja"));
    for d in list(why, "deciders") {
        let id = [text(d, "/measure"), text(d, "/orphan")]
            .into_iter()
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        output::line(format!("\n{id} {} on {} {}", text(d, "/does"), text(d, "/hand"), text(d, "/place")));
        let age = d.get("age-ms").and_then(Value::as_i64).map(|ms| format!(", looked at {}", ago(ms)));
        output::line(format!("  known: {}{}", text(d, "/known"), age.unwrap_or_default()));
        let people =
            format!("{}, approved by {}", person(d.pointer("/of/proposed-by")), person(d.pointer("/of/approved-by")));
        let conditions = list(d, "conditions").filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
        let may_lift =
            d.get("of").map(|of| list(of, "may-lift").filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
        for (name, value) in [
            ("since", text(d, "/since")),
            ("line", d.pointer("/line/number").map_or_else(String::new, |n| format!("{n}: {}", text(d, "/line/text")))),
            ("only where", conditions),
            ("case", text(d, "/of/case")),
            ("customer", text(d, "/of/customer")),
            ("asked by", format!("{} {}", text(d, "/of/request"), text(d, "/of/asked-by")).trim().to_owned()),
            ("reason", text(d, "/of/reason")),
            ("ask", if d.get("of").is_some_and(Value::is_object) { people } else { String::new() }),
            ("may lift", may_lift.unwrap_or_default()),
            ("ends", text(d, "/of/end")),
        ] {
            if !value.is_empty() {
                output::line(format!("  {name}: {value}"));
            }
        }
    }
    for a in list(why, "absent") {
        output::line(format!(
            "\n{} is in force by the ledger, but not there: {} {} since {}",
            text(a, "/measure"),
            text(a, "/hand"),
            text(a, "/place"),
            text(a, "/since")
        ));
    }
    for d in list(why, "dark") {
        let since = text(d, "/since");
        let since = if since.is_empty() { String::new() } else { format!(" since {since}") };
        output::line(format!(
            "\nnot looked at: {} {}{since}: {}",
            text(d, "/hand"),
            text(d, "/place"),
            text(d, "/why")
        ));
    }
    if let Some(ms) = why.get("oldest-look-ms").and_then(Value::as_i64) {
        output::line(format!("\noldest look: {}", ago(ms)));
    }
}

fn person(v: Option<&Value>) -> String {
    v.map_or_else(String::new, |v| format!("{}:{}", text(v, "/kind"), text(v, "/name")))
}

fn ago(ms: i64) -> String {
    format!("{}.{} s ago", ms / 1_000, ms % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_and_time_are_told_apart() {
        let of = |words: &[&str]| rest(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).ok();
        let some = |t: &str| Some(t.to_owned());
        assert_eq!(of(&[]), Some((None, None)));
        assert_eq!(of(&["53"]), Some((some("53"), None)));
        assert_eq!(of(&["at", "2026-11-20", "12:34"]), Some((None, some("2026-11-20 12:34"))));
        assert_eq!(of(&["53", "at", "2026-11-20T03:34:00Z"]), Some((some("53"), some("2026-11-20T03:34:00Z"))));
        for bad in [&["at"][..], &["53", "2026-11-20"], &["53", "at"]] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
        assert_eq!(encoded("2001:db8::1 x"), "2001%3Adb8%3A%3A1%20x");
    }
}
