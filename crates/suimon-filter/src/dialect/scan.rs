//! Words of one line with their columns, and errors that point at them.

use super::ParseError;

/// Longest line that is read, in octets.
pub const MAX_LINE: usize = 65_536;

/// One word.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// As written.
    pub text: &'a str,
    /// From 1, in characters.
    pub column: usize,
}

/// The words of a line, in order.
pub struct Words<'a> {
    line: usize,
    list: Vec<Word<'a>>,
    at: usize,
    end: usize,
}

impl<'a> Words<'a> {
    /// Words separated by white space.
    pub fn new(line: usize, text: &'a str) -> Result<Self, ParseError> {
        if text.len() > MAX_LINE {
            return Err(error(line, 1, "the line is too long", &format!("at most {MAX_LINE} octets")));
        }
        let mut list = Vec::new();
        let mut start: Option<(usize, usize)> = None;
        let mut column = 0;
        for (at, c) in text.char_indices() {
            column += 1;
            match (c.is_whitespace(), start) {
                (false, None) => start = Some((at, column)),
                (true, Some((from, col))) => {
                    list.push(Word { text: &text[from..at], column: col });
                    start = None;
                }
                _ => {}
            }
        }
        if let Some((from, col)) = start {
            list.push(Word { text: &text[from..], column: col });
        }
        Ok(Words { line, list, at: 0, end: column + 1 })
    }
    /// The next word, left where it is.
    pub fn peek(&self) -> Option<Word<'a>> {
        self.list.get(self.at).copied()
    }
    /// The next word.
    pub fn next(&mut self) -> Option<Word<'a>> {
        let word = self.peek();
        self.at += usize::from(word.is_some());
        word
    }
    /// The next word, or an error that names what should stand there.
    pub fn need(&mut self, expected: &str) -> Result<Word<'a>, ParseError> {
        self.next().ok_or_else(|| error(self.line, self.end, "the line ends here", expected))
    }
    /// Takes the next word if it is `text`.
    pub fn take(&mut self, text: &str) -> bool {
        let yes = self.peek().is_some_and(|w| w.text == text);
        self.at += usize::from(yes);
        yes
    }
    /// The number of the line, from 1.
    pub fn number(&self) -> usize {
        self.line
    }
    /// An error if words are left.
    pub fn done(&self, expected: &str) -> Result<(), ParseError> {
        self.peek().map_or(Ok(()), |word| Err(self.unknown(word, expected)))
    }
    /// An error at a word.
    pub fn error(&self, word: Word<'_>, message: &str, expected: &str) -> ParseError {
        error(self.line, word.column, message, expected)
    }
    /// "Not understood" at a word.
    pub fn unknown(&self, word: Word<'_>, expected: &str) -> ParseError {
        self.error(word, &format!("{:?} is not understood here", clip(word.text)), expected)
    }
}

/// The first characters of something that may be long.
pub fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

/// An error at a place.
pub fn error(line: usize, column: usize, message: &str, expected: &str) -> ParseError {
    ParseError { line, column, message: message.into(), expected: expected.into() }
}
