//! Free text → addresses, numbers, words and marks with their places.

use super::{MAX_ITEMS, RequestError, at};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a piece of text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Addr(IpAddr),
    Number(u32),
    /// Lower-case ASCII word.
    Word(String),
    /// A run of Japanese (or other non-ASCII) characters.
    Text(String),
    /// `~` and everything that is written for it.
    Tilde,
    /// `-` and everything that is written for it.
    Dash,
    Slash,
    /// Comma, semicolon, `・`, `、`, `+`, `&`.
    Comma,
    Colon,
    /// A line ends; `true` when the line was blank.
    Break(bool),
    Other,
}

/// A piece of text.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub line: usize,
    pub column: usize,
    /// As written.
    pub text: String,
    /// Whether white space stands before it.
    pub spaced: bool,
}

impl Token {
    pub fn error(&self, message: &str) -> RequestError {
        at(self.line, self.column, &self.text, message)
    }
}

/// One character after normalization, with what was written and where.
#[derive(Clone, Copy)]
struct Ch {
    c: char,
    column: usize,
    raw: char,
}

fn plain(c: char) -> char {
    match c {
        '\u{ff5e}' | '\u{301c}' | '\u{223c}' | '\u{2053}' => '~',
        '\u{ff01}'..='\u{ff5d}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff70}' => '-',
        '\u{3000}' | '\u{a0}' => ' ',
        '、' | '・' | '･' | '\u{ff64}' => ',',
        '。' | '｡' => ';',
        _ => c,
    }
}

/// `1[.]2`, `1(.)2`, `1[dot]2` and `[:]` are how addresses are made harmless in mail.
fn refang(chars: &[Ch]) -> Vec<Ch> {
    const DEFANGED: [(&str, char); 7] =
        [("[.]", '.'), ("(.)", '.'), ("{.}", '.'), ("[dot]", '.'), ("(dot)", '.'), ("[:]", ':'), ("[/]", '/')];
    let mut out = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let found = DEFANGED.iter().find(|(pattern, _)| {
            let mut rest = chars[i..].iter();
            pattern.chars().all(|p| rest.next().is_some_and(|x| x.c.to_ascii_lowercase() == p))
        });
        match found {
            Some((pattern, c)) => {
                out.push(Ch { c: *c, ..chars[i] });
                i += pattern.len();
            }
            None => {
                out.push(chars[i]);
                i += 1;
            }
        }
    }
    out
}

/// The text with blank lines for the quoted ones (`> …`), where there are such.
pub fn without_quotes(text: &str) -> Option<String> {
    let quoted = |line: &str| line.chars().map(plain).find(|c| !c.is_whitespace()) == Some('>');
    let own = |line: &str| format!("{}\n", if quoted(line) { "" } else { line });
    text.lines().any(quoted).then(|| text.lines().map(own).collect())
}

/// The tokens of a request.
pub fn tokens(text: &str) -> Result<Vec<Token>, RequestError> {
    let mut out = Vec::new();
    let mut folds = false;
    for (i, line) in text.lines().enumerate() {
        let chars: Vec<Ch> =
            line.chars().enumerate().map(|(col, raw)| Ch { c: plain(raw), column: col + 1, raw }).collect();
        let quoted = chars.iter().take_while(|x| matches!(x.c, '>' | ' ' | '|' | '\t')).count();
        let indented = chars.get(quoted.saturating_sub(1)).or(chars.first()).is_some_and(|x| x.c.is_whitespace());
        let chars = refang(&chars[quoted..]);
        let header = is_mail_header(&chars);
        folds = folding(&chars) || (folds && indented && !chars.is_empty());
        if !header && !folds {
            one_line(i + 1, &chars, &mut out)?;
        }
        let blank = chars.iter().all(|x| x.c.is_whitespace());
        out.push(Token { kind: Kind::Break(blank), line: i + 1, column: 1, text: String::new(), spaced: true });
        if out.len() > MAX_ITEMS * 8 {
            return Err(at(i + 1, 1, "", "the request names too many things"));
        }
    }
    Ok(out)
}

/// Whether a line is a header of quoted mail.
pub fn is_header(line: &str) -> bool {
    let chars: Vec<Ch> = line.chars().enumerate().map(|(i, raw)| Ch { c: plain(raw), column: i + 1, raw }).collect();
    is_mail_header(&chars)
}

