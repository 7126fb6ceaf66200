//! Lines of filter texts, for people.

use crate::explain::LineOf;

/// A line by its number, cut to 200 characters.
pub fn line_of(lines: &[&str], line: usize) -> LineOf {
    let text = line.checked_sub(1).and_then(|i| lines.get(i)).map_or("", |l| l.trim());
    LineOf { line, text: text.chars().take(200).collect() }
}

/// Remarks, comments and descriptions, with their places.
pub fn remarks<'a>(lines: &[&'a str]) -> Vec<(usize, &'a str)> {
    let marks = ["!", "#", "//", "/*", "*"];
    let words = ["remark", "description", "comment", "annotate"];
    let is = |l: &str| {
        let l = l.trim_start();
        marks.iter().any(|m| l.starts_with(m))
            || l.contains('#')
            || l.split([' ', '=', '"']).any(|w| words.contains(&w))
    };
    lines.iter().enumerate().filter(|(_, l)| is(l)).map(|(i, l)| (i + 1, *l)).collect()
}

/// Whether some remark says when the filter ends.
pub fn says_end(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    remarks(&lines).iter().any(|(_, l)| {
        let lower = l.to_lowercase();
        let mut words = lower.split(|c: char| !c.is_alphanumeric());
        words.any(|w| matches!(w, "end" | "ends" | "until" | "expires" | "expire" | "expiry"))
            || ["まで", "期限", "終了"].iter().any(|w| lower.contains(w))
    })
}
