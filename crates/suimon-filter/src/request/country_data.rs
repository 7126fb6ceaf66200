//! The data behind "country X", supplied by the operator, and the answer worked out from it.
//!
//! Nothing is fetched and nothing is shipped: the answer is as old and as right as the files, and says which are missing.

use super::country::{Asked, Code, Which, name_of};
use crate::range::{Family, RangeSet, bounds};
use ipnet::IpNet;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Most lines of all files together.
pub const MAX_LINES: usize = 5_000_000;

/// What "country" can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Definition {
    /// The country that the registry wrote down for the block.
    Registration,
    /// Where a database places the host.
    Geolocation,
    /// The registration country of the AS that originates the route.
    OriginAs,
    /// Where the operator of that AS has its seat.
    Operator,
    /// Over which link the packets arrive.
    IngressLink,
}

impl Definition {
    /// Every definition, in the order of the answer.
    pub const ALL: [Definition; 5] = [
        Definition::Registration,
        Definition::Geolocation,
        Definition::OriginAs,
        Definition::Operator,
        Definition::IngressLink,
    ];

    /// What it means, English and Japanese.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Definition::Registration => {
                ("addresses registered with that country at the Internet registry", "レジストリの登録上の国で決める")
            }
            Definition::Geolocation => {
                ("addresses that a geolocation database places there", "位置情報データベースの推定する国で決める")
            }
            Definition::OriginAs => {
                ("addresses whose route is originated by an AS registered there", "経路の広告元ASの登録国で決める")
            }
            Definition::Operator => (
                "addresses whose origin AS is run by an operator with its seat there",
                "広告元ASの運用者の所在国で決める",
            ),
            Definition::IngressLink => {
                ("whatever arrives over the links that lead there", "その国につながる回線から入る通信で決める")
            }
        }
    }

    /// Where it errs by nature, English and Japanese.
    pub const fn errs(self) -> (&'static str, &'static str) {
        match self {
            Definition::Registration => (
                "It says who received the block, not where it is used: blocks are leased, sold and used worldwide.",
                "割り当てを受けた者の国であり、利用場所ではありません。貸与や移転、国をまたいだ利用があります。",
            ),
            Definition::Geolocation => (
                "It is a guess of the database's maker; VPNs, mobile exits and clouds are placed at their exit or seat.",
                "データベース作成者の推定です。VPN・携帯網・クラウドは出口や本社の国になります。",
            ),
            Definition::OriginAs => (
                "One AS may announce networks in many countries; the AS's registration says nothing of its hosts.",
                "1つのASが多くの国のネットワークを広告します。ASの登録国はホストの場所を示しません。",
            ),
            Definition::Operator => (
                "Global operators and clouds count wholly for the country of their seat.",
                "世界規模の事業者やクラウドは、すべて本社の国として数えられます。",
            ),
            Definition::IngressLink => (
                "It is no set of addresses but a place: everybody whose route leads over the link is hit, and routes change.",
                "アドレスではなく場所の指定です。その回線を通る全員が影響を受け、経路は変わります。",
            ),
        }
    }

    /// The files it needs.
    pub const fn files(self) -> &'static str {
        match self {
            Definition::Registration => "delegated-… (the registries' statistics files, extended or not)",
            Definition::Geolocation => "geolocation.csv (prefix,country)",
            Definition::OriginAs => "origin.csv (prefix,asn) and as-country.csv (asn,country)",
            Definition::Operator => "origin.csv (prefix,asn) and operator-country.csv (asn,country)",
            Definition::IngressLink => "ingress.csv (link,country)",
        }
    }
}

/// A file that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {message}")]
pub struct DataError {
    /// Its name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Addresses by country, of both families.
#[derive(Clone, Debug, Default)]
struct Map {
    of: BTreeMap<Code, [RangeSet; 2]>,
    known: [RangeSet; 2],
}

/// A range of one family with what is said of it.
type Said<T> = (Family, u128, u128, T);

impl Map {
    fn new(said: Vec<Said<Code>>) -> Self {
        let mut lists: BTreeMap<Code, [Vec<(u128, u128)>; 2]> = BTreeMap::new();
        let mut known: [Vec<(u128, u128)>; 2] = Default::default();
        for (family, lo, hi, code) in narrowest(said) {
            lists.entry(code).or_default()[family as usize].push((lo, hi));
            known[family as usize].push((lo, hi));
        }
        Map { of: lists.into_iter().map(|(c, l)| (c, l.map(RangeSet::new))).collect(), known: known.map(RangeSet::new) }
    }

