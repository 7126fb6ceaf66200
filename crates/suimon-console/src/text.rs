//! Words of the pages, one table a language.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

pub(crate) use suimon_spine::report::Lang;

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
