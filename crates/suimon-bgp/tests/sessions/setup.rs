//! Configurations and routes for the tests.

use std::sync::Arc;
use std::time::Duration;
use suimon_base::{Clock, ManualClock, Match, PortRange, Timestamp};
use suimon_bgp::config::BgpConfig;
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::BgpHand;
use suimon_bgp::route::{FlowAction, Route};

/// Where our speaker comes from.
pub const SOURCE: &str = "127.0.0.10";

/// Steps of 20 ms to wait for something.
const PATIENCE: usize = 750;

#[track_caller]
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not happen");
}

pub fn clock() -> Arc<dyn Clock> {
    let at: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    Arc::new(ManualClock::at(at))
}

/// A peer at an address and port of the loopback.
pub fn peer(name: &str, address: &str, port: u16, asn: u32) -> String {
    format!(
        "[[peer]]\nname = \"{name}\"\naddress = \"{address}\"\nport = {port}\nsource = \"{SOURCE}\"\nremote-as = {asn}\n\
         roles = [\"rtbh\", \"flowspec\"]\nnext-hop-v4 = \"192.0.2.254\"\nnext-hop-v6 = \"2001:db8:ffff::1\"\nretry-s = 1\n\
         multihop = 5\nmax-routes = 5000\nlarge-communities = [\"64500:1:2\"]\n"
    )
}

pub fn config_text(peers: &str) -> String {
    format!(
        "local-as = 64500\nrouter-id = \"192.0.2.10\"\nwait-ms = 8000\n{peers}[guard]\n\
         own = [\"198.51.100.0/24\", \"2001:db8::/32\"]\nmax-routes = 5000\nredirect-targets = [\"64500:7\"]\n"
    )
}

pub fn config(peers: &str) -> BgpConfig {
    toml::from_str(&config_text(peers)).unwrap()
}

pub fn hand(peers: &str) -> BgpHand {
    BgpHand::start(&config(peers), Cone::default(), clock()).unwrap()
}

pub fn hole(text: &str) -> Route {
    Route::black_hole(text.parse().unwrap())
}

pub fn ntp(dst: &str) -> Route {
    let m = Match {
        dst: vec![dst.parse().unwrap()],
        proto: Some(17),
        src_ports: vec![PortRange::one(123)],
        ..Match::default()
    };
    Route::flow(m, vec![FlowAction::Discard])
}

/// One route of each family.
pub fn four() -> Vec<Route> {
    vec![hole("198.51.100.7/32"), hole("2001:db8::7/128"), ntp("198.51.100.8/32"), ntp("2001:db8::8/128")]
}
