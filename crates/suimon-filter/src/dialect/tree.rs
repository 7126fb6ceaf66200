//! Text in braces as statements: Junos (`a { b c; }` and `set a b c`) and SR OS MD-CLI (`a { b c }` and `/a b c`).

use super::ParseError;
use super::scan::{clip, error};

/// Deepest nesting of braces.
pub const MAX_DEPTH: usize = 32;
/// Most words of one statement with those of the braces around it.
pub const MAX_WORDS: usize = 64;
/// Most statements of a text.
pub const MAX_STATEMENTS: usize = 4_000_000;

/// One word with its place.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// As written, without quotes.
    pub text: &'a str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Token<'_> {
    /// "Not understood" at this word.
    pub fn unknown<T>(self, expected: &str) -> Result<T, ParseError> {
        Err(error(self.line, self.column, &format!("{:?} is not understood here", clip(self.text)), expected))
    }
    /// An error at this word.
    pub fn fail<T>(self, message: &str, expected: &str) -> Result<T, ParseError> {
        Err(error(self.line, self.column, message, expected))
    }
}

/// What ends a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// A semicolon; a line that begins with `set` ends with the line.
    Semicolon,
    /// The line.
    Line,
}

struct Walk<'a, F> {
    path: Vec<Token<'a>>,
    /// Length of the path before each open brace, and whether a statement stood inside.
    open: Vec<(usize, bool)>,
    list: Option<Vec<Token<'a>>>,
    count: usize,
    visit: F,
}

