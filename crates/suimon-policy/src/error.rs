//! What is wrong with a pack, and where.

/// A pack cannot be used. Names the file and, where known, the line and column, both counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", place(file, *line, *column))]
pub struct PackError {
    /// The file of the pack.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
}

fn place(file: &str, line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        _ => file.to_owned(),
    }
}

impl PackError {
    /// An error about a file as a whole.
    pub(crate) fn whole(file: &str, message: impl Into<String>) -> Self {
        PackError { file: file.to_owned(), line: None, column: None, message: message.into() }
    }

    /// An error at a byte offset of `text`.
    pub(crate) fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        PackError { file: file.to_owned(), line: Some(line), column: Some(column), message: message.into() }
    }

    /// An error about the first place where `text` has `name` in quotes, or about the whole file.
    pub(crate) fn about(file: &str, text: &str, name: &str, message: impl Into<String>) -> Self {
        match text.find(&format!("\"{name}\"")) {
            Some(offset) => PackError::at(file, text, offset, message),
            None => PackError::whole(file, message),
        }
    }
}
