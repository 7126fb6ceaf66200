//! The running house that the tests knock at.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use suimon_base::attack::{Evidence, FiredRule, Rates, SamplingEvidence, Share, TrafficProfile, VectorFinding};
use suimon_base::calendar::BusinessCalendar;
use suimon_base::event::{Alternative, Effect, Plan};
use suimon_base::rule::{Action, Match, Rule, RuleSet};
use suimon_base::{
    Actor, Attack, AttackChange, Authority, Bps, Clock, Direction, ManualClock, MeasureId, Pps, Timestamp, Vector,
};
use suimon_console::{About, Console, SignIn};
use suimon_ledger::Ledger;
use suimon_policy::FlowItem;
use suimon_spine::ports::{PlanAsk, PlanError};
use suimon_spine::register::{CollectionTerms, Contact, ServiceClass};
use suimon_spine::{Customer, Handle, ManualHand, Observation, Parts, Planner, Register, Settings};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

/// Plans the same thing whatever is asked; planning is not what is tested here.
struct OnePlan;

fn alternative(means: &str, legitimate: f64) -> Alternative {
    Alternative {
        means: means.to_owned(),
        words_en: format!("{means} <all> of it"),
        words_ja: format!("{means}で<すべて>止めます"),
        attack_dropped: 0.999,
        legitimate_dropped: Some(legitimate),
        connections_dropped: None,
        lines: Some(1),
        refused: None,
    }
}

impl Planner for OnePlan {
    fn plan(&self, ask: &PlanAsk<'_>) -> Result<Plan, PlanError> {
        let target = "192.0.2.10/32".parse().unwrap();
        let matches = Match { dst: vec![target], proto: Some(17), ..Match::default() };
        Ok(Plan {
            rules: RuleSet { rules: vec![Rule { matches: matches.clone(), action: Action::Discard }] },
            dialect: ask.dialect.to_owned(),
            text: format!("ip access-list extended {}\n deny udp any host 192.0.2.10\n permit ip any any\n", ask.name),
            undo: format!("no ip access-list extended {}\n", ask.name),
            lines: 1,
            proof: json!({ "equal": true, "requested": 1, "covered": 1, "missing": [], "extra": [] }),
            alternatives: vec![alternative("acl", 0.0), alternative("null-route", 1.0)],
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
}

pub(crate) const WORDS: &str =
    "攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい <script>alert(1)</script>";

pub(crate) struct House {
    pub router: Router,
    pub console: Console,
    pub clock: Arc<ManualClock>,
    pub sign_in: Arc<SignIn>,
    pub senses: mpsc::Sender<Observation>,
    pub dir: PathBuf,
    _dir: tempfile::TempDir,
}

fn register() -> Register {
    let contact = Contact {
        id: "noc".to_owned(),
        authority: vec![Authority::Order],
        telephone: Some("+81-3-0000-0000".to_owned()),
        mail: None,
    };
    Register {
        customers: vec![Customer {
            id: "shop".to_owned(),
            name: "Example Shop".to_owned(),
            service: "line-1".to_owned(),
            class: ServiceClass::BestEffort,
            prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            contacts: vec![contact],
            consent: None,
        }],
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        collection: Some(CollectionTerms {
            purpose: "detect attacks".to_owned(),
            items: vec![FlowItem::Addresses, FlowItem::Ports, FlowItem::Protocol, FlowItem::Counters],
            retention_hours: 24,
            approver: "role:privacy-officer".to_owned(),
            review: "2027-03-31".to_owned(),
        }),
    }
}

/// Starts the engine over a new ledger.
pub(crate) async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at("2026-11-20T03:00:00Z".parse().unwrap()));
    let parts = Parts {
        ledger: Ledger::open(dir.path(), true).await.unwrap(),
        dir: dir.path().to_path_buf(),
        policy: suimon_policy::Engine::builtin().unwrap(),
        planner: Arc::new(OnePlan),
        hands: vec![Arc::new(ManualHand)],
        register: register(),
        clock: clock.clone(),
        settings: Settings {
            default_hand: "manual".to_owned(),
            default_dialect: "cisco-ios".to_owned(),
            calendar: BusinessCalendar::default(),
            version: "test".to_owned(),
            verify: Default::default(),
            release: suimon_spine::release::ReleaseSettings::default(),
        },
        on_watch: Box::new(|_| {}),
    };
    let (handle, senses, _) = suimon_spine::start(parts).await.unwrap();
    let sign_in = Arc::new(SignIn::new([3; 32]));
    let console = Console {
        handle,
        clock: clock.clone(),
        sign_in: sign_in.clone(),
        about: About {
            base_url: "http://127.0.0.1:8080".into(),
            version: "test".to_owned(),
            exercise: true,
            metrics: Arc::new(|| "suimon_up 1\n".to_owned()),
            dialects: vec!["cisco-ios"],
            hands: vec!["manual".to_owned()],
        },
    };
    let router = console.clone().router();
    House { router, console, clock, sign_in, senses, dir: dir.path().to_path_buf(), _dir: dir }
}

/// What came back.
pub(crate) struct Got {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub text: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
    pub(crate) fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |v| v.to_str().unwrap())
    }
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> Got {
    let response: Response<Body> = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Got { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

pub(crate) fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "127.0.0.1:8080")
}