    fn set(&self, which: Which) -> [RangeSet; 2] {
        match which {
            Which::In(code) => self.of.get(&code).cloned().unwrap_or_default(),
            Which::NotIn(code) => {
                let own = self.of.get(&code).cloned().unwrap_or_default();
                std::array::from_fn(|f| self.known[f].subtract(&own[f]))
            }
            Which::Abroad | Which::Home | Which::Unnamed => Default::default(),
        }
    }
}

/// Ranges without overlaps, in which the narrowest (of equals the last) speaks, as in routing.
fn narrowest<T: Copy + PartialEq>(mut said: Vec<Said<T>>) -> Vec<Said<T>> {
    said.sort_by_key(|s| (s.0, s.1, std::cmp::Reverse(s.2)));
    let mut out: Vec<Said<T>> = Vec::with_capacity(said.len());
    // Ranges that are open, widest first, and the first number that is not yet spoken for.
    let mut open: Vec<Said<T>> = Vec::new();
    let mut at = 0u128;
    let close = |open: &mut Vec<Said<T>>, out: &mut Vec<Said<T>>, at: &mut u128, until: Option<u128>| {
        while let Some(&(f, _, hi, t)) = open.last() {
            let end = until.map_or(hi, |u| u.min(hi));
            if *at <= end {
                out.push((f, *at, end, t));
                *at = end.saturating_add(1);
            }
            if until.is_some_and(|u| u < hi) {
                break;
            }
            open.pop();
        }
    };
    let mut family = None;
    for next in said {
        if family != Some(next.0) {
            close(&mut open, &mut out, &mut at, None);
            (family, at) = (Some(next.0), 0);
        }
        if next.1 > 0 {
            close(&mut open, &mut out, &mut at, Some(next.1 - 1));
        }
        at = at.max(next.1);
        open.push(next);
    }
    close(&mut open, &mut out, &mut at, None);
    out
}

/// What the operator supplied.
#[derive(Clone, Debug, Default)]
pub struct Data {
    maps: BTreeMap<Definition, Map>,
    links: Option<Vec<(String, Code)>>,
    /// Files that were not used since their names are none of the known ones.
    pub unused: Vec<String>,
}

impl Data {
    /// From files as (name, text). Known names are those of [`Definition::files`].
    ///
    /// # Errors
    /// At the first line that is not of its file's form.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, DataError> {
        let mut data = Data::default();
        let (mut registered, mut located, mut origins) = (Vec::new(), None, None);
        let (mut as_country, mut operators) = (None, None);
        let mut lines = 0usize;
        for (name, text) in files {
            lines += text.lines().count();
            if lines > MAX_LINES {
                let message = format!("more than {MAX_LINES} lines of data");
                return Err(DataError { file: name.into(), line: 1, message });
            }
            match name {
                _ if name.starts_with("delegated-") => registered.extend(delegated(name, text)?),
                "geolocation.csv" => located = Some(rows(name, text, |a, b| Some((prefix(a)?, Code::new(b)?)))?),
                "origin.csv" => origins = Some(rows(name, text, |a, b| Some((prefix(a)?, asn(b)?)))?),
                "as-country.csv" => as_country = Some(rows(name, text, |a, b| Some((asn(a)?, Code::new(b)?)))?),
                "operator-country.csv" => operators = Some(rows(name, text, |a, b| Some((asn(a)?, Code::new(b)?)))?),
                "ingress.csv" => data.links = Some(rows(name, text, |a, b| Some((a.to_owned(), Code::new(b)?)))?),
                _ => data.unused.push(name.into()),
            }
        }
        if !registered.is_empty() {
            data.maps.insert(Definition::Registration, Map::new(registered));
        }
        let span = |n: IpNet| (Family::of_net(&n), bounds(&n).0, bounds(&n).1);
        if let Some(list) = located {
            let said = list.into_iter().map(|(n, c)| (span(n).0, span(n).1, span(n).2, c)).collect();
            data.maps.insert(Definition::Geolocation, Map::new(said));
        }
        if let Some(list) = origins {
            let routes = narrowest(list.into_iter().map(|(n, a)| (span(n).0, span(n).1, span(n).2, a)).collect());
            for (definition, of) in [(Definition::OriginAs, as_country), (Definition::Operator, operators)] {
                let Some(of) = of else { continue };
                let of: HashMap<u32, Code> = of.into_iter().collect();
                let said = routes.iter().filter_map(|r| of.get(&r.3).map(|c| (r.0, r.1, r.2, *c))).collect();
                data.maps.insert(definition, Map::new(said));
            }
        }
        Ok(data)
    }
}

