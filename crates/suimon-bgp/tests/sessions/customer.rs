//! A customer asks by BGP: GoBGP as the customer's router, the real engine and policies, and a raw peer as the upstream.

use crate::daemons::{Daemon, Kind};
use crate::raw::Raw;
use crate::setup::{SOURCE, peer};
use std::sync::Arc;
use std::time::Duration;
use suimon_base::calendar::BusinessCalendar;
use suimon_base::event::Plan;
use suimon_base::measure::Status;
use suimon_base::{Actor, Authority, ManualClock, MeasureId, State};
use suimon_bgp::config::BgpConfig;
use suimon_bgp::customer::desk::{DeskStatus, Desks};
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::BgpHand;
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::Dialect;
use suimon_filter::request::{self, Context};
use suimon_ledger::Ledger;
use suimon_spine::ports::{PlanAsk, PlanError};
use suimon_spine::register::{Contact, ServiceClass};
use suimon_spine::{Command, Customer, Handle, Parts, Planner, Register, Settings};

/// The customer's AS: that of the GoBGP of these tests.
const AS: u32 = 64512;

/// The filter compiler on written requests, as in the daemon.
struct Written;

impl Planner for Written {
    fn plan(&self, ask: &PlanAsk<'_>) -> Result<Plan, PlanError> {
        let bad = |e: String| PlanError::BadAsk(e);
        let dialect: Dialect = ask.dialect.parse().map_err(|_| bad(ask.dialect.to_owned()))?;
        let context = Context { holdings: ask.holdings.to_vec(), ..Context::default() };
        let parsed = request::parse_with(ask.request.unwrap(), &context).map_err(|e| bad(e.to_string()))?;
        let compiled = compile(&parsed.rules, dialect, &Options::default()).map_err(|e| bad(e.to_string()))?;
        Ok(Plan {
            targets: parsed.rules.rules.iter().flat_map(|r| r.matches.dst.clone()).collect(),
            dialect: dialect.to_string(),
            lines: compiled.lines as u64,
            proof: serde_json::to_value(&compiled.proof).unwrap(),
            text: compiled.text,
            undo: compiled.undo,
            alternatives: Vec::new(),
            chosen: None,
            separates: true,
            questions: Vec::new(),
            attack_matches: Vec::new(),
            quiet_floor_pps: 10.0,
            rules: parsed.rules,
            placement: None,
        })
    }
    fn dialects(&self) -> Vec<&'static str> {
        Dialect::ALL.iter().map(|d| d.name()).collect()
    }
}

fn register() -> Register {
    let prefixes = vec!["198.51.100.0/25".parse().unwrap(), "2001:db8:a::/48".parse().unwrap()];
    let contact = Contact { id: "noc".into(), authority: vec![Authority::Order], telephone: None, mail: None };
    let customer = Customer {
        id: "shop".into(),
        name: "shop".into(),
        service: "shop-line".into(),
        class: ServiceClass::BestEffort,
        prefixes,
        contacts: vec![contact],
        consent: None,
    };
    Register { customers: vec![customer], networks: vec!["198.51.100.0/24".parse().unwrap()], collection: None }
}

fn config(upstream: &Raw, customer: &Daemon, memorandum: &str, guard: &str) -> BgpConfig {
    let text = format!(
        "local-as = 64500\nrouter-id = \"192.0.2.10\"\nwait-ms = 8000\ncustomer-keep-s = 2\n{}edge = false\n\
         [[peer]]\nname = \"shop\"\naddress = \"{}\"\nport = {}\nsource = \"{SOURCE}\"\nremote-as = {AS}\nmultihop = 5\n\
         retry-s = 1\nroles = [\"customer\"]\nmemorandum = \"M-7\"\n\
         [[memorandum]]\nid = \"M-7\"\ncustomer = \"shop\"\ncontact = \"noc\"\nresponsible-party = \"the customer\"\n\
         prefixes = [\"198.51.100.0/25\", \"2001:db8:a::/48\"]\nsigned = \"2026-01-01T00:00:00Z\"\n{memorandum}\n\
         [guard]\nown = [\"198.51.100.0/24\", \"203.0.113.0/24\"]\n{guard}\n\
         [[guard.customer]]\nname = \"shop\"\nprefixes = [\"198.51.100.0/25\", \"2001:db8:a::/48\"]\nasn = {AS}\n",
        peer("upstream", "127.0.0.1", upstream.port, 64514),
        customer.address,
        customer.port,
    );
    toml::from_str(&text).unwrap()
}

