//! The closing lines: what the test runner counted, and what was skipped, by name.

use std::collections::BTreeMap;

/// What ran and how it went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tests that the runner calls ok. Skipped ones are among them: they came back early.
    ok: usize,
    /// Names of tests that failed, and of checks and steps that did.
    failed: Vec<String>,
    /// How many failures the runner counted.
    failed_count: usize,
    /// Skipped tests and why.
    skipped: BTreeMap<String, Vec<String>>,
    /// Tests that the runner ignores (`#[ignore]`: they run under `soak`).
    ignored: usize,
}

impl Totals {
    /// Reads one line of `cargo test`.
    pub fn line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            for part in rest.split([';', '.']) {
                let mut words = part.split_whitespace();
                let (Some(number), Some(what)) = (words.next().and_then(|n| n.parse::<usize>().ok()), words.next())
                else {
                    continue;
                };
                match what {
                    "passed" => self.ok += number,
                    "failed" => self.failed_count += number,
                    "ignored" => self.ignored += number,
                    _ => {}
                }
            }
        } else if let Some(name) = line.strip_prefix("test ").and_then(|l| l.strip_suffix(" ... FAILED")) {
            self.failed.push(name.to_owned());
        }
    }

    /// A check or step that is no test of the runner failed.
    pub fn step_failed(&mut self, step: &str) {
        self.failed.push(step.to_owned());
        self.failed_count += 1;
    }

    /// Whether the runner counted a failure.
    pub fn any_failed(&self) -> bool {
        self.failed_count > 0
    }

    /// Reads the log of skips: one `test: reason` a line.
    pub fn skips(&mut self, log: &str) {
        for line in log.lines() {
            // The first ": " parts the two; a path of modules has no space after its colons.
            let (test, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
            let reasons = self.skipped.entry(test.to_owned()).or_default();
            if !reasons.iter().any(|r| r == reason) {
                reasons.push(reason.to_owned());
            }
        }
    }

    /// The closing lines; the last is `N passed, N failed, N skipped` and counts each test once.
    pub fn closing_lines(&self) -> String {
        let mut text = String::new();
        for name in &self.failed {
            text.push_str(&format!("FAILED {name}\n"));
        }
        for (test, reasons) in &self.skipped {
            text.push_str(&format!("SKIPPED {test}: {}\n", reasons.join("; ")));
        }
        if self.ignored > 0 {
            text.push_str(&format!("{} more run only under `cargo xtask soak`\n", self.ignored));
        }
        let passed = self.ok.saturating_sub(self.skipped.len());
        text.push_str(&format!("{passed} passed, {} failed, {} skipped\n", self.failed_count, self.skipped.len()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "\
running 3 tests
test a::one ... ok
test a::two ... FAILED
test a::three ... ok

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 2 tests
test b ... ok
test c ... ignored, soak: an hour

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 3.50s
";

    #[test]
    fn totals_of_several_runs_are_added_and_skips_are_not_called_passed() {
        let mut totals = Totals::default();
        RUN.lines().for_each(|l| totals.line(l));
        totals.skips("b::deep: tshark is not installed\nb::deep: tshark is not installed\nb::deep: no captures\n");
        assert!(totals.any_failed());
        assert_eq!(
            totals.closing_lines(),
            "FAILED a::two\nSKIPPED b::deep: tshark is not installed; no captures\n\
             1 more run only under `cargo xtask soak`\n2 passed, 1 failed, 1 skipped\n"
        );
    }

    #[test]
    fn a_failed_step_counts_as_a_failure() {
        let mut totals = Totals::default();
        totals.step_failed("cargo fmt");
        assert_eq!(totals.closing_lines(), "FAILED cargo fmt\n0 passed, 1 failed, 0 skipped\n");
    }
}
