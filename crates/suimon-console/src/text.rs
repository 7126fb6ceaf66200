//! Words of the pages, one table a language.
//!
//! Two structs of one type keep the languages together: the compiler finds a text that one of them lacks. Files of a
//! translation system (`i18n-embed` with Fluent) would replace them once others than programmers translate.

mod en;
mod fields;
mod ja;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

pub(crate) use fields::Texts;
pub(crate) use suimon_spine::report::Lang;

/// The table of a language.
pub(crate) const fn texts(lang: Lang) -> &'static Texts {
    match lang {
        Lang::Ja => &ja::JA,
        Lang::En => &en::EN,
    }
}

/// Code of a language as in HTML.
pub(crate) const fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::Ja => "ja",
        Lang::En => "en",
    }
}

/// The language of a code.
pub(crate) fn from_code(code: &str) -> Option<Lang> {
    match code {
        "ja" => Some(Lang::Ja),
        "en" => Some(Lang::En),
        _ => None,
    }
}

/// The language that a browser likes best of ours (RFC 9110 §12.5.4); Japanese where it likes none.
pub(crate) fn accepted(headers: &HeaderMap) -> Lang {
    let text = headers.get(ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut best = (0.0, Lang::Ja);
    for range in text.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let primary = parts.next().and_then(|tag| tag.split('-').next()).unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|p| p.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if let Some(lang) = from_code(&primary).filter(|_| quality > best.0) {
            best = (quality, lang);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn japanese(text: &str) -> bool {
        text.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
    }

    #[test]
    fn both_languages_say_everything_with_the_same_places_to_fill() {
        let places = |text: &str| {
            let mut found: Vec<String> =
                text.split('{').skip(1).filter_map(|p| Some(p.split_once('}')?.0.to_owned())).collect();
            found.sort();
            found
        };
        for ((name, ja), (_, en)) in texts(Lang::Ja).entries().into_iter().zip(texts(Lang::En).entries()) {
            assert!(!ja.trim().is_empty() && !en.trim().is_empty(), "{name} is empty");
            assert_eq!(places(ja), places(en), "{name}");
            let named_so_everywhere = ["act_rtbh", "sampling_words"].contains(&name);
            assert!(japanese(ja) || named_so_everywhere, "{name} is not Japanese: {ja}");
            let term_kept = ["exercise", "infringement_acquire", "infringement_use", "infringement_disclose"];
            assert!(!japanese(en) || term_kept.contains(&name), "{name} is not English: {en}");
        }
    }

    #[test]
    fn templates_hold_no_words_of_their_own() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut files = 0;
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let mut visible = String::new();
            let mut rest = text.as_str();
            while let Some(at) = rest.find(['<', '{']) {
                visible.push_str(&rest[..at]);
                let close = match rest.get(at..at + 2) {
                    Some("{{") => "}}",
                    Some("{%") => "%}",
                    _ => ">",
                };
                let end = rest[at..].find(close).unwrap_or_else(|| panic!("{}: no {close}", path.display()));
                rest = &rest[at + end + close.len()..];
            }
            visible.push_str(rest);
            // The product's name, the languages' own names, a unit, and the request's words, which are Japanese.
            for known in [
                "Suimon",
                "日本語",
                "English",
                " ms",
                "攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい",
            ] {
                visible = visible.replace(known, "");
            }
            let word = visible.split_whitespace().find(|w| w.chars().any(char::is_alphabetic));
            assert_eq!(word, None, "{}", path.display());
            files += 1;
        }
        assert!(files > 10);
    }

    #[test]
    fn the_browser_says_which_language() {
        let lang = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, text.parse().unwrap());
            accepted(&headers)
        };
        assert_eq!(lang("en-GB,en;q=0.8,ja;q=0.5"), Lang::En);
        assert_eq!(lang("fr, ja-JP;q=0.7, en;q=0.3"), Lang::Ja);
        assert_eq!(lang("en;q=0, fr"), Lang::Ja);
        assert_eq!(lang("en;q=nonsense"), Lang::Ja);
        assert_eq!(accepted(&HeaderMap::new()), Lang::Ja);
    }
}
