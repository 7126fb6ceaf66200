//! One module a command.

pub mod case;
pub mod decode;
pub mod detect;
pub mod emergency;
pub mod ending;
pub mod filter;
pub mod filter_judge;
pub mod filter_place;
pub mod filter_request;
pub mod filter_synthesize;
pub mod ledger;
pub mod measure;
pub mod serve;
pub mod verify;
pub mod why;

use crate::exit::bad_input;
use std::path::Path;

/// Largest input file, octets.
pub const MAX_FILE_OCTETS: u64 = 4 << 30;

/// Reads a file given on the command line.
///
/// # Errors
/// Exit code 2, naming the file.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let len = std::fs::metadata(path).map_err(|e| bad_input(format!("cannot read {}: {e}", path.display())))?.len();
    if len > MAX_FILE_OCTETS {
        return Err(bad_input(format!("{}: {len} octets are over {MAX_FILE_OCTETS}", path.display())));
    }
    std::fs::read(path).map_err(|e| bad_input(format!("cannot read {}: {e}", path.display())))
}

/// Reads a text file given on the command line.
///
/// # Errors
/// Exit code 2, naming the file.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(path)?).map_err(|e| bad_input(format!("{}: not UTF-8: {e}", path.display())))
}
