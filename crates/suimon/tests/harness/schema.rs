//! The committed schemas of the command line's outputs.

use jsonschema::Validator;
use serde_json::Value;
use std::path::PathBuf;
use suimon_testkit::workspace_root;

/// Where the schemas are.
pub fn folder() -> PathBuf {
    workspace_root().join("docs/schemas")
}

/// One schema, ready to be asked.
#[derive(Debug)]
pub struct Schema {
    name: String,
    validator: Validator,
}

impl Schema {
    /// The schema of this name, formats asserted.
    pub fn named(name: &str) -> Schema {
        let path = folder().join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let options = jsonschema::options().should_validate_formats(true);
        let validator = options.build(&json).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Schema { name: name.to_owned(), validator }
    }

    /// Fails with every place that does not fit.
    pub fn check(&self, value: &Value) {
        if self.accepts(value) {
            return;
        }
        let faults: Vec<String> =
            self.validator.iter_errors(value).map(|e| format!("{}: {e:.400}", e.instance_path())).collect();
        panic!("{}: {}\nin {value:.2000}", self.name, faults.join("\n"));
    }

    /// Checks each of several, of which there must be at least one.
    pub fn check_all(&self, values: &[Value]) {
        assert!(!values.is_empty(), "{}: nothing to check", self.name);
        values.iter().for_each(|v| self.check(v));
    }

    /// Whether it fits.
    pub fn accepts(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}