fn prefix(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)).map(|n| n.trunc())
}

fn asn(text: &str) -> Option<u32> {
    text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text).parse().ok()
}

/// Two columns; a first line of names, empty lines and `#` lines are passed over.
fn rows<A, B>(file: &str, text: &str, read: impl Fn(&str, &str) -> Option<(A, B)>) -> Result<Vec<(A, B)>, DataError> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut cells = line.split(',').map(|c| c.trim().trim_matches('"'));
        let row = cells.next().zip(cells.next()).and_then(|(a, b)| read(a, b));
        match row {
            Some(row) => out.push(row),
            // The names of the columns.
            None if i == 0 => {}
            None => {
                let message = format!("{:?} is not understood", line.chars().take(60).collect::<String>());
                return Err(DataError { file: file.into(), line: i + 1, message });
            }
        }
    }
    Ok(out)
}

/// `registry|cc|type|start|value|date|status…`, the statistics format of the Internet registries; the value is a count
/// of addresses for IPv4 and a prefix length for IPv6.
fn delegated(file: &str, text: &str) -> Result<Vec<Said<Code>>, DataError> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim().split('|').collect();
        let fail = |message: &str| Err(DataError { file: file.into(), line: i + 1, message: message.into() });
        let (&[_, cc, kind @ ("ipv4" | "ipv6"), start, value, ..], status) = (cells.as_slice(), cells.get(6)) else {
            continue;
        };
        // Free and reserved blocks have no country; summary lines have a `*`.
        let Some(code) = Code::new(cc).filter(|_| matches!(status, Some(&("allocated" | "assigned")))) else {
            continue;
        };
        let Ok(first) = start.parse::<IpAddr>() else { return fail("this is not an address") };
        let family = Family::of(first);
        let lo = crate::range::number(first);
        let hi = match (kind, value.parse::<u64>()) {
            ("ipv4", Ok(n)) if n > 0 && family == Family::V4 => lo + u128::from(n) - 1,
            ("ipv6", Ok(n)) if n <= 128 && family == Family::V6 => bounds(&family.net(lo, n as u8)).1,
            _ => return fail("the size is not understood"),
        };
        if hi > family.max() {
            return fail("the block ends after the last address");
        }
        out.push((family, lo, hi, code));
    }
    Ok(out)
}

/// How far one definition contradicts another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Against {
    /// The other definition.
    pub with: Definition,
    /// IPv4 addresses that the other places elsewhere.
    pub elsewhere_v4: u64,
    /// IPv4 addresses of which the other knows nothing.
    pub unknown_v4: u64,
    /// Share of this definition's IPv4 addresses that the other places elsewhere, in percent with one decimal.
    pub elsewhere_percent: f64,
}

/// One definition, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Which.
    pub id: Definition,
    /// What it means.
    pub text_en: &'static str,
    /// The same in Japanese.
    pub text_ja: &'static str,
    /// Where it errs by nature.
    pub errs_en: &'static str,
    /// The same in Japanese.
    pub errs_ja: &'static str,
    /// The files that are missing for its size; absent where it is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<&'static str>,
    /// IPv4 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses_v4: Option<u64>,
    /// IPv6 addresses, decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses_v6: Option<String>,
    /// The fewest prefixes of both families that are exactly these addresses: lines of a filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<usize>,
    /// Links, for the definition by ingress.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// How far the other measured definitions contradict it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<Against>,
}

/// The answer to a request that names a country.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CountryAnswer {
    /// The words.
    pub asked: Asked,
    /// What was measured; `None` where the words do not name it and no home was given.
    pub which: Option<Which>,
    /// The country in English and Japanese, where one is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<(String, String)>,
    /// Every definition.
    pub definitions: Vec<Measured>,
    /// IPv4 addresses in all measured address definitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_all_v4: Option<u64>,
    /// IPv4 addresses in at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_any_v4: Option<u64>,
    /// What to ask the customer, English.
    pub question_en: String,
    /// The same in Japanese.
    pub question_ja: String,
}

