//! What `nft list` says of one table, made ready for our reader, and its counters.

use crate::observed::{Counters, Seen};
use serde_json::Value;

/// Names of tables of family `inet` in the output of `nft -j list tables`; tables of other families come with it.
pub(crate) fn tables(json: &str) -> Result<Vec<(String, String)>, String> {
    let of = |t: &Value| Some((t.get("family")?.as_str()?.to_owned(), t.get("name")?.as_str()?.to_owned()));
    Ok(objects(json)?.iter().filter_map(|o| o.get("table").and_then(of)).collect())
}

fn objects(json: &str) -> Result<Vec<Value>, String> {
    let value: Value = serde_json::from_str(json).map_err(|e| format!("nft's JSON: {e}"))?;
    match value.get("nftables") {
        Some(Value::Array(list)) => Ok(list.clone()),
        _ => Err("nft's JSON has no list `nftables`".into()),
    }
}

/// One table: `json` from `nft -j list table`, `text` from `nft list table`.
pub(crate) fn table(name: &str, json: &str, text: &str) -> Result<Seen, String> {
    let (mut lines, mut chains, mut bound, mut faults) = (0, 0, Vec::new(), Vec::new());
    let mut counters: Option<Counters> = None;
    for object in objects(json)? {
        if let Some(chain) = object.get("chain") {
            chains += 1;
            let word = |k: &str| chain.get(k).map_or("none".to_owned(), |v| v.to_string().replace('"', ""));
            let hook = format!("{} {} {}", word("type"), word("hook"), word("prio"));
            if hook == "filter prerouting -450" && word("policy") == "accept" {
                bound.push("hook prerouting".into());
            } else {
                faults.push(format!("{name}: chain {} is {hook} policy {}", word("name"), word("policy")));
                if word("hook") != "none" {
                    bound.push(format!("hook {}", word("hook")));
                }
            }
        }
        let Some(rule) = object.get("rule") else { continue };
        lines += 1;
        let Some(Value::Array(steps)) = rule.get("expr") else { continue };
        let drops = steps.iter().any(|s| s.get("drop").is_some());
        let number = |c: &Value, k: &str| c.get(k).and_then(Value::as_u64);
        for c in steps.iter().filter_map(|s| s.get("counter")).filter(|_| drops) {
            let sum = counters.get_or_insert(Counters { packets: 0, octets: Some(0) });
            sum.packets = sum.packets.saturating_add(number(c, "packets").unwrap_or(0));
            sum.octets = sum.octets.map(|o| o.saturating_add(number(c, "bytes").unwrap_or(0)));
        }
    }
    if chains != 1 {
        faults.push(format!("{name}: {chains} chains; ours have one"));
    }
    Ok(Seen { name: name.into(), text: readable(text), lines, counters, bound, faults })
}

/// nft lists some things in other words than it takes; these are put back.
fn readable(text: &str) -> String {
    text.lines().flat_map(|l| [line(l), "\n".into()]).collect()
}

fn line(text: &str) -> String {
    let text = text.replace("frag-off & 8191", "frag-off & 0x1fff");
    let indent: String = text.chars().take_while(|c| c.is_whitespace()).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out: Vec<String> = Vec::new();
    let mut i = 0;
    while let Some(word) = words.get(i) {
        match (*word, words.get(i + 1..)) {
            // `tcp flags syn / syn,ack` is `tcp flags & (syn | ack) == syn`.
            ("flags", Some([value, "/", mask, ..])) => {
                let bar = |s: &str| format!("({})", s.replace(',', " | "));
                out.extend(["flags &".into(), bar(mask), "==".into(), bar(value)]);
                i += 4;
                continue;
            }
            ("over", Some([n, unit @ ("kbytes/second" | "mbytes/second"), ..])) => {
                let factor: u64 = if *unit == "kbytes/second" { 1 << 10 } else { 1 << 20 };
                if let Some(octets) = n.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)) {
                    out.extend(["over".into(), octets.to_string(), "bytes/second".into()]);
                    i += 3;
                    continue;
                }
            }
            _ => {}
        }
        out.push((*word).to_owned());
        i += 1;
    }
    indent + &out.join(" ")
}

/// Puts a counter before every drop of the compiler's text, so that the effect is known as numbers.
pub(crate) fn with_counters(text: &str) -> String {
    let one = |l: &str| match l.strip_suffix(" drop") {
        Some(rest) => format!("{rest} counter drop\n"),
        None => format!("{l}\n"),
    };
    text.lines().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_nft_become_words_of_the_reader() {
        for (said, read) in [
            ("\t\ttcp flags syn / syn,ack drop", "\t\ttcp flags & (syn | ack) == (syn) drop"),
            ("limit rate over 976 kbytes/second drop", "limit rate over 999424 bytes/second drop"),
            ("ip frag-off & 8191 == 0 udp dport 53", "ip frag-off & 0x1fff == 0 udp dport 53"),
            ("ip daddr 192.0.2.1 drop", "ip daddr 192.0.2.1 drop"),
        ] {
            assert_eq!(line(said), read);
        }
    }

    #[test]
    fn another_hook_or_a_second_chain_is_a_fault() {
        let table_of = |chains: &str| table("t", &format!("{{\"nftables\":[{chains}]}}"), "").unwrap();
        let ours =
            r#"{"chain":{"name":"prerouting","type":"filter","hook":"prerouting","prio":-450,"policy":"accept"}}"#;
        assert!(table_of(ours).faults.is_empty());
        let late = ours.replace("-450", "100");
        assert!(table_of(&late).faults[0].contains("prerouting 100"));
        assert_eq!(table_of(&format!("{ours},{ours}")).faults.len(), 1);
        assert!(table("t", "{}", "").is_err());
        assert!(tables("no json").is_err());
    }
}