const USUAL: &str = "communities = [\"64500:666\"]\nflowspec = true\nmax-routes = 3\nuntil = \"2027-01-01T00:00:00Z\"";

struct House {
    handle: Handle,
    desks: Arc<Desks>,
    hand: Arc<BgpHand>,
    upstream: Raw,
    customer: Daemon,
    _clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn start(test: &str, memorandum: &str, guard: &str, cone: Cone) -> Option<House> {
        let customer = Daemon::start(test, Kind::Gobgp, &[])?;
        let upstream = Raw::listen(64514);
        let clock = Arc::new(ManualClock::at("2026-05-01T00:00:00Z".parse().unwrap()));
        let running = Arc::downgrade(&clock);
        std::thread::spawn(move || {
            while let Some(clock) = running.upgrade() {
                std::thread::sleep(Duration::from_millis(20));
                clock.advance_ms(20);
            }
        });
        let config = config(&upstream, &customer, memorandum, guard);
        let hand = Arc::new(BgpHand::start(&config, cone, clock.clone()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts {
            ledger: Ledger::open(folder.path(), true).await.unwrap(),
            dir: folder.path().to_path_buf(),
            policy: suimon_policy::Engine::builtin().unwrap(),
            planner: Arc::new(Written),
            hands: vec![hand.clone()],
            register: register(),
            clock: clock.clone(),
            settings: Settings {
                default_hand: "bgp".to_owned(),
                default_dialect: "flowspec".to_owned(),
                calendar: BusinessCalendar::default(),
                version: "test".to_owned(),
                verify: Default::default(),
                release: Default::default(),
            },
            on_watch: Box::new(|_| {}),
        };
        let (handle, _senses, _task) = suimon_spine::start(parts).await.unwrap();
        let desks = Desks::of(hand.clone(), clock.clone()).unwrap();
        tokio::spawn(desks.clone().run(handle.clone()));
        let house = House { handle, desks, hand, upstream, customer, _clock: clock, _folder: folder };
        house.wait("the customer's session", |h| h.status().up).await;
        Some(house)
    }

    async fn wait(&self, what: &str, done: impl Fn(&House) -> bool) {
        for _ in 0..600 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{what} did not happen: {:?}", self.status());
    }

    fn status(&self) -> DeskStatus {
        self.desks.status().remove("shop").unwrap_or_default()
    }

    fn customer(&self, verb: &str, args: &str) {
        let words: Vec<&str> = ["global", "rib", verb].into_iter().chain(args.split(' ')).collect();
        let said = self.customer.gobgp(&words);
        assert!(said.is_empty(), "{args}: {said}");
    }

    fn measure(&self, text: &str) -> Option<MeasureId> {
        self.status().standing.into_iter().find(|(t, _)| t.contains(text)).and_then(|(_, m)| m)
    }

    fn measure_status(&self, id: MeasureId) -> Status {
        self.handle.with_state(|s: &State| s.measures[&id].status)
    }

    async fn approve(&self, id: MeasureId) {
        let command = Command::Approve { measure: id, choose: None, claims: None };
        self.handle.command(Actor::role("approver"), command).await.unwrap();
        self.wait("applied", |h| h.measure_status(id) == Status::Applied).await;
    }

    fn refused(&self, kind: &str) -> u64 {
        let refused = self.status().refused;
        kind.split('|').filter_map(|k| refused.get(k)).sum()
    }
}

const HOLE: &str = "-a ipv4 198.51.100.7/32 nexthop 192.0.2.1 community 64500:666";

#[tokio::test(flavor = "multi_thread")]
async fn within_the_memorandum_it_becomes_a_proposal_and_a_person_approves() {
    let Some(h) = House::start("bgp::customer", USUAL, "", Cone::default()).await else { return };
    h.customer("add", HOLE);
    h.customer("add", "-a ipv4-flowspec match destination 198.51.100.8/32 protocol udp source-port ==123 then discard");
    h.wait("both asked for", |h| h.measure("198.51.100.7/32").is_some() && h.measure("198.51.100.8/32").is_some())
        .await;
    let id = h.measure("198.51.100.7/32").unwrap();
    let (act, reason, words, notes) = h.handle.with_state(|s| {
        let m = &s.measures[&id];
        let request = &s.requests[&m.draft.request.unwrap()];
        (m.draft.act.clone(), m.draft.reason.clone(), request.request.words.clone(), format!("{:?}", s.cases[&m.case]))
    });
    assert_eq!(act, "rtbh");
    assert!(reason.contains("M-7") && reason.contains("responsible party: the customer"), "{reason}");
    assert!(words.contains("64500:666") && words.contains("memorandum M-7"), "{words}");
    assert!(notes.contains("wants a person's approval"), "{notes}");
    // Nothing leaves before somebody approves, and never what the customer sent as it was.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!((h.measure_status(id), h.upstream.state().updates), (Status::Proposed, 0));
    // The one in whose name it was proposed cannot approve it.
    let own = h.handle.with_state(|s| s.measures[&id].proposed.0.clone());
    let same = h.handle.command(own, Command::Approve { measure: id, choose: None, claims: None }).await;
    assert!(same.is_err());
    h.approve(id).await;
    let flow = h.measure("198.51.100.8/32").unwrap();
    h.approve(flow).await;
    assert_eq!(h.upstream.keys().len(), 2);
    let attributes = h.upstream.state().rib.values().next().unwrap().clone();
    assert!(!format!("{attributes:?}").contains("251, 244, 2, 154"), "the customer's community is not passed on");

    // Taken back by the customer: released, and what waits is rejected.
    h.customer("add", "-a ipv4 198.51.100.9/32 nexthop 192.0.2.1 community 64500:666");
    h.wait("a third", |h| h.measure("198.51.100.9/32").is_some()).await;
    let third = h.measure("198.51.100.9/32").unwrap();
    h.customer("del", "-a ipv4 198.51.100.9/32");
    h.customer("del", "-a ipv4 198.51.100.7/32");
    h.wait("released", |h| h.measure_status(id) == Status::Released).await;
    h.wait("rejected", |h| h.measure_status(third) == Status::Rejected).await;
    assert_eq!(h.upstream.keys().len(), 1);
    assert!(h.handle.with_state(|s| s.requests[&s.measures[&id].draft.request.unwrap()].withdrawn.is_some()));

    // A lost session keeps what stands for a while, and then takes it back.
    drop(h.customer);
    let h = House { customer: Daemon::start("bgp::customer", Kind::Gobgp, &[]).unwrap(), ..h };
    h.wait("the loss is seen", |h| !h.status().up).await;
    assert_eq!(h.measure_status(flow), Status::Applied);
    h.wait("released after the loss", |h| h.measure_status(flow) == Status::Released).await;
    assert!(h.upstream.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_to_get_past_the_rails_is_refused_counted_and_told() {
    let mut cone = Cone::default();
    cone.add_relationships(&format!("64500|{AS}|-1\n{AS}|64777|-1\n")).unwrap();
    cone.add_origins("198.51.100.64/28 64777\n").unwrap();
    let guard = "[[guard.protect]]\nwhat = \"the customer's DNS server\"\nprefixes = [\"198.51.100.53/32\"]";
    let Some(h) = House::start("bgp::customer-rails", USUAL, guard, cone).await else { return };
    let unicast = [
        ("ipv4", "0.0.0.0/0", "length"),
        ("ipv6", "::/0", "length"),
        ("ipv4", "128.0.0.0/1", "length"),
        ("ipv4", "198.51.100.0/25", "length"),
        ("ipv6", "2001:db8:a::/48", "length"),
        ("ipv4", "203.0.113.7/32", "space"),
        ("ipv4", "198.51.100.200/32", "space"),
        ("ipv6", "2001:db8:b::1/128", "space"),
        // Protected, and a subordinate AS's.
        ("ipv4", "198.51.100.53/32", "guard"),
        ("ipv4", "198.51.100.70/32", "guard"),
    ];
    for (family, net, kind) in unicast {
        let before = h.refused(kind);
        let next_hop = if family == "ipv4" { "192.0.2.1" } else { "2001:db8::1" };
        h.customer("add", &format!("-a {family} {net} nexthop {next_hop} community 64500:666"));
        h.wait(net, |h| h.refused(kind) > before).await;
    }
    let flows = [
        ("ipv4-flowspec", "match destination 0.0.0.0/0 protocol udp then discard", "space"),
        ("ipv6-flowspec", "match destination ::/0 protocol udp then discard", "space"),
        ("ipv4-flowspec", "match source 198.51.100.7/32 then discard", "space"),
        ("ipv4-flowspec", "match destination 203.0.113.7/32 protocol udp then discard", "space"),
        ("ipv4-flowspec", "match destination 198.51.100.0/25 then discard", "guard"),
        ("ipv4-flowspec", "match destination 198.51.100.7/32 destination-port ==80 then discard", "rule|guard"),
        (
            "ipv4-flowspec",
            "match destination 198.51.100.7/32 protocol icmp packet-length ==19 then discard",
            "rule|guard",
        ),
        (
            "ipv4-flowspec",
            "match destination 198.51.100.53/32 protocol udp destination-port ==53 then discard",
            "guard",
        ),
        ("ipv4-flowspec", "match destination 198.51.100.7/32 protocol udp then redirect 64500:7", "rule"),
        ("ipv4-flowspec", "match destination 198.51.100.7/32 port ==53 then discard", "rule"),
        ("ipv4-flowspec", "match destination 198.51.100.7/32 protocol udp then accept", "rule"),
    ];
    for (family, rule, kind) in flows {
        let before = h.refused(kind);
        h.customer("add", &format!("-a {family} {rule}"));
        h.wait(rule, |h| h.refused(kind) > before).await;
    }
    h.customer("add", "-a ipv4 198.51.100.10/32 nexthop 192.0.2.1 community 65535:666");
    h.wait("without the agreed community", |h| h.refused("community") == 1).await;
    h.customer("add", "-a ipv4 198.51.100.11/32 nexthop 192.0.2.1 community 64500:666 aspath 64777");
    h.wait("for another AS", |h| h.refused("origin") == 1).await;
    // Three stand, the fourth does not; when one goes there is room.
    for last in 1..=3 {
        h.customer("add", &format!("-a ipv4 198.51.100.{last}/32 nexthop 192.0.2.1 community 64500:666"));
    }
    h.wait("three", |h| h.status().standing.len() == 3).await;
    h.customer("add", "-a ipv4 198.51.100.4/32 nexthop 192.0.2.1 community 64500:666");
    h.wait("one too many", |h| h.refused("count") == 1).await;
    h.customer("del", "-a ipv4 198.51.100.1/32");
    h.wait("room again", |h| h.measure("198.51.100.4/32").is_some()).await;
    // All of it is on record with its reason, and nothing was announced.
    let notes = h.handle.with_state(|s| format!("{:?}", s.cases));
    for word in [
        "0.0.0.0/0",
        "::/0",
        "no community that the memorandum names",
        "the guard rails refuse",
        "64777",
        "the 3 routes",
    ] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    assert_eq!(h.upstream.state().updates, 0);
    assert!(h.hand.announcer().measures().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_memorandum_and_one_without_flowspec() {
    let expired = "communities = [\"64500:666\"]\nuntil = \"2026-04-01T00:00:00Z\"";
    let Some(h) = House::start("bgp::customer-expired", expired, "", Cone::default()).await else { return };
    h.customer("add", HOLE);
    h.wait("expired", |h| h.refused("memorandum") == 1).await;
    assert!(h.status().reasons[0].1.contains("M-7 ended at 2026-04-01"), "{:?}", h.status());
    drop(h);
    let plain = "communities = [\"64500:666\"]\nuntil = \"2026-05-01T00:00:07Z\"";
    let Some(h) = House::start("bgp::customer-plain", plain, "", Cone::default()).await else { return };
    h.customer("add", HOLE);
    h.customer("add", "-a ipv4-flowspec match destination 198.51.100.8/32 protocol udp then discard");
    h.wait("no Flowspec", |h| h.refused("flowspec") == 1).await;
    h.wait("asked", |h| h.measure("198.51.100.7/32").is_some()).await;
    let id = h.measure("198.51.100.7/32").unwrap();
    h.approve(id).await;
    // The memorandum ends while the route stands: what rests on it goes.
    h.wait("released at its end", |h| h.measure_status(id) == Status::Released).await;
    assert!(h.upstream.keys().is_empty());
}