/// Header lines of quoted mail say nothing about the filter.
fn is_mail_header(chars: &[Ch]) -> bool {
    let line: String = chars.iter().map(|x| x.c.to_ascii_lowercase()).collect();
    let always = ["subject:", "date:", "sent:", "message-id:", "件名:", "日時:", "送信日時:"];
    let with_mailbox = ["from:", "to:", "cc:", "差出人:", "宛先:", "reply-to:"];
    folding(chars)
        || always.iter().any(|h| line.starts_with(h))
        || (line.contains('@') && with_mailbox.iter().any(|h| line.starts_with(h)))
        || (line.trim_end().ends_with("wrote:") && line.starts_with("on "))
}

/// Headers that mail programs write for each other and continue on indented lines; they are full of addresses of relays.
fn folding(chars: &[Ch]) -> bool {
    const NAMES: [&str; 17] = [
        "received:",
        "received-spf:",
        "authentication-results:",
        "dkim-signature:",
        "return-path:",
        "delivered-to:",
        "mime-version:",
        "content-type:",
        "content-transfer-encoding:",
        "content-disposition:",
        "in-reply-to:",
        "references:",
        "user-agent:",
        "list-unsubscribe:",
        "list-id:",
        "thread-index:",
        "thread-topic:",
    ];
    let line: String = chars.iter().take(60).map(|x| x.c.to_ascii_lowercase()).collect();
    let own = ["x-", "arc-"].iter().any(|p| {
        let name = line.strip_prefix(p).and_then(|r| r.split_once(':')).map(|r| r.0);
        name.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    });
    own || NAMES.iter().any(|n| line.starts_with(n))
}

/// `http://`, `hxxps://` … from `i`: only its host and port are read, as an address with a TCP port; the rest of a URL
/// says nothing about packets.
fn url(line: usize, chars: &[Ch], i: &mut usize, spaced: bool, out: &mut Vec<Token>) -> Result<bool, RequestError> {
    const SCHEMES: [&str; 6] = ["https", "http", "hxxps", "hxxp", "ftp", "fxp"];
    let rest: String = chars[*i..].iter().take(12).map(|x| x.c.to_ascii_lowercase()).collect();
    let Some(scheme) = SCHEMES.iter().find(|s| rest.strip_prefix(**s).is_some_and(|r| r.starts_with("://"))) else {
        return Ok(false);
    };
    let from = *i + scheme.len() + 3;
    let all = |x: &&Ch| !x.c.is_whitespace() && x.c.is_ascii() && !matches!(x.c, '"' | '<' | '>' | ',' | ';');
    let end = from + chars[from..].iter().take_while(all).count();
    let host_end = from + chars[from..end].iter().take_while(|x| !matches!(x.c, '/' | '?' | '#')).count();
    let host = &chars[from..host_end];
    let mut own = Vec::new();
    one_line(line, host, &mut own)?;
    let address = own.iter().find(|t| matches!(t.kind, Kind::Addr(_))).cloned();
    let port = match own.as_slice() {
        [.., a, b] if a.kind == Kind::Colon && matches!(b.kind, Kind::Number(_)) => Some(b.clone()),
        _ => None,
    };
    if let Some(address) = address {
        out.push(Token { spaced, ..address });
        if let Some(port) = port {
            let after = |kind, text: &str| Token { kind, text: text.into(), spaced: false, ..port.clone() };
            out.extend([
                Token { spaced: true, ..port.clone() },
                after(Kind::Slash, "/"),
                after(Kind::Word("tcp".into()), "tcp"),
            ]);
        }
    }
    *i = end;
    Ok(true)
}

fn one_line(line: usize, chars: &[Ch], out: &mut Vec<Token>) -> Result<(), RequestError> {
    let mut i = 0;
    let mut spaced = true;
    while i < chars.len() {
        let c = chars[i].c;
        if c.is_whitespace() {
            spaced = true;
            i += 1;
            continue;
        }
        let start = i;
        let kind = match c {
            '~' => single(&mut i, Kind::Tilde),
            '-' => single(&mut i, Kind::Dash),
            '/' => single(&mut i, Kind::Slash),
            ',' | ';' | '+' | '&' => single(&mut i, Kind::Comma),
            ':' if !starts_ipv6(&chars[i..]) => single(&mut i, Kind::Colon),
            'h' | 'H' | 'f' | 'F' if url(line, chars, &mut i, spaced, out)? => {
                spaced = true;
                continue;
            }
            _ if c.is_ascii_alphanumeric() || c == ':' => {
                let end = i + chars[i..].iter().take_while(|x| in_word(x.c)).count();
                let mut all: Vec<Ch> = chars[i..end].to_vec();
                while all.len() > 1
                    && matches!(all.last().map(|x| x.c), Some('.' | ':' | '_' | '@'))
                    && !ends_double_colon(&all)
                {
                    all.pop();
                }
                word(line, &all, &mut i, out, spaced)?;
                spaced = false;
                continue;
            }
            _ if !c.is_ascii() => {
                i += chars[i..].iter().take_while(|x| !x.c.is_ascii() && !x.c.is_whitespace()).count();
                Kind::Text(chars[start..i].iter().map(|x| x.c).collect())
            }
            _ => single(&mut i, Kind::Other),
        };
        push(line, &chars[start..i], kind, spaced, out);
        spaced = false;
    }
    Ok(())
}

