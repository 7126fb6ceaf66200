//! `filter compile` and `filter check`; the other `filter` commands are in the modules beside.

use super::{filter_judge, filter_request, filter_synthesize, read_text};
use crate::cli::{CompileArgs, FilterCommand};
use crate::exit::{Exit, bad_input};
use crate::output;
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::Dialect;
use suimon_filter::output::{CheckOutput, CompileOutput};
use suimon_filter::proof::{self, SetBox, Space};
use suimon_filter::request::Parsed;

/// Runs a `filter` command.
pub fn run(command: &FilterCommand, json: bool) -> anyhow::Result<Exit> {
    match command {
        FilterCommand::Request(args) => filter_request::run(args, json),
        FilterCommand::Synthesize(args) => filter_synthesize::run(args, json),
        FilterCommand::Lint(args) => filter_judge::lint(args, json),
        FilterCommand::Explain { acl, dialect, packet } => filter_judge::explain(acl, dialect, packet, json),
        FilterCommand::Diff { a, b, dialect, dialect_b } => {
            filter_judge::diff((a, dialect), (b, dialect_b.as_ref().unwrap_or(dialect)), json)
        }
        FilterCommand::Compile(args) => compile_request(args, json),
        FilterCommand::Plan(args) => super::filter_place::run(args, json),
        FilterCommand::Check { request, acl, dialect } => {
            let Some(parsed) = filter_request::read_request(request, json)? else { return Ok(Exit::No) };
            let dialect = dialect_of(dialect)?;
            let proof = proof::check(&parsed.rules, &read_text(acl)?, dialect)
                .map_err(|e| bad_input(format!("{}: {e}", acl.display())))?;
            let equal = proof.equal;
            if json {
                output::json(&CheckOutput::new(dialect, proof, parsed.questions));
            } else if equal {
                output::line(format!(
                    "equal: {} addresses, {} address/port pairs, nothing missing, nothing extra",
                    proof.requested.addresses, proof.requested.address_ports
                ));
            } else {
                space("missing", &proof.missing);
                space("extra", &proof.extra);
            }
            Ok(if equal { Exit::Done } else { Exit::No })
        }
    }
}

fn compile_request(args: &CompileArgs, json: bool) -> anyhow::Result<Exit> {
    let Some(parsed) = filter_request::read_request(&args.request, json)? else { return Ok(Exit::No) };
    let options = Options {
        name: args.name.clone(),
        version: args.list_version,
        case: args.case.clone(),
        requester: args.requester.clone(),
        end: args.end.clone(),
        interface: args.interface.clone(),
        outbound: args.outbound,
        profile: args.profile.parse().map_err(bad_input)?,
    };
    let dialect = dialect_of(&args.dialect)?;
    let compiled = compile(&parsed.rules, dialect, &options).map_err(|e| bad_input(e.to_string()))?;
    if json {
        output::json(&CompileOutput::new(compiled, parsed.questions));
    } else {
        notes(&parsed, &compiled.warnings);
        output::raw(if args.undo { &compiled.undo } else { &compiled.text });
    }
    Ok(Exit::Done)
}

/// A dialect by its name.
pub fn dialect_of(name: &str) -> anyhow::Result<Dialect> {
    name.parse().map_err(|e| bad_input(format!("{e}")))
}

/// Questions and warnings stand beside the text, not in it.
#[expect(
    clippy::print_stderr,
    reason = "the text on standard output is for a router; what people must know goes beside it"
)]
fn notes(parsed: &Parsed, warnings: &[String]) {
    for q in &parsed.questions {
        eprintln!("question: {} [taken: {}] {}", q.text_en, q.default, q.consequence_en);
        eprintln!("          {}", q.text_ja);
    }
    for w in warnings {
        eprintln!("warning: {w}");
    }
}

/// Prints a set of headers.
pub fn space(name: &str, space: &Space) {
    if space.is_empty() {
        return output::line(format!("{name}: nothing"));
    }
    output::line(format!("{name}: {} addresses, {} address/port pairs", space.addresses, space.address_ports));
    for b in &space.boxes {
        output::line(format!("  {}", words(b)));
    }
    if space.truncated {
        output::line("  …");
    }
}

fn words(b: &SetBox) -> String {
    let mut parts = Vec::new();
    for (name, list) in [
        ("proto", &b.proto),
        ("from", &b.src),
        ("to", &b.dst),
        ("source port", &b.src_ports),
        ("destination port", &b.dst_ports),
        ("tcp flags", &b.tcp_flags),
        ("length", &b.lengths),
    ] {
        if !list.is_empty() {
            parts.push(format!("{name} {}", list.join(",")));
        }
    }
    if let Some(fragment) = b.fragment {
        parts.push(format!("fragments: {fragment}"));
    }
    if parts.is_empty() { "everything".to_owned() } else { parts.join(" · ") }
}