fn count(set: &RangeSet) -> u64 {
    u64::try_from(set.count()).unwrap_or(u64::MAX)
}

/// What the words can mean, with sizes from `data`. `home` is the country that 国内 and 海外 are seen from.
pub fn answer(asked: &Asked, data: &Data, home: Option<Code>) -> CountryAnswer {
    let which = match (asked.which, home) {
        (Which::Abroad, Some(h)) => Some(Which::NotIn(h)),
        (Which::Home, Some(h)) => Some(Which::In(h)),
        (Which::In(_) | Which::NotIn(_), _) => Some(asked.which),
        _ => None,
    };
    let sets: BTreeMap<Definition, [RangeSet; 2]> =
        data.maps.iter().filter_map(|(d, m)| which.map(|w| (*d, m.set(w)))).collect();
    let definitions = Definition::ALL.into_iter().map(|d| measure(d, data, &sets, which)).collect();
    let v4 = || sets.values().map(|s| s[0].clone());
    let name = match which {
        Some(Which::In(c) | Which::NotIn(c)) => Some(name_of(c)),
        _ => None,
    };
    let words = &asked.words;
    let (question_en, question_ja) = match which {
        None => (
            format!("Which country is meant by {words:?}, and which of the definitions below?"),
            format!("「{words}」はどの国のことでしょうか。また、下記のどの決め方でしょうか。"),
        ),
        Some(_) => (
            format!(
                "{words:?} is not a set of addresses. Which of the definitions below is meant, with its error accepted? Or name the attacking prefixes or ports instead."
            ),
            format!(
                "「{words}」だけではアドレスが決まりません。誤差をご理解のうえ、下記のどの決め方にするかご指定ください。攻撃元のアドレスやポートでの指定も可能です。"
            ),
        ),
    };
    CountryAnswer {
        asked: asked.clone(),
        which,
        name,
        definitions,
        in_all_v4: v4().reduce(|a, b| a.intersect(&b)).map(|s| count(&s)),
        in_any_v4: v4().reduce(|a, b| a.union(&b)).map(|s| count(&s)),
        question_en,
        question_ja,
    }
}

fn measure(d: Definition, data: &Data, sets: &BTreeMap<Definition, [RangeSet; 2]>, which: Option<Which>) -> Measured {
    let ((text_en, text_ja), (errs_en, errs_ja)) = (d.words(), d.errs());
    let there = if d == Definition::IngressLink { data.links.is_some() } else { data.maps.contains_key(&d) };
    let mut m = Measured {
        id: d,
        text_en,
        text_ja,
        errs_en,
        errs_ja,
        missing: (!there).then_some(d.files()),
        addresses_v4: None,
        addresses_v6: None,
        prefixes: None,
        links: Vec::new(),
        against: Vec::new(),
    };
    if let (Definition::IngressLink, Some(links), Some(which)) = (d, &data.links, which) {
        let holds = |c: Code| match which {
            Which::In(x) => c == x,
            Which::NotIn(x) => c != x,
            _ => false,
        };
        m.links = links.iter().filter(|l| holds(l.1)).map(|l| l.0.clone()).collect();
    }
    let Some(own) = sets.get(&d) else { return m };
    let size = count(&own[0]);
    m.addresses_v4 = Some(size);
    m.addresses_v6 = Some(own[1].count().to_string());
    m.prefixes = Some(Family::BOTH.into_iter().map(|f| own[f as usize].prefixes(f).len()).sum());
    for (&with, other) in sets.iter().filter(|(o, _)| **o != d) {
        let known = data.maps.get(&with).map(|m| m.known[0].clone()).unwrap_or_default();
        let outside = own[0].subtract(&other[0]);
        let elsewhere_v4 = count(&outside.intersect(&known));
        let percent = if size == 0 { 0.0 } else { elsewhere_v4 as f64 * 100.0 / size as f64 };
        m.against.push(Against {
            with,
            elsewhere_v4,
            unknown_v4: count(&outside.subtract(&known)),
            elsewhere_percent: (percent * 10.0).round() / 10.0,
        });
    }
    m
}
