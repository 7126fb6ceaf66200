//! The lab: an attack met in network namespaces with real routers, and the faults that are quick to try. All of it is one
//! test, because a process has one lab.

use std::path::Path;
use suimon_netlab::tell::Tell;
use suimon_netlab::{faults, impossible, story};

#[test]
fn an_attack_is_met_in_the_lab_and_quick_faults_hold() {
    if let Some(why) = impossible() {
        return suimon_testkit::skip("lab", &why);
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_suimon"));
    let tell = Tell::new(false);
    let verdict = story::play(binary, &tell, false).unwrap();
    assert!(verdict.faults.is_empty(), "{:#?}", verdict.faults);
    let quick = faults::choose(&["ci".into()]).unwrap();
    assert!(!quick.is_empty());
    assert!(faults::run_all(binary, &tell, &quick, false).unwrap(), "which and why is told above");
}
