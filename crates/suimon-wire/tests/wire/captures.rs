//! Datagrams of real exporters.

use crate::common::{decode, decoder, payloads};

#[test]
fn every_file_decodes() {
    let Some(folder) = suimon_testkit::shared_or_skip("every_file_decodes", "captures") else { return };
    for path in payloads(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let mut d = decoder();
        let (result, flows) = decode(&mut d, &bytes);
        println!("{name}: {:?} {}", result, flows.len());
    }
}