/// Hands every statement, with the words of the braces around it before its own, to `visit`.
///
/// # Errors
/// Of `visit`, and for braces, quotes and comments that do not match.
pub fn walk<'a>(
    text: &'a str,
    ends: Ends,
    visit: impl FnMut(&[Token<'a>]) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let mut w = Walk { path: Vec::new(), open: Vec::new(), list: None, count: 0, visit };
    let mut comment: Option<(usize, usize)> = None;
    let mut last = 1;
    for (i, line) in text.lines().enumerate() {
        last = i + 1;
        w.line(last, line, ends, &mut comment)?;
    }
    if let Some((line, column)) = comment {
        return Err(error(line, column, "this comment does not end", "*/"));
    }
    let end = Token { text: "", line: last, column: 1 };
    if !w.open.is_empty() || w.list.is_some() {
        return end.fail("the text ends inside braces or brackets", "}");
    }
    w.end(end)
}

impl<'a, F: FnMut(&[Token<'a>]) -> Result<(), ParseError>> Walk<'a, F> {
    fn line(
        &mut self,
        number: usize,
        line: &'a str,
        ends: Ends,
        comment: &mut Option<(usize, usize)>,
    ) -> Result<(), ParseError> {
        let mut set = ends == Ends::Line;
        let mut chars = line.char_indices().enumerate().peekable();
        let mut last = Token { text: "", line: number, column: 1 };
        while let Some((column, (at, c))) = chars.next() {
            let rest = &line[at..];
            let token = |text: &'a str| Token { text, line: number, column: column + 1 };
            last = token("");
            if comment.is_some() {
                if rest.starts_with("*/") {
                    chars.next();
                    *comment = None;
                }
                continue;
            }
            match c {
                c if c.is_whitespace() => {}
                '/' if rest.starts_with("/*") => {
                    chars.next();
                    *comment = Some((number, column + 1));
                }
                '#' => break,
                '{' => self.enter(token("{"))?,
                '}' => self.leave(token("}"))?,
                ';' => self.end(token(";"))?,
                '[' if self.list.is_none() => self.list = Some(Vec::new()),
                ']' => {
                    if self.list.is_none() {
                        return token("]").fail("a bracket that was not opened", "[ before it");
                    }
                }
                '"' => {
                    let inner = &rest[1..];
                    let Some(len) = inner.find('"') else { return token("\"").fail("this string does not end", "\"") };
                    self.word(token(&inner[..len]))?;
                    for _ in inner[..=len].chars() {
                        chars.next();
                    }
                }
                _ => {
                    let stop = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '[' | ']' | '"' | '#');
                    let len = rest.find(stop).unwrap_or(rest.len());
                    let word = token(&rest[..len]);
                    for _ in rest[..len].chars().skip(1) {
                        chars.next();
                    }
                    if word.text == "set" && self.path.is_empty() && self.list.is_none() && ends == Ends::Semicolon {
                        set = true;
                    } else {
                        self.word(word)?;
                    }
                }
            }
        }
        if set && comment.is_none() { self.end(last) } else { Ok(()) }
    }

    fn word(&mut self, t: Token<'a>) -> Result<(), ParseError> {
        let list = self.list.as_mut().unwrap_or(&mut self.path);
        list.push(t);
        // A list's items become statements of their own, so only the path is bounded by words.
        let bound = if self.list.is_some() { MAX_STATEMENTS } else { MAX_WORDS };
        if self.list.as_ref().unwrap_or(&self.path).len() > bound {
            return t.fail("too many words in one statement", &format!("at most {MAX_WORDS}"));
        }
        Ok(())
    }

    fn start(&self) -> usize {
        self.open.last().map_or(0, |o| o.0)
    }

    fn enter(&mut self, t: Token<'a>) -> Result<(), ParseError> {
        if self.path.len() == self.start() || self.list.is_some() {
            return t.fail("a brace without a word before it", "a word");
        }
        if self.open.len() >= MAX_DEPTH {
            return t.fail("too many braces inside each other", &format!("at most {MAX_DEPTH}"));
        }
        self.open.push((self.path.len(), false));
        Ok(())
    }

    fn leave(&mut self, t: Token<'a>) -> Result<(), ParseError> {
        self.end(t)?;
        let Some((_, used)) = self.open.pop() else { return t.fail("a brace that was not opened", "{ before it") };
        if !used {
            self.emit(t)?;
        }
        let start = self.start();
        self.path.truncate(start);
        if let Some(o) = self.open.last_mut() {
            o.1 = true;
        }
        Ok(())
    }

    /// Ends a statement, if one began.
    fn end(&mut self, t: Token<'a>) -> Result<(), ParseError> {
        let start = self.start();
        if self.path.len() == start && self.list.is_none() {
            return Ok(());
        }
        match self.list.take() {
            Some(items) => {
                for item in items {
                    self.path.push(item);
                    self.emit(item)?;
                    self.path.pop();
                }
            }
            None => self.emit(t)?,
        }
        self.path.truncate(start);
        if let Some(o) = self.open.last_mut() {
            o.1 = true;
        }
        Ok(())
    }

    fn emit(&mut self, t: Token<'a>) -> Result<(), ParseError> {
        self.count += 1;
        if self.count > MAX_STATEMENTS {
            return t.fail("too many statements", &format!("at most {MAX_STATEMENTS}"));
        }
        (self.visit)(&self.path)
    }
}

/// The words of a statement, taken one by one.
pub struct Path<'s, 'a> {
    words: &'s [Token<'a>],
    at: usize,
}

impl<'s, 'a> Path<'s, 'a> {
    /// From its beginning; `words` is never empty.
    pub fn new(words: &'s [Token<'a>]) -> Self {
        Path { words, at: 0 }
    }
    /// The next word, left where it is.
    pub fn peek(&self) -> Option<Token<'a>> {
        self.words.get(self.at).copied()
    }
    /// The next word, or an error behind the last one.
    pub fn need(&mut self, expected: &str) -> Result<Token<'a>, ParseError> {
        let word = self.peek();
        self.at += 1;
        word.map_or_else(
            || {
                let last = self.words.last().copied().unwrap_or(Token { text: "", line: 1, column: 1 });
                let column = last.column + last.text.chars().count();
                Err(error(last.line, column, "the statement ends here", expected))
            },
            Ok,
        )
    }
    /// Nothing more may follow.
    pub fn done(&self) -> Result<(), ParseError> {
        self.peek().map_or(Ok(()), |w| w.unknown("the end of the statement"))
    }
}
