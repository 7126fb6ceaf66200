//! `docs/reference/vectors.md` is written from the table and the default limits: `UPDATE=1` renews it.

use std::fmt::Write as _;
use suimon_base::rule::TcpFlags;
use suimon_detect::vectors::{VectorRow, VectorTable};
use suimon_detect::{Limit, Thresholds, vector_name};

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn flags(t: TcpFlags) -> String {
    format!("flags & {:#04x} = {:#04x}", t.mask, t.value)
}

fn looks_like(r: &VectorRow) -> String {
    let mut parts = Vec::new();
    if !r.proto.is_empty() {
        parts.push(format!("IP protocol {}", list(&r.proto)));
    }
    if !r.src_ports.is_empty() {
        parts.push(format!("source port {}", list(&r.src_ports)));
    }
    parts.extend(r.flags.map(flags));
    if r.fragment.is_some() {
        parts.push("non-first fragments".to_owned());
    }
    parts.extend(r.min_len.map(|l| format!("mean length at least {l}")));
    parts.extend(r.max_len.map(|l| format!("mean length at most {l}")));
    if parts.is_empty() { "anything else".to_owned() } else { parts.join("; ") }
}

fn limit(l: &Limit) -> String {
    let parts: Vec<String> = [l.bps.map(|x| x.to_string()), l.pps.map(|x| x.to_string()), l.fps.map(|x| x.to_string())]
        .into_iter()
        .flatten()
        .collect();
    if parts.is_empty() { "–".to_owned() } else { parts.join(" or ") }
}

#[test]
fn vectors_page() {
    let table = VectorTable::built_in().unwrap();
    let t = Thresholds::default();
    let mut text = String::from(
        "# Vectors and default limits\n\n\
         Written from `crates/suimon-detect/vectors.toml` and the default thresholds; a test keeps it so.\n\n\
         A flow gets the name of the first row that it fits. Lengths are mean IP packet lengths in octets; flags are the\n\
         union of the flow's TCP flags. The limit is that of one address over one second, corrected for sampling. Vectors\n\
         marked * must also exceed four times the address's own normal rate. Why the limits are as they are is explained in\n\
         [detection](../explanation/detection.md).\n\n\
         | vector | name | 名称 | looks like | sources | default limit |\n|---|---|---|---|---|---|\n",
    );
    for r in table.rows() {
        let (en, ja) = vector_name(r.vector);
        let sources = if r.reflection { "reflectors" } else { "any" };
        let baseline = if matches!(r.proto.as_slice(), [6]) { "" } else { " *" };
        let limits = t.vectors.get(&r.vector).map_or("–".to_owned(), limit);
        writeln!(text, "| `{}`{baseline} | {en} | {ja} | {} | {sources} | {limits} |", r.vector, looks_like(r))
            .unwrap();
    }
    let (en, ja) = vector_name(suimon_base::Vector::Total);
    writeln!(text, "| `total` | {en} | {ja} | all traffic of the target | any | {} |", limit(&t.total)).unwrap();
    suimon_testkit::golden(&suimon_testkit::workspace_root().join("docs/reference/vectors.md"), &text);
}
