//! Text read back equals the request, for random requests in each dialect and profile.

use crate::random::{Kind, Requests, packets, say, seed, verdict};
use suimon_base::Action;
use suimon_filter::compile::{CompileError, Options, Profile, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::proof::compare;

fn options(profile: Profile) -> Options {
    Options {
        version: Some(3),
        case: Some("C-1 \"*/ } ; # \\".into()),
        requester: Some("customer $x\nset".into()),
        end: Some("2026-12-01T09:00:00Z".into()),
        interface: Some("Ethernet1/1".into()),
        profile,
        ..Options::default()
    }
}

/// Compiles until `wanted` requests were expressible, each proved, read back and asked with packets.
fn requests(dialect: Dialect, profile: Profile, seed: u64, wanted: usize) {
    let (mut own, mut any) = (Requests::new(seed, Kind::Of(dialect)), Requests::new(seed, Kind::Any { limits: true }));
    let (mut done, mut refused, mut limited) = (0, 0, 0);
    let options = options(profile);
    let mut round = 0usize;
    while done < wanted {
        round += 1;
        // Mostly what the dialect can say; a quarter is what comes, above all for the borders of what it cannot.
        let set = if round.is_multiple_of(4) && dialect != Dialect::Rtbh { any.next() } else { own.next() };
        let compiled = match compile(&set, dialect, &options) {
            Ok(c) => c,
            Err(e @ CompileError::NotProved(_)) => panic!("{dialect} {profile:?} seed {seed}: {e}\n{set:?}"),
            Err(_) => {
                refused += 1;
                assert!(refused < 20 * (done + 50), "{dialect}: {refused} refused, only {done} written");
                continue;
            }
        };
        let read = parse(&compiled.text, dialect).unwrap_or_else(|e| panic!("{dialect}: {e}\n{}", compiled.text)).rules;
        assert!(
            compiled.proof.equal && compare(&set, &read).is_ok_and(|p| p.equal),
            "{dialect} {profile:?} {set:?}\n{}",
            compiled.text
        );
        for p in packets(&set, seed ^ done as u64, 20) {
            assert_eq!(verdict(&set, &p), verdict(&read, &p), "{dialect} {profile:?} {p:?}\n{}", compiled.text);
        }
        assert!(!compiled.undo.is_empty() && !compiled.warnings.is_empty());
        assert!(compiled.at_least <= compiled.lines && (!compiled.least || compiled.at_least == compiled.lines));
        let limits = |a: &Action| matches!(a, Action::LimitBps(_) | Action::LimitPps(_));
        limited += usize::from(read.rules.iter().any(|r| limits(&r.action)));
        done += 1;
    }
    say(&format!(
        "{dialect} {profile:?}: {done} requests equal after reading back, {limited} of them with a rate; {refused} refused"
    ));
    assert!(wanted < 200 || refused < 2 * done, "{dialect}: the requests are too wild to test much");
    assert!(wanted < 200 || limited * 10 > done || dialect == Dialect::Rtbh, "{dialect}: only {limited} with rates");
}

/// Dialects that have profile `compact`.
fn joining() -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(|d| *d != Dialect::Rtbh)
}

#[test]
fn requests_in_each_dialect_read_back_equal() {
    let seed = seed("requests_in_each_dialect_read_back_equal");
    for dialect in Dialect::ALL {
        requests(dialect, Profile::Basic, seed, 25);
    }
}

#[test]
fn joined_lines_in_each_dialect_read_back_equal() {
    let seed = seed("joined_lines_in_each_dialect_read_back_equal");
    for dialect in joining() {
        requests(dialect, Profile::Compact, seed, 12);
    }
}

/// No list is longer than its counterpart in `basic` or shorter than what is said to be the least.
#[test]
fn joined_lines_are_never_more() {
    let mut requests = Requests::new(seed("joined_lines_are_never_more"), Kind::Dense);
    for set in (0..25).map(|_| requests.next()) {
        for dialect in joining() {
            match compile(&set, dialect, &options(Profile::Compact)) {
                Ok(c) => {
                    assert!(c.proof.equal && c.at_least <= c.lines && c.least == (c.at_least == c.lines));
                    if let Ok(basic) = compile(&set, dialect, &options(Profile::Basic)) {
                        assert!(c.lines <= basic.lines, "{set:?}\n{}\n{}", c.text, basic.text);
                        assert!(c.at_least <= basic.lines, "{set:?}\n{}", basic.text);
                    }
                }
                Err(e @ CompileError::NotProved(_)) => panic!("{dialect}: {e}\n{set:?}"),
                Err(_) => {}
            }
        }
    }
}

/// Ten thousand requests in each dialect and profile, one test for each so that they can be run apart.
mod ten_thousand {
    use super::{Dialect, Profile, requests, seed};

    macro_rules! soak {
        ($profile:ident, $dialects:expr, $($name:ident $dialect:ident,)*) => {
            $(
                #[test]
                #[ignore = "takes minutes; `cargo xtask soak` runs it"]
                fn $name() {
                    let seed = seed(concat!("ten_thousand::", stringify!($profile), "::", stringify!($name)));
                    requests(Dialect::$dialect, Profile::$profile, seed, 10_000);
                }
            )*

            #[test]
            fn no_dialect_is_left_out() {
                assert!($dialects.eq([$(Dialect::$dialect),*]));
            }
        };
    }

    mod basic {
        use super::{Dialect, Profile, requests, seed};

        soak! {
            Basic, Dialect::ALL.into_iter(),
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

    mod compact {
        use super::super::joining;
        use super::{Dialect, Profile, requests, seed};

        soak! {
            Compact, joining(),
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
        }
    }
}
