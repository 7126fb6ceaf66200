//! An order made ready for one router: proved once more, and nothing in it but what the compiler writes.

use crate::error::DeviceError;
use crate::names::owner;
use crate::observed::difference;
use suimon_base::{MeasureId, RuleSet};
use suimon_filter::dialect::Dialect;
use suimon_spine::ports::Order;

/// Longest text that is sent to a router, in octets: some ten thousand lines.
pub const MAX_TEXT_OCTETS: usize = 1 << 20;

/// What one measure should be on a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    id: MeasureId,
    rules: RuleSet,
    text: String,
    names: Vec<String>,
}

impl Wanted {
    /// Takes an order if its text drops exactly its rules in `dialect`, and names only lists of its measure.
    ///
    /// # Errors
    /// [`DeviceError::Config`] with the first reason; then nothing was sent anywhere.
    pub fn new(order: &Order, dialect: Dialect) -> Result<Self, DeviceError> {
        let refuse = |why: String| Err(DeviceError::Config(format!("{}: text refused: {why}", order.id)));
        if order.text.len() > MAX_TEXT_OCTETS {
            return refuse(format!("{} octets; at most {MAX_TEXT_OCTETS}", order.text.len()));
        }
        let strange = |c: char| !(c == '\n' || c == '\t' || (' '..='~').contains(&c));
        if let Some((n, _)) = order.text.lines().enumerate().find(|(_, l)| l.chars().any(strange)) {
            return refuse(format!("line {} has characters that a console may take for commands", n + 1));
        }
        // Remarks are words for people; a router gets none of them, so nothing can hide in one.
        let text: String = order.text.lines().filter(|l| !is_remark(l)).flat_map(|l| [l, "\n"]).collect();
        if let Some(why) = difference(&order.rules, &text, dialect) {
            return refuse(format!("as {dialect} it does not say what was approved: {why}"));
        }
        let names = names_in(&text, dialect);
        if names.is_empty() {
            return refuse("it names no list".into());
        }
        if let Some(other) = names.iter().find(|n| owner(n) != Some(order.id)) {
            return refuse(format!("{other} is not a list of this measure"));
        }
        if let Some(line) = outside(&text, dialect) {
            return refuse(format!("`{}` is more than a list", line.chars().take(60).collect::<String>()));
        }
        Ok(Wanted { id: order.id, rules: order.rules.clone(), text, names })
    }

    /// Which measure.
    pub fn id(&self) -> MeasureId {
        self.id
    }
    /// The rules that were approved.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }
    /// The text without remarks.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Lists in the text, in its order.
    pub fn names(&self) -> &[String] {
        &self.names
    }
    /// Lines of the text that are rules, counted generously: for budgets.
    pub fn lines(&self) -> usize {
        let words = ["deny", "permit", "drop", "accept", "discard"];
        let rule = |l: &&str| !l.contains("policy") && words.iter().any(|w| l.contains(w));
        self.text.lines().filter(rule).count()
    }
}

fn is_remark(line: &str) -> bool {
    let line = line.trim_start();
    let second = line.split(' ').nth(1);
    let numbered = second == Some("remark") && line.starts_with(|c: char| c.is_ascii_digit());
    let braces = line.starts_with("/*") && line.ends_with("*/");
    line.is_empty() || line.starts_with(['#', '!']) || line.starts_with("remark ") || numbered || braces
}

/// The first line outside any list that is not the beginning of one: readers forgive such lines, a router obeys them.
fn outside(text: &str, dialect: Dialect) -> Option<&str> {
    let braces = matches!(dialect, Dialect::Nftables | Dialect::Junos);
    let mut depth = 0_usize;
    for line in text.lines() {
        let top = if braces { depth == 0 } else { !line.starts_with(' ') };
        depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
        let words: Vec<&str> = line.split_whitespace().collect();
        let known = match (dialect, words.as_slice()) {
            (Dialect::Nftables, ["create", "table", "inet", name]) => owner(name).is_some(),
            (Dialect::Nftables, ["table", "inet", _, "{"]) | (Dialect::Junos, ["firewall", "{"]) => true,
            (Dialect::CiscoXr, ["commit"]) => true,
            (Dialect::Nftables | Dialect::Junos, _) => false,
            _ => !names_in(line, dialect).is_empty(),
        };
        if top && !known {
            return Some(line);
        }
    }
    None
}

