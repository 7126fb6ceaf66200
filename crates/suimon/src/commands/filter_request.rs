//! `filter request`, and reading requests for the other `filter` commands.

use super::{read, read_text};
use crate::cli::RequestArgs;
use crate::exit::{Exit, bad_input};
use crate::output;
use std::path::Path;
use suimon_base::{Action, Match, PortRange, Rule};
use suimon_filter::output::RequestOutput;
use suimon_filter::request::country::{self, Code};
use suimon_filter::request::country_data::{self, CountryAnswer, Data};
use suimon_filter::request::{self, Context, Critical, Format, Parsed};

/// Shows what a request is understood as.
pub fn run(args: &RequestArgs, json: bool) -> anyhow::Result<Exit> {
    let Some((format, parsed)) = understood(args, json)? else { return Ok(Exit::No) };
    if json {
        let Parsed { rules, questions } = parsed;
        let format = format.to_string();
        output::json(&RequestOutput { format, rules: rules.rules, questions, countries: Vec::new() });
        return Ok(Exit::Done);
    }
    output::line(format!("read as {format}"));
    for rule in &parsed.rules.rules {
        output::line(format!("  {}", words(rule)));
    }
    for q in &parsed.questions {
        output::line(format!("question: {} [taken: {}] {}", q.text_en, q.default, q.consequence_en));
        output::line(format!("          {}", q.text_ja));
    }
    Ok(Exit::Done)
}

/// Reads a request; `None` after printing what a country that it names can mean.
pub fn read_request(args: &RequestArgs, json: bool) -> anyhow::Result<Option<Parsed>> {
    Ok(understood(args, json)?.map(|u| u.1))
}

fn understood(args: &RequestArgs, json: bool) -> anyhow::Result<Option<(Format, Parsed)>> {
    let text = read_text(&args.request)?;
    let fail = |e: String| bad_input(format!("{}: {e}", args.request.display()));
    let format = match &args.format {
        Some(name) => name.parse::<Format>().map_err(|e| bad_input(e.to_string()))?,
        None => request::recognise(&text).map_err(|e| fail(e.to_string()))?,
    };
    let critical = match &args.critical {
        Some(path) => Critical::list(&read_text(path)?).map_err(|e| bad_input(format!("{}: {e}", path.display())))?,
        None => Vec::new(),
    };
    let context = Context { holdings: args.holds.clone(), own: args.own.clone(), critical, format: Some(format) };
    match request::parse_with(&text, &context) {
        Ok(parsed) => Ok(Some((format, parsed))),
        Err(e) => {
            let asked = if format == Format::Text { country::asked(&text) } else { Vec::new() };
            if asked.is_empty() {
                return Err(fail(e.to_string()));
            }
            let home = match &args.home {
                Some(cc) => Some(Code::new(cc).ok_or_else(|| bad_input(format!("--home {cc:?} is not two letters")))?),
                None => None,
            };
            let data = args.data.as_deref().map_or_else(|| Ok(Data::default()), country_files)?;
            let countries: Vec<CountryAnswer> = asked.iter().map(|a| country_data::answer(a, &data, home)).collect();
            if json {
                let format = format.to_string();
                output::json(&RequestOutput { format, rules: Vec::new(), questions: Vec::new(), countries });
            } else {
                countries.iter().for_each(print);
            }
            Ok(None)
        }
    }
}

/// The files of a folder, by their names.
fn country_files(folder: &Path) -> anyhow::Result<Data> {
    let cannot = |e: std::io::Error| bad_input(format!("cannot read {}: {e}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let known = name.starts_with("delegated-") || Path::new(name).extension().is_some_and(|e| e == "csv");
        if known && path.is_file() {
            let text = String::from_utf8_lossy(&read(&path)?).into_owned();
            files.push((name.to_owned(), text));
        }
    }
    files.sort();
    let pairs = files.iter().map(|(n, t)| (n.as_str(), t.as_str()));
    Data::read(pairs).map_err(|e| bad_input(format!("{}: {e}", folder.display())))
}

fn print(a: &CountryAnswer) {
    output::line(format!("line {}, column {}: {}", a.asked.line, a.asked.column, a.question_en));
    output::line(format!("  {}", a.question_ja));
    for d in &a.definitions {
        output::line(format!("- {}: {} / {}", kebab(&d.id), d.text_en, d.text_ja));
        match (&d.missing, d.addresses_v4, &d.addresses_v6, d.prefixes) {
            (Some(files), ..) => output::line(format!("  size unknown: no data; needs {files}")),
            (None, Some(v4), Some(v6), Some(lines)) => {
                output::line(format!("  {v4} IPv4 addresses, {v6} IPv6 addresses, at least {lines} lines"));
            }
            (None, ..) if !d.links.is_empty() => output::line(format!("  links: {}", d.links.join(", "))),
            (None, ..) => output::line("  nothing in the data"),
        }
        for x in &d.against {
            let with = kebab(&x.with);
            let (e, u) = (x.elsewhere_v4, x.unknown_v4);
            output::line(format!(
                "  {with} places {e} of them ({} %) elsewhere and knows nothing of {u}",
                x.elsewhere_percent
            ));
        }
        output::line(format!("  {}", d.errs_en));
        output::line(format!("  {}", d.errs_ja));
    }
    if let (Some(all), Some(any)) = (a.in_all_v4, a.in_any_v4) {
        output::line(format!("  in all measured definitions: {all} IPv4 addresses; in at least one: {any}"));
    }
}

fn kebab(d: &country_data::Definition) -> String {
    serde_json::to_value(d).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A rule in words.
fn words(rule: &Rule) -> String {
    let Match { src, dst, proto, src_ports, dst_ports, tcp_flags, fragment, lengths } = &rule.matches;
    let mut parts = vec![match rule.action {
        Action::Permit => "permit".to_owned(),
        Action::Discard => "drop".to_owned(),
        Action::LimitPps(n) => format!("limit to {n} packets/s"),
        Action::LimitBps(n) => format!("limit to {n} bit/s"),
    }];
    let ports = |l: &[PortRange]| l.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    parts.extend(proto.map(|p| format!("proto {p}")));
    for (name, list) in [("from", src), ("to", dst)] {
        if !list.is_empty() {
            let shown = list.iter().take(16).map(ToString::to_string).collect::<Vec<_>>().join(",");
            let more = if list.len() > 16 { format!(" and {} more", list.len() - 16) } else { String::new() };
            parts.push(format!("{name} {shown}{more}"));
        }
    }
    for (name, list) in [("source port", src_ports), ("destination port", dst_ports), ("length", lengths)] {
        if !list.is_empty() {
            parts.push(format!("{name} {}", ports(list)));
        }
    }
    parts.extend(tcp_flags.map(|t| format!("tcp flags {:#04x} of {:#04x}", t.value, t.mask)));
    parts.extend(fragment.map(|_| "later fragments".to_owned()));
    parts.join(" · ")
}
