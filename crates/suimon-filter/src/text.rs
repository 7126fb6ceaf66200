//! Lines of filter texts, for people.

use crate::explain::LineOf;

/// A line by its number, cut to 200 characters.
pub fn line_of(lines: &[&str], line: usize) -> LineOf {
    let text = line.checked_sub(1).and_then(|i| lines.get(i)).map_or("", |l| l.trim());
    LineOf { line, text: text.chars().take(200).collect() }
}
