//! The drill's own daemon: a configuration file as an operator would write it, read by the same code.

use super::play::Play;
use crate::cli::DrillArgs;
use crate::config::Config;
use std::fmt::Write as _;
use std::path::Path;
use suimon_base::Timestamp;

/// The hand that the drill adds.
pub const MODEL_ROUTER: &str = "model-router";
/// Id of the customer in the drill.
pub const CUSTOMER: &str = "customer-1";
/// Its contact.
pub const CONTACT: &str = "network-desk";
/// Its service.
pub const SERVICE: &str = "line-0001";
/// The contact's number (a number kept free for such use).
pub const TELEPHONE: &str = "03-0000-0001";

/// The configuration text.
pub fn text(play: &Play, args: &DrillArgs, data: &Path, now: Timestamp) -> String {
    let mut t = String::new();
    let review = suimon_base::calendar::japanese_date(now.plus_ms(90 * 86_400_000));
    let prefixes = play.customer.iter().map(|p| format!("\"{p}\"")).collect::<Vec<_>>().join(", ");
    let mut thresholds = String::new();
    for (vector, pps) in &play.thresholds {
        // Writing to a String cannot fail.
        let _ = writeln!(thresholds, "{vector} = {{ pps = {} }}", pps.0);
    }
    let hold_ms = 2_000;
    let _ = write!(
        t,
        r#"version = 1

[node]
data = {data:?}
listen = "127.0.0.1:0"
exercise = true

[collection]
purpose = "exercise: find attacks on the exercise's own traffic"
items = ["addresses", "ports", "protocol", "tcp-flags", "counters", "times", "interfaces", "sampling"]
retention-hours = 1
approver = "role:collection-approver"
review = "{review}"

[collect]
listen = ["127.0.0.1:0", "[::1]:0"]

[detect]
hold-ms = {hold_ms}

[[customer]]
id = "{CUSTOMER}"
name = "Exercise customer"
service = "{SERVICE}"
prefixes = [{prefixes}]

[[customer.contacts]]
id = "{CONTACT}"
authority = ["ask", "order", "lift"]
telephone = "{TELEPHONE}"

[measure]
default-hand = "{MODEL_ROUTER}"
default-dialect = "{dialect}"
"#,
        data = data.display().to_string(),
        dialect = args.dialect,
    );
    for prefix in &play.customer {
        let _ = write!(
            t,
            r#"
[[network]]
prefix = "{prefix}"
[network.thresholds]
baseline-ratio = 0.0
aggregate-ratio = 0.0
[network.thresholds.vectors]
{thresholds}"#
        );
    }
    t
}

/// Writes the file into the data folder and reads it back as `serve` would.
pub fn config(play: &Play, args: &DrillArgs, data: &Path, now: Timestamp) -> anyhow::Result<Config> {
    std::fs::create_dir_all(data)?;
    // Paths in the file start at the file's own folder, so this one must not start anywhere.
    let data = &std::path::absolute(data)?;
    let path = data.join("drill.toml");
    std::fs::write(&path, text(play, args, data, now))?;
    Config::read(&path)
}
