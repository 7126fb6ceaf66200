//! A command line with a prompt: one line in, everything up to the next prompt out.
//!
//! Nothing here is taken as proof. A line that a device logs in between may look like an answer; what counts is the
//! configuration that is read back afterwards in a session of its own.

use crate::error::{DeviceError, words};
use crate::session::Session;
use crate::ssh::{SshMode, SshTarget};

/// Longest prompt, in characters: a host name of 63 and a mode.
const MAX_PROMPT: usize = 128;
/// Characters of the host name that every later prompt must share; platforms shorten long names in deeper modes.
const NAME_SHARED: usize = 10;

/// A logged-in command line in its privileged mode.
pub(crate) struct Cli {
    session: Session,
    name: String,
    read_s: u64,
}

impl Cli {
    /// Logs in and waits for the privileged prompt.
    pub(crate) fn open(target: &SshTarget) -> Result<Self, DeviceError> {
        let mut session = Session::open(target, SshMode::Terminal)?;
        let step = "waiting for the prompt";
        let (name, mark) = session.until(step, target.read_s(), |out| {
            let last = last_line(out)?;
            prompt(last).map(|(name, mark)| ((name.to_owned(), mark), out.len()))
        })?;
        if mark != '#' {
            let place = target.place();
            let reason = format!("the prompt is {name}{mark}; the user needs the privileged mode at login");
            return Err(DeviceError::Login { place, reason });
        }
        Ok(Cli { session, name, read_s: target.read_s() })
    }

    /// Enters a line; what the device says before its next prompt.
    ///
    /// # Errors
    /// [`DeviceError::Said`] with the device's error line, besides those of the session.
    pub(crate) fn enter(&mut self, line: &str) -> Result<String, DeviceError> {
        let said = self.ask(line)?;
        match error_line(&said) {
            Some(error) => {
                Err(DeviceError::Said { step: format!("entering `{}`", words(line, 100)), said: words(error, 200) })
            }
            None => Ok(said),
        }
    }

    /// The same without looking for error lines: for what some platforms lack.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String, DeviceError> {
        self.session.send(format!("{line}\n").as_bytes());
        let name: String = self.name.chars().take(NAME_SHARED).collect();
        let step = format!("entering `{}`", words(line, 100));
        let text = self.session.until(&step, self.read_s, |out| {
            let last = last_line(out)?;
            let (found, _) = prompt(last)?;
            // The echo ends with a line end, so a prompt without one before it is the previous one, shown again.
            (found.starts_with(&name) && out.contains(&b'\n'))
                .then(|| (String::from_utf8_lossy(out).into_owned(), out.len()))
        })?;
        let text = text.replace('\r', "");
        let body = text.split_once('\n').map_or("", |(_, rest)| rest);
        Ok(body.rsplit_once('\n').map_or("", |(body, _)| body).to_owned())
    }
}

/// What stands after the last line end.
fn last_line(out: &[u8]) -> Option<&str> {
    let start = out.iter().rposition(|b| *b == b'\n' || *b == b'\r').map_or(0, |at| at + 1);
    std::str::from_utf8(out.get(start..)?).ok().filter(|l| l.len() <= MAX_PROMPT)
}

/// Host name and mark of `name#`, `name>` and `name(mode)#`.
fn prompt(line: &str) -> Option<(&str, char)> {
    let line = line.trim_end_matches(' ');
    let mark = line.chars().next_back().filter(|c| matches!(c, '#' | '>'))?;
    let body = line.strip_suffix(mark)?;
    let name = match body.split_once('(') {
        Some((name, mode)) if mode.ends_with(')') => name,
        Some(_) => return None,
        None => body,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@".contains(c);
    (!name.is_empty() && name.chars().all(plain)).then_some((name, mark))
}

/// The first line that reports an error; log lines (`%SYS-5-CONFIG_I: …`) are none.
fn error_line(said: &str) -> Option<&str> {
    let log = |l: &str| {
        let mut parts = l.trim_start_matches('%').splitn(3, '-');
        let word = |p: Option<&str>| {
            p.is_some_and(|p| {
                !p.is_empty() && p.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            })
        };
        let severity = |p: Option<&str>| p.is_some_and(|p| p.len() == 1 && p.chars().all(|c| c.is_ascii_digit()));
        word(parts.next()) && severity(parts.next()) && parts.next().is_some()
    };
    said.lines().map(str::trim).find(|l| l.starts_with('%') && !log(l))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_told_from_output() {
        for (line, name) in
            [("r1# ", "r1"), ("r1#", "r1"), ("edge-1.tokyo(config-ext-nacl)#", "edge-1.tokyo"), ("vm>", "vm")]
        {
            assert_eq!(prompt(line).map(|p| p.0), Some(name), "{line}");
        }
        for line in ["", "#", "Password: ", "interface #1 is up#", "10 deny ip any any", "a(b#", "ä#"] {
            assert_eq!(prompt(line), None, "{line}");
        }
        assert_eq!(last_line(b"banner\r\nr1# "), Some("r1# "));
    }

    #[test]
    fn errors_are_told_from_log_lines() {
        assert_eq!(
            error_line("x\n% Invalid input detected at '^' marker."),
            Some("% Invalid input detected at '^' marker.")
        );
        assert_eq!(error_line("% Unknown command: foo"), Some("% Unknown command: foo"));
        assert_eq!(error_line("%Error: no such list"), Some("%Error: no such list"));
        assert_eq!(error_line("%SYS-5-CONFIG_I: Configured from console\nok"), None);
        assert_eq!(error_line("Building configuration..."), None);
    }
}
