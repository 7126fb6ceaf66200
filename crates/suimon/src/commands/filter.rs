//! `filter compile` and `filter check`.

use super::read_text;
use crate::cli::FilterCommand;
use crate::exit::{Exit, bad_input};
use crate::output;
use std::path::Path;
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::Dialect;
use suimon_filter::output::{CheckOutput, CompileOutput};
use suimon_filter::proof::{self, SetBox, Space};
use suimon_filter::request::{self, Parsed};

/// Compiles or checks.
pub fn run(command: &FilterCommand, json: bool) -> anyhow::Result<Exit> {
    match command {
        FilterCommand::Compile { request, dialect, name, end } => {
            let parsed = parse(request)?;
            let options = Options { name: name.clone(), end: end.clone(), ..Options::default() };
            let compiled =
                compile(&parsed.rules, dialect_of(dialect)?, &options).map_err(|e| bad_input(e.to_string()))?;
            if json {
                output::json(&CompileOutput::new(compiled, parsed.questions));
            } else {
                notes(&parsed, &compiled.warnings);
                output::raw(&compiled.text);
            }
            Ok(Exit::Done)
        }
        FilterCommand::Check { request, acl, dialect } => {
            let parsed = parse(request)?;
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

fn parse(path: &Path) -> anyhow::Result<Parsed> {
    request::parse(&read_text(path)?).map_err(|e| bad_input(format!("{}: {e}", path.display())))
}

fn dialect_of(name: &str) -> anyhow::Result<Dialect> {
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

fn space(name: &str, space: &Space) {
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
