//! How the lab tells what happens: one line a stage, or one JSON object a stage.

use crate::clock;
use serde_json::{Value, json};

/// Where stages go.
#[derive(Debug)]
pub struct Tell {
    json: bool,
    quiet: bool,
    start_ms: u64,
}

impl Tell {
    /// To standard output.
    pub fn new(json: bool) -> Tell {
        Tell { json, quiet: false, start_ms: clock::ms() }
    }

    /// To nobody, for tests.
    pub fn silent() -> Tell {
        Tell { json: false, quiet: true, start_ms: clock::ms() }
    }

    /// Words that stand outside of the timeline; not in JSON.
    pub fn line(&self, words: &str) {
        if !self.json {
            self.write(words);
        }
    }

    /// One stage. `fields` are added to the JSON object; `words` are for people.
    pub fn stage(&self, stage: &str, fields: Value, words: &str) {
        let (at, since_ms) = (clock::wall(), clock::ms() - self.start_ms);
        if self.json {
            let mut object = json!({ "stage": stage, "at": at, "since_start_ms": since_ms });
            if let (Some(map), Value::Object(more)) = (object.as_object_mut(), fields) {
                map.extend(more);
            }
            return self.write(&object.to_string());
        }
        let wall: String = at.chars().skip(11).take(12).collect();
        let mut lines = words.lines();
        let first = lines.next().unwrap_or_default();
        self.write(&format!("{wall} {:>+8.3} {stage:<18} {first}", since_ms as f64 / 1_000.0));
        for line in lines {
            self.write(&format!("{}{line}", " ".repeat(41)));
        }
    }

    // Not the stream itself: the test runner takes what is printed, and shows it where a test fails.
    #[expect(clippy::print_stdout, reason = "a terminal program talks on its streams")]
    fn write(&self, line: &str) {
        if !self.quiet {
            println!("{line}");
        }
    }
}
