//! "Block country X", 海外からの通信: never mapped to addresses in silence (catalogue rows 132, 133).
//!
//! A country is not a set of addresses. There are five usual meanings, and they disagree; what is answered is the list of
//! them, each with its size and with how far the others contradict it, worked out from data that the operator supplies.

use super::lex::{self, Kind, Token};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::OnceLock;

/// A two-letter country code, upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; 2]);

impl Code {
    /// From two letters of any case.
    pub fn new(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Code([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Code::new(&text).ok_or_else(|| serde::de::Error::custom("a country code is two letters"))
    }
}

/// Which addresses the words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// One country.
    In(Code),
    /// Everything but one country.
    NotIn(Code),
    /// 海外, 国外, abroad: everything but the home country, which the words do not name.
    Abroad,
    /// 国内: the home country, which the words do not name.
    Home,
    /// "By country", without a name.
    Unnamed,
}

/// Words of a request that mean a country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// As written, at most 60 characters.
    pub words: String,
    /// What they mean.
    pub which: Which,
}

/// Most mentions that are looked at.
pub const MAX_ASKED: usize = 20;

struct Names {
    english: HashMap<&'static str, Code>,
    /// Longest first, so that インドネシア is not India.
    japanese: Vec<(&'static str, Code)>,
    short: HashMap<Code, (&'static str, &'static str)>,
}

fn names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut n = Names { english: HashMap::new(), japanese: Vec::new(), short: HashMap::new() };
        for row in include_str!("countries.tsv").lines().filter(|l| !l.starts_with('#')) {
            let mut cells = row.split('\t');
            let (Some(code), Some(en), Some(ja)) = (cells.next().and_then(Code::new), cells.next(), cells.next())
            else {
                continue;
            };
            n.english.extend(en.split(';').map(|e| (e, code)));
            n.japanese.extend(ja.split(';').filter(|j| !j.is_empty()).map(|j| (j, code)));
            let first = |list: &'static str| list.split(';').next().unwrap_or_default();
            n.short.insert(code, (first(en), first(ja)));
        }
        n.japanese.sort_by_key(|j| std::cmp::Reverse(j.0.chars().count()));
        n
    })
}

/// The short names of a country, lower-case English and Japanese; the code itself where it is no country.
pub fn name_of(code: Code) -> (String, String) {
    names().short.get(&code).map_or_else(|| (code.to_string(), code.to_string()), |n| (n.0.into(), n.1.into()))
}

/// The words of a free text that mean a country, in their order.
pub fn asked(text: &str) -> Vec<Asked> {
    let Ok(tokens) = lex::tokens(text) else { return Vec::new() };
    let mut out: Vec<Asked> = Vec::new();
    let mut i = 0;
    while i < tokens.len() && out.len() < MAX_ASKED {
        let (found, next) = match &tokens[i].kind {
            Kind::Word(_) => english(&tokens, i, &out),
            Kind::Text(t) => (japanese(t, tokens.get(i + 1)), i + 1),
            _ => (None, i + 1),
        };
        if let Some(which) = found {
            let t = &tokens[i];
            let words = tokens[i..next.max(i + 1)].iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(" ");
            out.push(Asked { line: t.line, column: t.column, words: words.chars().take(60).collect(), which });
        }
        i = next.max(i + 1);
    }
    // "Block country Russia" names the country; the word "country" alone adds nothing.
    if out.iter().any(|a| a.which != Which::Unnamed) {
        out.retain(|a| a.which != Which::Unnamed);
    }
    out
}

fn word(tokens: &[Token], i: usize) -> Option<&str> {
    match tokens.get(i).map(|t| &t.kind) {
        Some(Kind::Word(w)) => Some(w),
        _ => None,
    }
}

/// A country named in English from token `i`, where what stands around it makes it part of the request; and the token
/// after it.
fn english(tokens: &[Token], i: usize, before: &[Asked]) -> (Option<Which>, usize) {
    const VERBS: [&str; 16] = [
        "block",
        "blocks",
        "blocking",
        "drop",
        "deny",
        "reject",
        "filter",
        "ban",
        "stop",
        "cut",
        "from",
        "geoblock",
        "country",
        "countries",
        "outside",
        "except",
    ];
    const BETWEEN: [&str; 16] = [
        "the",
        "all",
        "any",
        "traffic",
        "packets",
        "of",
        "and",
        "or",
        "in",
        "addresses",
        "ips",
        "ip",
        "everything",
        "connections",
        "coming",
        "originating",
    ];
    const AFTER: [&str; 10] =
        ["traffic", "ip", "ips", "address", "addresses", "hosts", "sources", "networks", "ranges", "isps"];
    match word(tokens, i) {
        Some("abroad" | "overseas" | "foreign") => return (Some(Which::Abroad), i + 1),
        Some("country" | "countries" | "geoblock" | "geoblocking" | "geoip") => {
            let code = word(tokens, i + 1).filter(|w| w.len() == 2 && *w != "in" && *w != "is").and_then(Code::new);
            if let Some(code) = code.filter(|c| names().short.contains_key(c)) {
                return (Some(Which::In(code)), i + 2);
            }
            return (Some(Which::Unnamed), i + 1);
        }
        _ => {}
    }
    let longest = (1..=6).rev().find_map(|n| {
        let parts: Option<Vec<&str>> = (i..i + n).map(|j| word(tokens, j)).collect();
        names().english.get(parts?.join(" ").as_str()).map(|c| (*c, i + n))
    });
    let Some((code, next)) = longest else { return (None, i + 1) };
    // Backwards over filling words and commas to a verb, or to another country.
    let mut back = i;
    let mut outside = false;
    let verb = loop {
        let Some(j) = back.checked_sub(1) else { break false };
        back = j;
        match &tokens[j].kind {
            Kind::Comma => {}
            Kind::Word(w) if VERBS.contains(&w.as_str()) => {
                outside = matches!(w.as_str(), "outside" | "except");
                break true;
            }
            Kind::Word(w) if BETWEEN.contains(&w.as_str()) => {}
            _ => {
                let place = (tokens[j].line, tokens[j].column);
                break before.last().is_some_and(|a| (a.line, a.column) <= place && a.line == place.0);
            }
        }
        if i - back > 6 {
            break false;
        }
    };
    let after = word(tokens, next).is_some_and(|w| AFTER.contains(&w));
    let which = if outside { Which::NotIn(code) } else { Which::In(code) };
    ((verb || after).then_some(which), next)
}

fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30fe}') && c != '\u{30fb}'
}

/// A country named inside a run of Japanese text.
fn japanese(t: &str, next: Option<&Token>) -> Option<Which> {
    if ["海外", "国外", "外国"].iter().any(|w| t.contains(w)) {
        let named = names().japanese.iter().find(|(n, _)| t.contains(&format!("{n}国外")));
        return Some(named.map_or(Which::Abroad, |n| Which::NotIn(n.1)));
    }
    const AFTER: [&str; 9] = ["から", "より", "発", "国内", "経由", "を遮断", "をブロック", "を止め", "をフィルタ"];
    const OF: [&str; 8] =
        ["の通信", "のアドレス", "のホスト", "のパケット", "のトラフィック", "の攻撃", "の送信元", "のネットワーク"];
    for (name, code) in &names().japanese {
        for (at, _) in t.match_indices(name) {
            let rest = &t[at + name.len()..];
            let kana = name.chars().all(is_katakana);
            let joined =
                kana && (t[..at].chars().next_back().is_some_and(is_katakana) || rest.starts_with(is_katakana));
            if joined {
                continue;
            }
            if rest.starts_with("以外") || rest.starts_with("国外") {
                return Some(Which::NotIn(*code));
            }
            let owns = matches!(next.map(|n| &n.kind), Some(Kind::Word(w)) if matches!(w.as_str(), "ip" | "ips" | "isp" | "as"));
            if AFTER.iter().chain(&OF).any(|a| rest.starts_with(a)) || (rest == "の" && owns) {
                return Some(Which::In(*code));
            }
        }
    }
    if t.contains("国内") {
        return Some(Which::Home);
    }
    ["国別", "国ごと", "国コード"].iter().any(|w| t.contains(w)).then_some(Which::Unnamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(text: &str) -> Vec<Which> {
        asked(text).into_iter().map(|a| a.which).collect()
    }

    #[test]
    fn countries_in_words() {
        let c = |s| Code::new(s).unwrap();
        for (text, want) in [
            ("Please block Russia.", vec![Which::In(c("ru"))]),
            ("block all traffic from the United States and China", vec![Which::In(c("us")), Which::In(c("cn"))]),
            ("block country KP", vec![Which::In(c("kp"))]),
            ("block country Viet Nam", vec![Which::In(c("vn"))]),
            ("drop Chinese IPs", vec![Which::In(c("cn"))]),
            ("everything from outside Japan", vec![Which::NotIn(c("jp"))]),
            ("block traffic from abroad", vec![Which::Abroad]),
            ("please geoblock", vec![Which::Unnamed]),
            ("ロシアからの通信を遮断してください", vec![Which::In(c("ru"))]),
            ("インドネシアからの通信", vec![Which::In(c("id"))]),
            ("中国のIPを遮断", vec![Which::In(c("cn"))]),
            ("日本以外からの通信を遮断", vec![Which::NotIn(c("jp"))]),
            ("海外からの通信を遮断", vec![Which::Abroad]),
            ("国内からのみ", vec![Which::Home]),
            // Not part of what is asked.
            ("Example Corp, Tokyo, Japan", vec![]),
            ("日本の弊社サーバ 192.0.2.1 宛", vec![]),
            ("192.0.2.1 53/UDP を遮断", vec![]),
        ] {
            assert_eq!(which(text), want, "{text}");
        }
        let a = asked("お世話になります。\n  block Russia now");
        assert_eq!((a[0].line, a[0].column, a[0].words.as_str()), (2, 9, "Russia"));
    }

    #[test]
    fn names_are_of_codes() {
        assert_eq!(names().short.len(), 249);
        assert_eq!(name_of(Code::new("JP").unwrap()), ("japan".into(), "日本".into()));
    }
}
