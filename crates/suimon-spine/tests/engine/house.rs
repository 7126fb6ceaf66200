//! A running engine over a real ledger and the real policies, with a hand that remembers what it was told.

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use suimon_base::attack::{Evidence, FiredRule, Rates, SamplingEvidence, TrafficProfile, VectorFinding};
use suimon_base::calendar::BusinessCalendar;
use suimon_base::event::{Alternative, Effect, Plan};
use suimon_base::party::{Callback, ContactChannel, Requester};
use suimon_base::rule::{Action, Match, Rule, RuleSet};
use suimon_base::{
    Actor, Attack, AttackChange, Authority, Bps, CaseId, Clock as _, Direction, ManualClock, MeasureId, Pps, State,
    Timestamp, Vector,
};
use suimon_ledger::Ledger;
use suimon_policy::Decision;
use suimon_spine::command::{Proposal, RequestDraft};
use suimon_spine::ports::{Budget, HandError, HandReport, Order, PlanAsk, PlanError, Seen, SeenState, Sight, Stray};
use suimon_spine::register::{Contact, ServiceClass};
use suimon_spine::release::ReleaseSettings;
use suimon_spine::{
    Command, CommandError, Customer, Hand, Handle, ManualHand, Observation, Outcome, Parts, Planner, Register, Settings,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub const ROUTER: &str = "router";
pub const SHOP: &str = "192.0.2.10/32";
pub const SCHOOL: &str = "198.51.100.10/32";

/// Discards everything to the attacked address.
struct ToTarget;

impl Planner for ToTarget {
    fn plan(&self, ask: &PlanAsk<'_>) -> Result<Plan, PlanError> {
        let target = ask.attack.map_or_else(|| SHOP.parse().unwrap(), |a| a.target);
        let matches = Match { dst: vec![target], proto: Some(17), ..Match::default() };
        Ok(Plan {
            rules: RuleSet { rules: vec![Rule { matches: matches.clone(), action: Action::Discard }] },
            dialect: ask.dialect.to_owned(),
            text: format!("deny {target}\n"),
            undo: "no deny\n".to_owned(),
            lines: 1,
            proof: json!({ "equal": true }),
            alternatives: vec![Alternative {
                means: "acl".to_owned(),
                words_en: "all of it".to_owned(),
                words_ja: "すべて止めます".to_owned(),
                attack_dropped: 1.0,
                legitimate_dropped: Some(0.0),
                connections_dropped: Some(0.0),
                lines: Some(1),
                refused: None,
            }],
            chosen: Some(ask.choose.unwrap_or(0)),
            separates: true,
            questions: Vec::new(),
            attack_matches: vec![matches],
            quiet_floor_pps: 100.0,
            targets: vec![target],
            placement: None,
        })
    }
    fn dialects(&self) -> Vec<&'static str> {
        vec!["cisco-ios"]
    }
    /// `deny PREFIX` drops everything to a prefix; other lines do nothing.
    fn read(&self, text: &str, _: &str) -> Result<(RuleSet, Vec<usize>), String> {
        let deny = |(n, line): (usize, &str)| {
            let matches = Match { dst: vec![line.strip_prefix("deny ")?.parse().ok()?], ..Match::default() };
            Some((Rule { matches, action: Action::Discard }, n + 1))
        };
        let (rules, lines) = text.lines().enumerate().filter_map(deny).unzip();
        Ok((RuleSet { rules }, lines))
    }
}

/// A router that outlives the engine.
#[derive(Default)]
pub struct Router {
    pub calls: Mutex<Vec<String>>,
    pub installed: Mutex<BTreeSet<MeasureId>>,
    /// While shut, `apply` hangs before it installs.
    pub gate: (Mutex<bool>, Condvar),
    /// So many releases fail before one works.
    pub stubborn: Mutex<u32>,
    /// What a person made of a measure by hand.
    pub edited: Mutex<BTreeSet<MeasureId>>,
    /// What each measure's filter counted.
    pub packets: Mutex<BTreeMap<MeasureId, u64>>,
    /// While set, nobody answers: a look says so at once.
    pub dark: Mutex<bool>,
    /// While set, a question at the start gets no answer for seconds.
    pub slow: Mutex<bool>,
    /// While set, what is put in does not stay.
    pub forgetful: Mutex<bool>,
    /// How often it was looked at.
    pub looks: Mutex<u64>,
    /// So many applications fail before one works.
    pub refusing: Mutex<u32>,
    /// Lines used and lines there are.
    pub room: Mutex<Option<Budget>>,
}