fn single(i: &mut usize, kind: Kind) -> Kind {
    *i += 1;
    kind
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '@' | '%')
}

fn ends_double_colon(all: &[Ch]) -> bool {
    matches!(all, [.., a, b] if a.c == ':' && b.c == ':')
}

fn starts_ipv6(chars: &[Ch]) -> bool {
    matches!(chars, [a, b, ..] if a.c == ':' && b.c == ':')
}

fn push(line: usize, chars: &[Ch], kind: Kind, spaced: bool, out: &mut Vec<Token>) {
    let Some(first) = chars.first() else { return };
    out.push(Token { kind, line, column: first.column, text: chars.iter().map(|x| x.raw).collect(), spaced });
}

/// A run of letters, digits, dots and colons.
fn word(line: usize, all: &[Ch], i: &mut usize, out: &mut Vec<Token>, spaced: bool) -> Result<(), RequestError> {
    let text: String = all.iter().map(|x| x.c.to_ascii_lowercase()).collect();
    let written: String = all.iter().map(|x| x.raw).collect();
    let column = all.first().map_or(1, |x| x.column);
    let fail = |message: &str| Err(at(line, column, &written, message));
    let colons = text.bytes().filter(|&b| b == b':').count();
    let hex = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
    if colons >= 2 && hex {
        if let Ok(a) = text.parse::<Ipv6Addr>() {
            push(line, all, Kind::Addr(IpAddr::V6(a)), spaced, out);
            *i += all.len();
            return Ok(());
        }
        if text.contains("::") || colons == 7 {
            return fail("this is not an IPv6 address");
        }
    }
    // Everything else ends at the first colon, and digits end where letters begin: `192.0.2.1:80`, `port:53`, `tcp80`.
    let digits = text.bytes().take_while(|&b| b.is_ascii_digit() || b == b'.').count();
    let len = if digits > 0 {
        let trimmed = text[..digits].trim_end_matches('.').len();
        let rest = &text[trimmed..];
        if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '@') && !is_unit(rest) {
            text.find(':').unwrap_or(text.len())
        } else {
            trimmed
        }
    } else if let Some(name) = ["tcp", "udp", "sctp", "port"]
        .iter()
        .find(|n| text.strip_prefix(**n).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())))
    {
        name.len()
    } else {
        text.find(':').filter(|&p| p > 0).unwrap_or(text.len())
    };
    let part = &text[..len];
    let kind = if part.bytes().all(|b| b.is_ascii_digit()) {
        match part.parse() {
            Ok(n) => Kind::Number(n),
            Err(_) => return fail("the number is too large"),
        }
    } else if part.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        dotted(part).map_err(|m| at(line, column, &written, &m))?.map_or(Kind::Other, |a| Kind::Addr(IpAddr::V4(a)))
    } else {
        Kind::Word(part.to_owned())
    };
    push(line, &all[..len], kind, spaced, out);
    *i += len;
    Ok(())
}

/// Letters that may follow a number without a space: `53udp`, `80tcp`.
fn is_unit(rest: &str) -> bool {
    ["tcp", "udp", "sctp"].iter().any(|p| rest.strip_prefix(p).is_some_and(|r| !r.starts_with(char::is_alphanumeric)))
}

/// An IPv4 address; `None` for other numbers with dots (a version, a date).
fn dotted(part: &str) -> Result<Option<Ipv4Addr>, String> {
    let pieces: Vec<&str> = part.split('.').collect();
    let year = pieces.len() == 3 && pieces[0].len() == 4;
    if pieces.len() < 3 || year {
        return Ok(None);
    }
    if pieces.len() != 4 {
        return Err(format!("an IPv4 address has four numbers, this has {}", pieces.len()));
    }
    let mut octets = [0u8; 4];
    for (slot, piece) in octets.iter_mut().zip(&pieces) {
        *slot = piece.parse().map_err(|_| format!("{piece:?} is not a number from 0 to 255"))?;
        if piece.len() > 1 && piece.starts_with('0') {
            return Err(format!("{piece:?} has a leading zero, which some programs read as octal"));
        }
    }
    Ok(Some(Ipv4Addr::from(octets)))
}