impl House {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.console.handle
    }

    /// The API as a role.
    pub(crate) fn api(&self, role: &str) -> Api<'_> {
        Api { house: self, token: self.sign_in.api_token(Actor::role(role), self.now()) }
    }

    /// A browser that a role has signed in with.
    pub(crate) async fn browser(&self, role: &str) -> Browser<'_> {
        let token = self.sign_in.link_token(Actor::role(role), self.now());
        let got = post_form(&self.router, "/sign-in", "", &[("token", &token)]).await;
        assert_eq!(got.status, 303, "{}", got.text);
        let cookie = got.headers.get(header::SET_COOKIE).unwrap().to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"));
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Browser { house: self, cookie }
    }

    /// Lets a detector see an attack, and waits for the case.
    pub(crate) async fn attacked(&self) {
        let change = AttackChange::Started(attack(self.now()));
        self.senses.send(Observation::Attack(Box::new(change))).await.unwrap();
        self.wait(|h| h.with_state(|s| !s.cases.is_empty())).await;
    }

    pub(crate) async fn effect(&self, id: &str, effect: Effect) {
        let id: MeasureId = id.parse().unwrap();
        self.senses.send(Observation::Effect(id, effect)).await.unwrap();
        self.wait(|h| h.live().effects.contains_key(&id)).await;
    }

    pub(crate) async fn wait(&self, done: impl Fn(&Handle) -> bool) {
        for _ in 0..500 {
            if done(self.handle()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it does not come");
    }
}

pub(crate) struct Api<'a> {
    pub house: &'a House,
    pub token: String,
}

impl Api<'_> {
    pub(crate) async fn get(&self, path: &str) -> Got {
        let request = request("GET", path).header("authorization", format!("Bearer {}", self.token));
        ask(&self.house.router, request.body(Body::empty()).unwrap()).await
    }
    pub(crate) async fn post(&self, path: &str, body: Value) -> Got {
        let request = request("POST", path).header("authorization", format!("Bearer {}", self.token));
        ask(&self.house.router, request.body(Body::from(body.to_string())).unwrap()).await
    }
}

pub(crate) struct Browser<'a> {
    pub house: &'a House,
    pub cookie: String,
}

impl Browser<'_> {
    pub(crate) async fn get(&self, path: &str) -> Got {
        ask(&self.house.router, request("GET", path).header("cookie", &self.cookie).body(Body::empty()).unwrap()).await
    }
    /// The token that the forms of a page carry.
    pub(crate) async fn form_token(&self) -> String {
        let page = self.get("/").await.text;
        let after = page.split("name=\"form-token\" value=\"").nth(1).expect("a form");
        after.split('"').next().unwrap().to_owned()
    }
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        let token = self.form_token().await;
        let mut all = vec![("form-token", token.as_str())];
        all.extend_from_slice(fields);
        post_form(&self.house.router, path, &self.cookie, &all).await
    }
}

pub(crate) async fn post_form(router: &Router, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Got {
    let body = fields.iter().map(|(k, v)| format!("{k}={}", encoded(v))).collect::<Vec<_>>().join("&");
    let request = request("POST", path)
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    ask(router, request.body(Body::from(body)).unwrap()).await
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn attack(now: Timestamp) -> Attack {
    let rates = Rates { bps: Bps(2_000_000_000), pps: Pps(500_000), ..Rates::default() };
    let matches = Match { dst: vec!["192.0.2.10/32".parse().unwrap()], proto: Some(17), ..Match::default() };
    let share = |key: &str| vec![Share { key: key.to_owned(), share: 0.5 }];
    Attack {
        serial: 1,
        target: "192.0.2.10/32".parse().unwrap(),
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
            sampling: SamplingEvidence { rate: 1_000, assumed: false, samples: 500, relative_error: 0.045 },
            top_sources: share("198.51.100.7"),
            top_src_ports: share("53"),
            top_dst_ports: share("40000"),
            tcp_flags: Vec::new(),
            sizes: share("1400-1499"),
            ingress: share("203.0.113.1/7"),
            before: TrafficProfile::default(),
            during: TrafficProfile::default(),
            spoof_reasons: vec!["few TTLs a source".to_owned()],
            words_en: "DNS answers nobody asked for.".to_owned(),
            words_ja: "要求していないDNS応答が大量に届いています。".to_owned(),
        },
    }
}

pub(crate) fn draft() -> Value {
    json!({
        "words": WORDS,
        "requester": { "company": "Example Shop", "contact": "noc", "service": "line-1" },
        "channel": "telephone",
    })
}