impl Router {
    pub fn holds(&self) -> Vec<u64> {
        self.installed.lock().unwrap().iter().map(|id| id.0).collect()
    }
    pub fn shut(&self, shut: bool) {
        *self.gate.0.lock().unwrap() = shut;
        self.gate.1.notify_all();
    }
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

struct RouterHand(Arc<Router>);

impl Hand for RouterHand {
    fn name(&self) -> &str {
        ROUTER
    }
    fn apply(&self, order: &Order, _: &Decision) -> Result<HandReport, HandError> {
        self.0.calls.lock().unwrap().push(format!("apply {}", order.id));
        let shut = self.0.gate.0.lock().unwrap();
        // Not for ever: a test that fails must end too.
        drop(self.0.gate.1.wait_timeout_while(shut, Duration::from_secs(5), |shut| *shut).unwrap());
        let mut refusing = self.0.refusing.lock().unwrap();
        if *refusing > 0 {
            *refusing -= 1;
            return Err(HandError("no room".to_owned()));
        }
        if *self.0.dark.lock().unwrap() {
            return Err(HandError("no answer".to_owned()));
        }
        if !*self.0.forgetful.lock().unwrap() {
            self.0.installed.lock().unwrap().insert(order.id);
        }
        self.0.edited.lock().unwrap().remove(&order.id);
        Ok(HandReport::Done { place: "edge-1".to_owned(), receipt: "ok".to_owned() })
    }
    fn release(&self, id: MeasureId) -> Result<HandReport, HandError> {
        self.0.calls.lock().unwrap().push(format!("release {id}"));
        let mut stubborn = self.0.stubborn.lock().unwrap();
        if *stubborn > 0 {
            *stubborn -= 1;
            return Err(HandError("no answer".to_owned()));
        }
        self.0.installed.lock().unwrap().remove(&id);
        Ok(HandReport::Done { place: "edge-1".to_owned(), receipt: "read back: nothing left".to_owned() })
    }
    fn budget(&self) -> Result<Option<Budget>, HandError> {
        Ok(*self.0.room.lock().unwrap())
    }
    fn in_force(&self) -> Result<Option<Vec<MeasureId>>, HandError> {
        if *self.0.slow.lock().unwrap() {
            std::thread::sleep(Duration::from_secs(3));
        }
        Ok(Some(self.0.installed.lock().unwrap().iter().copied().collect()))
    }
    fn look(&self, orders: &[Order]) -> Result<Option<Sight>, HandError> {
        if *self.0.slow.lock().unwrap() {
            std::thread::sleep(Duration::from_secs(3));
        }
        *self.0.looks.lock().unwrap() += 1;
        if *self.0.dark.lock().unwrap() {
            return Err(HandError("no answer".to_owned()));
        }
        let installed = self.0.installed.lock().unwrap().clone();
        let edited = self.0.edited.lock().unwrap().clone();
        let packets = self.0.packets.lock().unwrap().clone();
        let seen = |o: &Order| {
            let (there, other) = (installed.contains(&o.id), edited.contains(&o.id));
            let why = "not dropped though wanted: 1 address pairs".to_owned();
            let state = match (there, other) {
                (false, _) => SeenState::Missing,
                (true, true) => SeenState::Different { why },
                (true, false) => SeenState::AsWanted,
            };
            let text = (there && other).then(|| "permit everything\n".to_owned());
            let packets = packets.get(&o.id).copied().filter(|_| there);
            Seen { id: o.id, place: "edge-1".to_owned(), state, packets, octets: None, text }
        };
        let strays = installed.iter().filter(|id| !orders.iter().any(|o| o.id == **id)).map(|id| Stray {
            name: format!("SUIMON-{id}"),
            id: Some(*id),
            place: "edge-1".to_owned(),
            dialect: "cisco-ios".to_owned(),
            text: format!("deny {SHOP}\n"),
            bound: true,
            packets: None,
        });
        Ok(Some(Sight { seen: orders.iter().map(seen).collect(), strays: strays.collect() }))
    }
}

/// A hand on that router, as a program without an engine has it.
pub fn hand(router: &Arc<Router>) -> Arc<dyn Hand> {
    Arc::new(RouterHand(router.clone()))
}

/// A running engine.
pub struct House {
    pub handle: Handle,
    pub senses: mpsc::Sender<Observation>,
    pub task: JoinHandle<()>,
    pub clock: Arc<ManualClock>,
}

fn customer(id: &str, prefix: &str) -> Customer {
    Customer {
        id: id.to_owned(),
        name: id.to_owned(),
        service: format!("{id}-line"),
        class: ServiceClass::BestEffort,
        prefixes: vec![prefix.parse().unwrap()],
        contacts: vec![Contact {
            id: "noc".to_owned(),
            authority: vec![Authority::Order],
            telephone: Some("03-0000-0001".to_owned()),
            mail: None,
        }],
        consent: None,
    }
}

/// Looks follow each other quickly, so that tests need not wait.
pub const VERIFY: suimon_spine::VerifySettings =
    suimon_spine::VerifySettings { every_ms: 20, start_bound_ms: 500, alarm_after_ms: 60_000, silent_ms: 1_800_000 };

/// Two customers.
pub fn register() -> Register {
    Register {
        customers: vec![customer("shop", "192.0.2.0/24"), customer("school", "198.51.100.0/24")],
        networks: vec!["192.0.2.0/24".parse().unwrap(), "198.51.100.0/24".parse().unwrap()],
        collection: None,
    }
}

/// Friday, 20 November 2026, noon in Japan.
pub fn noon() -> Timestamp {
    "2026-11-20T03:00:00Z".parse().unwrap()
}

pub async fn open(dir: &Path, clock: &Arc<ManualClock>, router: &Arc<Router>) -> House {
    open_with(dir, clock, router, register()).await
}

pub async fn open_with(dir: &Path, clock: &Arc<ManualClock>, router: &Arc<Router>, register: Register) -> House {
    open_set(dir, clock, router, register, ReleaseSettings::default()).await
}

pub async fn open_set(
    dir: &Path,
    clock: &Arc<ManualClock>,
    router: &Arc<Router>,
    register: Register,
    release: ReleaseSettings,
) -> House {
    let parts = Parts {
        ledger: Ledger::open(dir, true).await.unwrap(),
        dir: dir.to_path_buf(),
        policy: suimon_policy::Engine::builtin().unwrap(),
        planner: Arc::new(ToTarget),
        hands: vec![Arc::new(RouterHand(router.clone())), Arc::new(ManualHand)],
        register,
        clock: clock.clone(),
        settings: Settings {
            default_hand: ROUTER.to_owned(),
            default_dialect: "cisco-ios".to_owned(),
            calendar: BusinessCalendar::default(),
            version: "test".to_owned(),
            verify: VERIFY,
            release,
        },
        on_watch: Box::new(|_| {}),
    };
    let (handle, senses, task) = suimon_spine::start(parts).await.unwrap();
    House { handle, senses, task, clock: clock.clone() }
}

pub fn operator() -> Actor {
    Actor::role("operator")
}

pub fn approver() -> Actor {
    Actor::role("approver")
}

pub fn attack(serial: u64, target: &str, now: Timestamp) -> Attack {
    let rates = Rates { bps: Bps(2_000_000_000), pps: Pps(500_000), ..Rates::default() };
    let target = target.parse().unwrap();
    let matches = Match { dst: vec![target], proto: Some(17), ..Match::default() };
    Attack {
        serial,
        target,
        direction: Direction::In,
        vectors: vec![VectorFinding { vector: Vector::DnsReflection, peak: rates, current: rates, matches }],
        started: now,
        detected: now.plus_ms(800),
        ended: None,
        peak: rates,
        sources: 4_000,
        spoof_likelihood: 0.1,
        evidence: Evidence {
            fired: vec![FiredRule {
                rule: "udp-pps".to_owned(),
                unit: "pps".to_owned(),
                value: 500_000,
                threshold: 30_000,
                window_ms: 1_000,
            }],
            sampling: SamplingEvidence { rate: 1, assumed: false, samples: 500_000, relative_error: 0.0 },
            top_sources: Vec::new(),
            top_src_ports: Vec::new(),
            top_dst_ports: Vec::new(),
            tcp_flags: Vec::new(),
            sizes: Vec::new(),
            ingress: Vec::new(),
            before: TrafficProfile::default(),
            during: TrafficProfile::default(),
            spoof_reasons: Vec::new(),
            words_en: "DNS answers nobody asked for.".to_owned(),
            words_ja: "要求していないDNS応答が大量に届いています。".to_owned(),
        },
    }
}

pub fn effect(observes_drops: bool, quiet_ms: i64) -> Effect {
    Effect {
        attack_arriving_pps: 0.0,
        other_arriving_pps: 300.0,
        other_passed_pps: 300.0,
        observes_drops,
        quiet_ms: Some(quiet_ms),
        ..Effect::default()
    }
}

impl House {
    /// Waits for real until the state is as wanted; the engine's clock stands still meanwhile.
    pub async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        for _ in 0..1_000 {
            if self.handle.with_state(&wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain: {what}\n{:#?}", self.handle.with_state(|s| s.measures.clone()));
    }

    /// Lets the engine look at the ends a few times.
    pub async fn some_ticks(&self) {
        tokio::time::sleep(Duration::from_millis(350)).await;
    }

    pub async fn sees(&self, change: AttackChange) {
        self.senses.send(Observation::Attack(Box::new(change))).await.unwrap();
    }

    pub async fn reads(&self, id: MeasureId, effect: Effect) {
        self.senses.send(Observation::Effect(id, effect)).await.unwrap();
        self.some_ticks().await;
    }

    pub async fn act(&self, actor: Actor, command: Command) -> Result<Outcome, CommandError> {
        self.handle.command(actor, command).await
    }

    /// An attack on a customer, up to the confirmed request.
    pub async fn asked(&self, serial: u64, target: &str, customer: &str) -> CaseId {
        let before = self.handle.with_state(|s| s.cases.len());
        self.sees(AttackChange::Started(attack(serial, target, self.clock.now()))).await;
        self.until("a case", |s| s.cases.len() > before).await;
        let case = self.handle.with_state(|s| *s.cases.keys().next_back().unwrap());
        self.asks(case, customer).await;
        case
    }

    /// The customer's words and the call-back.
    pub async fn asks(&self, case: CaseId, customer: &str) {
        let request = RequestDraft {
            words: "調査して遮断してほしい".to_owned(),
            requester: Requester {
                company: customer.to_owned(),
                contact: "noc".to_owned(),
                service: format!("{customer}-line"),
            },
            channel: ContactChannel::Telephone,
            scope: Vec::new(),
            asks_investigation: true,
            asks_blocking: true,
            callback: None,
        };
        let made = self.act(Actor::role("desk"), Command::RecordRequest { case, request }).await.unwrap();
        let callback = Callback { confirmed: true, note: "called back".to_owned() };
        let command = Command::RecordCallback { request: made.request.unwrap(), callback };
        self.act(Actor::role("desk"), command).await.unwrap();
    }

    pub async fn proposes(&self, case: CaseId, end: &str, hand: &str) -> Result<MeasureId, CommandError> {
        let proposal = Proposal {
            case,
            end: end.to_owned(),
            dialect: None,
            hand: Some(hand.to_owned()),
            attack: None,
            choose: None,
            filter_request: None,
            reason: "the customer asks".to_owned(),
            claims: Default::default(),
        };
        self.act(operator(), Command::Propose(Box::new(proposal))).await.map(|o| o.measures[0])
    }

    pub async fn approves(&self, measure: MeasureId) {
        self.act(approver(), Command::Approve { measure, choose: None, claims: None }).await.unwrap();
    }

    /// A measure in force.
    pub async fn applied(&self, case: CaseId, end: &str) -> MeasureId {
        let id = self.proposes(case, end, ROUTER).await.unwrap();
        self.approves(id).await;
        self.until("applied", |s| s.measures[&id].applied.is_some()).await;
        id
    }

    /// Waits until the router was looked at from beginning to end, twice.
    pub async fn two_looks(&self, router: &Router) {
        let before = *router.looks.lock().unwrap();
        for _ in 0..1_000 {
            if *router.looks.lock().unwrap() >= before + 4 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody looks");
    }

    /// As a crash: nothing is flushed, nothing is said goodbye to.
    pub async fn dies(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn stops(self) {
        self.handle.stop().await;
        self.task.await.unwrap();
    }
}