/// Names of lists that a text makes.
fn names_in(text: &str, dialect: Dialect) -> Vec<String> {
    let head = |line: &str| -> Option<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = match (dialect, words.as_slice()) {
            (Dialect::Nftables, ["table", "inet", name, "{"]) => name,
            (Dialect::Junos, ["filter", name, "{"]) => name,
            (Dialect::CiscoIos, ["ip", "access-list", "extended", name]) => name,
            (Dialect::CiscoXr, ["ipv4", "access-list", name]) => name,
            (Dialect::CiscoIos | Dialect::CiscoXr, ["ipv6", "access-list", name]) => name,
            _ => return None,
        };
        Some((*name).to_owned())
    };
    text.lines().filter_map(head).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use suimon_filter::compile::{Options, compile};

    fn rules() -> RuleSet {
        let json =
            r#"{"rules":[{"matches":{"dst":["192.0.2.9/32","2001:db8::9/128"],"proto":17},"action":"discard"}]}"#;
        serde_json::from_str(json).unwrap()
    }

    fn order(dialect: Dialect) -> Order {
        let options = Options {
            name: "SUIMON-M-12".into(),
            case: Some("C-1".into()),
            end: Some("2027-01-01T00:00:00Z".into()),
            ..Options::default()
        };
        let c = compile(&rules(), dialect, &options).unwrap();
        Order { id: MeasureId(12), rules: rules(), text: c.text, undo: c.undo }
    }

    #[test]
    fn what_the_compiler_writes_is_taken_without_its_remarks() {
        for (dialect, lists) in
            [(Dialect::Nftables, 1), (Dialect::CiscoIos, 2), (Dialect::CiscoXr, 2), (Dialect::Junos, 2)]
        {
            let w = Wanted::new(&order(dialect), dialect).unwrap();
            assert_eq!(w.names().len(), lists, "{dialect}: {:?}", w.names());
            assert!(!w.text().contains("C-1"), "{dialect}");
            assert!(w.lines() >= 2, "{dialect}");
        }
    }

    #[test]
    fn what_is_not_the_compilers_is_refused_before_anything_is_sent() {
        let refused = |change: fn(&mut Order), dialect: Dialect, words: &str| {
            let mut o = order(dialect);
            change(&mut o);
            let e = Wanted::new(&o, dialect).unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        };
        refused(|o| o.text.push_str("reload\n"), Dialect::CiscoIos, "cannot be read");
        refused(|o| o.text.push_str("delete table inet filter\n"), Dialect::Nftables, "more than a list");
        refused(|o| o.text.insert_str(0, "flush ruleset\n"), Dialect::Nftables, "");
        refused(|o| o.text.push_str("no ip access-list extended EDGE\n"), Dialect::CiscoIos, "");
        refused(|o| o.text = o.text.replace("192.0.2.9", "192.0.2.10"), Dialect::Nftables, "not dropped though wanted");
        refused(
            |o| o.text = o.text.replace(" 10 deny udp any host 192", " 10 deny ip any host 192"),
            Dialect::CiscoIos,
            "dropped though not wanted",
        );
        refused(|o| o.text.push('\u{1b}'), Dialect::CiscoIos, "characters");
        refused(|o| o.text.insert_str(0, "# \r reload\n"), Dialect::Nftables, "characters");
        refused(|o| o.id = MeasureId(13), Dialect::Nftables, "not a list of this measure");
        refused(|o| o.text = "x".repeat(MAX_TEXT_OCTETS + 1), Dialect::Nftables, "octets");
        // The wrong dialect for the router.
        let nft = order(Dialect::Nftables);
        assert!(Wanted::new(&nft, Dialect::CiscoIos).is_err());
    }
}
