//! Configuration in braces, as Junos prints it: words, blocks, statements.

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 64;

/// `words;` or `words { body }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub words: Vec<String>,
    /// `None` for a statement without a block.
    pub body: Option<Vec<Statement>>,
}

impl Statement {
    /// Whether its words are exactly these.
    pub(crate) fn is(&self, words: &[&str]) -> bool {
        self.words.iter().map(String::as_str).eq(words.iter().copied())
    }
    /// Statements of its block.
    pub(crate) fn inside(&self) -> &[Statement] {
        self.body.as_deref().unwrap_or_default()
    }
    /// Itself as text, with the indentation of `depth` levels.
    pub(crate) fn text(&self, depth: usize) -> String {
        let indent = "    ".repeat(depth);
        let words = self.words.join(" ");
        match &self.body {
            None => format!("{indent}{words};\n"),
            Some(body) => {
                let inner: String = body.iter().map(|s| s.text(depth + 1)).collect();
                format!("{indent}{words} {{\n{inner}{indent}}}\n")
            }
        }
    }
}

/// Reads a configuration.
///
/// # Errors
/// At a brace that does not fit, with its line.
pub(crate) fn parse(text: &str) -> Result<Vec<Statement>, String> {
    let mut stack: Vec<(Vec<String>, Vec<Statement>)> = vec![(Vec::new(), Vec::new())];
    let mut words: Vec<String> = Vec::new();
    let mut comment = false;
    for (number, line) in text.lines().enumerate() {
        for token in tokens(line, &mut comment) {
            let fail = |what: &str| Err(format!("line {}: {what}", number + 1));
            match token.as_str() {
                "{" => {
                    if stack.len() >= MAX_DEPTH {
                        return fail("nested too deeply");
                    }
                    stack.push((std::mem::take(&mut words), Vec::new()));
                }
                "}" => {
                    let Some((head, body)) = stack.pop().filter(|_| !stack.is_empty()) else {
                        return fail("a closing brace without its opening one");
                    };
                    if !words.is_empty() {
                        return fail("a statement without its semicolon");
                    }
                    if let Some((_, outer)) = stack.last_mut() {
                        outer.push(Statement { words: head, body: Some(body) });
                    }
                }
                ";" => {
                    if let Some((_, outer)) = stack.last_mut()
                        && !words.is_empty()
                    {
                        outer.push(Statement { words: std::mem::take(&mut words), body: None });
                    }
                }
                _ => words.push(token),
            }
        }
    }
    match (stack.pop(), stack.is_empty() && words.is_empty()) {
        (Some((_, all)), true) => Ok(all),
        _ => Err("the text ends inside a block".into()),
    }
}

fn tokens(line: &str, comment: &mut bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        if *comment {
            if c == '*' && chars.peek() == Some(&'/') {
                chars.next();
                *comment = false;
            }
            continue;
        }
        match c {
            '"' => {
                quoted = !quoted;
                word.push(c);
            }
            _ if quoted => word.push(c),
            '/' if chars.peek() == Some(&'*') => *comment = true,
            '#' => break,
            '{' | '}' | ';' => {
                flush(&mut word, &mut out);
                out.push(c.to_string());
            }
            c if c.is_whitespace() => flush(&mut word, &mut out),
            c => word.push(c),
        }
    }
    flush(&mut word, &mut out);
    out
}

fn flush(word: &mut String, out: &mut Vec<String>) {
    if !word.is_empty() {
        out.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_and_written() {
        let text = "## Last commit: today\nsystem {\n  host-name r1; /* a { comment } */\n}\nfirewall { family inet {\n filter \"a b\" { term T { then accept; } } } }\n";
        let all = parse(text).unwrap();
        assert_eq!(all.len(), 2);
        assert!(all[0].is(&["system"]) && all[0].inside()[0].is(&["host-name", "r1"]));
        let again: String = all.iter().map(|s| s.text(0)).collect();
        assert_eq!(parse(&again).unwrap(), all);
    }

    #[test]
    fn braces_that_do_not_fit_are_errors() {
        for bad in ["a {", "}", "a { b }", "a", &"a {".repeat(100)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
