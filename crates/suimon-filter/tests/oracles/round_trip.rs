//! Text read back equals the request, for random requests in each dialect.

use crate::random::{Requests, packets, say, seed, verdict};
use suimon_base::{Action, Match, RuleSet};
use suimon_filter::compile::{CompileError, Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::proof::compare;

/// Compiles until `wanted` requests were expressible, each proved, read back and asked with packets.
fn requests(dialect: Dialect, seed: u64, wanted: usize) {
    let mut requests = Requests::new(seed, true);
    let options = Options {
        version: Some(3),
        case: Some("C-1 \"*/ } ; # \\".into()),
        requester: Some("customer $x\nset".into()),
        end: Some("2026-12-01T09:00:00Z".into()),
        ..Options::default()
    };
    let (mut done, mut refused, mut limited) = (0, 0, 0);
    while done < wanted {
        let mut set = requests.next();
        if dialect == Dialect::Rtbh {
            destinations_only(&mut set);
        }
        let compiled = match compile(&set, dialect, &options) {
            Ok(c) => c,
            Err(e @ CompileError::NotProved(_)) => panic!("{dialect} seed {seed}: {e}\n{set:?}"),
            Err(_) => {
                refused += 1;
                assert!(refused < 20 * (done + 100), "{dialect}: {refused} refused, only {done} written");
                continue;
            }
        };
        let read = parse(&compiled.text, dialect).unwrap_or_else(|e| panic!("{dialect}: {e}\n{}", compiled.text)).rules;
        assert!(
            compiled.proof.equal && compare(&set, &read).is_ok_and(|p| p.equal),
            "{dialect} {set:?}\n{}",
            compiled.text
        );
        for p in packets(&set, seed ^ done as u64, 20) {
            assert_eq!(verdict(&set, &p), verdict(&read, &p), "{dialect} {p:?}\n{}", compiled.text);
        }
        limited +=
            usize::from(read.rules.iter().any(|r| matches!(r.action, Action::LimitBps(_) | Action::LimitPps(_))));
        done += 1;
    }
    assert!(wanted < 200 || limited > 0 || !polices(dialect), "{dialect}: no limit was ever written");
    say(&format!(
        "{dialect}: {done} requests equal after reading back, {limited} of them with a rate; {refused} refused"
    ));
}

/// All that a black hole can take.
fn destinations_only(set: &mut RuleSet) {
    set.rules.retain(|r| r.action == Action::Discard && !r.matches.dst.is_empty());
    for r in &mut set.rules {
        r.matches = Match { dst: std::mem::take(&mut r.matches.dst), ..Match::default() };
    }
}

fn polices(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Junos | Dialect::NokiaSros | Dialect::Mikrotik | Dialect::Nftables | Dialect::Flowspec)
}

#[test]
fn requests_in_each_dialect_read_back_equal() {
    let seed = seed("requests_in_each_dialect_read_back_equal");
    for dialect in Dialect::ALL {
        requests(dialect, seed, 25);
    }
}

/// Ten thousand requests in each dialect, one test for each so that they can be run apart.
mod ten_thousand {
    use super::{Dialect, requests, seed};

    macro_rules! soak {
        ($($name:ident $dialect:ident,)*) => {
            $(
                #[test]
                #[ignore = "takes minutes; `cargo xtask soak` runs it"]
                fn $name() {
                    requests(Dialect::$dialect, seed(concat!("ten_thousand::", stringify!($name))), 10_000);
                }
            )*

            #[test]
            fn no_dialect_is_left_out() {
                assert_eq!([$(Dialect::$dialect),*], Dialect::ALL);
            }
        };
    }

    soak! {
        cisco_ios CiscoIos,
        cisco_xr CiscoXr,
        cisco_nxos CiscoNxos,
        arista_eos AristaEos,
        huawei_vrp HuaweiVrp,
        junos Junos,
        nokia_sros NokiaSros,
        mikrotik Mikrotik,
        nftables Nftables,
        flowspec Flowspec,
        rtbh Rtbh,
    }
}
