//! The hand that the spine calls.

use crate::announcer::{Announcer, Standing};
use crate::bmp::state::Presence;
use crate::bmp::{Receiver, Told};
use crate::config::{BgpConfig, ConfigError, Driver, Password, PeerConfig};
use crate::convert::{self, Means};
use crate::gobgp::Gobgp;
use crate::gobgp::api::Tls;
use crate::guard::cone::Cone;
use crate::guard::{Ask, Guard, PeerCap, Report};
use crate::route::{FlowAction, Route, RouteKey, Scope};
use crate::speaker::Speaker;
use crate::table::Wanted;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use suimon_base::{Asn, Clock, MeasureId, Timestamp};
use suimon_policy::{Act, Basis, Decision};
pub use suimon_spine::ports::{DryRun, Hand, HandError, HandReport, Order, Session, Sight};

/// Why there is no hand.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system.
    #[error("the BGP sessions cannot start: {0}")]
    Io(#[from] io::Error),
}

/// What the files named in the configuration hold; the daemon reads them.
#[derive(Debug, Default)]
pub struct Files {
    /// `[bgp.guard]`: other ASes.
    pub cone: Cone,
    /// `md5-password-file` of peers, by name.
    pub passwords: BTreeMap<String, Password>,
    /// `[bgp.gobgp]`: certificates; `None` speaks without encryption.
    pub tls: Option<Tls>,
}

/// The BGP hand.
///
/// With the driver `own`, what it announces lives as long as this value: dropping it closes the sessions. After a restart the engine applies
/// again what is still in force.
pub struct BgpHand {
    announcer: Arc<dyn Announcer>,
    /// With the number of changes of BMP's routers that its cone stands for.
    guard: Mutex<(u64, Guard)>,
    bmp: Option<Receiver>,
    customers: Option<Speaker>,
    desks: Vec<PeerConfig>,
    config: BgpConfig,
    clock: Arc<dyn Clock>,
    wait: Duration,
    start_wait: Duration,
}

impl BgpHand {
    /// Its name in configuration and ledger.
    pub const NAME: &'static str = "bgp";

    /// Starts the sessions of a configuration. `cone` holds what the files of `[bgp.guard]` say; the daemon reads them.
    ///
    /// # Errors
    /// When the configuration cannot be used or the system gives no thread.
    pub fn start(config: &BgpConfig, cone: Cone, clock: Arc<dyn Clock>) -> Result<BgpHand, StartError> {
        Self::start_with(config, Files { cone, ..Files::default() }, clock)
    }

    /// As [`BgpHand::start`], with everything that files hold.
    ///
    /// # Errors
    /// As [`BgpHand::start`].
    pub fn start_with(config: &BgpConfig, files: Files, clock: Arc<dyn Clock>) -> Result<BgpHand, StartError> {
        config.check()?;
        // Customers have sessions of their own kind beside those that announce: nothing is ever told to them.
        let (customers, others) = config.peers.iter().cloned().partition(PeerConfig::is_customer);
        let of = |peers: Vec<PeerConfig>| BgpConfig { peers, ..config.clone() };
        let (customers, config) = (of(customers), &of(others));
        let announcer: Arc<dyn Announcer> = match (config.driver, &config.gobgp) {
            (Driver::Gobgp, Some(gobgp)) => Arc::new(Gobgp::start(config, gobgp, files.tls.as_ref())?),
            _ => Arc::new(Speaker::start(config, &files.passwords)?),
        };
        let mut hand = Self::with(announcer, config, files.cone, clock.clone());
        if !customers.peers.is_empty() {
            hand.customers = Some(Speaker::start(&customers, &files.passwords)?);
            hand.desks = customers.peers;
        }
        if let Some(bmp) = &config.bmp {
            let guard = &config.guard;
            let spaces = guard.own.iter().chain(guard.customers.iter().flat_map(|c| &c.prefixes)).copied().collect();
            hand.bmp = Some(Receiver::start(bmp, spaces, &guard.direct_customers, clock)?);
        }
        Ok(hand)
    }

    /// A hand with another announcer.
    pub fn with(announcer: Arc<dyn Announcer>, config: &BgpConfig, cone: Cone, clock: Arc<dyn Clock>) -> BgpHand {
        let own = config.peers.iter().map(|p| PeerCap {
            name: p.name.clone(),
            max_routes: p.max_routes,
            edge: p.edge,
            families: p.families(),
        });
        let gobgp = config.gobgp.iter().map(|g| PeerCap {
            name: "gobgp".to_owned(),
            max_routes: g.max_routes,
            edge: g.edge,
            families: g.families(),
        });
        let peers = own.chain(gobgp).collect();
        let guard = Guard::new(&config.guard, Asn(config.local_as), cone, peers);
        let wait = Duration::from_millis(config.wait_ms);
        let start_wait = Duration::from_millis(config.start_wait_ms).max(wait);
        let guard = Mutex::new((0, guard));
        BgpHand {
            announcer,
            guard,
            bmp: None,
            customers: None,
            desks: Vec::new(),
            config: config.clone(),
            clock,
            wait,
            start_wait,
        }
    }

    /// The guard with what the routers say now.
    fn guard(&self) -> MutexGuard<'_, (u64, Guard)> {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bmp) = &self.bmp {
            let changes = bmp.cone_changes();
            if changes != guard.0 {
                let mut live = Cone::default();
                if bmp.cone(&mut live, Asn(self.config.local_as), &self.addresses(None), self.config.router_id) {
                    tracing::warn!("the routers know more routes of other ASes than can be kept");
                }
                guard.1.set_live_cone(Some(Arc::new(live)));
                guard.0 = changes;
            }
        }
        guard
    }

    /// Our addresses towards a peer, or towards all.
    fn addresses(&self, peer: Option<&str>) -> Vec<IpAddr> {
        let ours = self.config.peers.iter().filter(|p| peer.is_none_or(|name| p.name == name));
        ours.filter_map(|p| p.source).collect()
    }

    /// Sessions with customers, where some are configured, and who they are.
    pub fn customers(&self) -> Option<(&Speaker, &[PeerConfig])> {
        Some((self.customers.as_ref()?, &self.desks))
    }

    /// The configuration that it was started with, without the customers' sessions.
    pub fn config(&self) -> &BgpConfig {
        &self.config
    }

    /// The BMP receiver, where one is configured.
    pub fn bmp(&self) -> Option<&Receiver> {
        self.bmp.as_ref()
    }

    /// What a peer took of our routes, by what it tells over BMP as the router of the same name. Routes that its role does
    /// not want are left out. A route is accepted when it is in the peer's Adj-RIB-In after policy.
    pub fn accepted(&self, peer: &str) -> Vec<AcceptedRoute> {
        let table = self.announcer.table();
        let own = self.config.peers.iter().find(|p| p.name == peer);
        let families = own.map(PeerConfig::families);
        let wants = |key: &RouteKey, route: &Route| {
            families.as_ref().is_none_or(|f| f.contains(&key.family))
                && (own.is_none_or(|p| p.edge) || route.scope == Scope::All)
        };
        let addresses = self.addresses(Some(peer));
        let wanted = table.routes().iter().filter(|(key, w)| wants(key, &w.route));
        let one = |(key, w): (&RouteKey, &Wanted)| {
            let told = self.bmp.as_ref().and_then(|b| b.told(peer, &addresses, self.config.router_id, key));
            AcceptedRoute {
                target: w.route.target.to_string(),
                measures: w.owners.iter().copied().collect(),
                state: Acceptance::of(told),
            }
        };
        wanted.map(one).collect()
    }

    /// The announcer, for status pages.
    pub fn announcer(&self) -> &dyn Announcer {
        &*self.announcer
    }

    /// Dry run: what the routes would touch and whether they may leave.
    pub fn dry_run(&self, id: MeasureId, routes: &[Route], emergency: bool) -> Report {
        let others = self.announcer.others(id);
        self.guard().1.report(&Ask { routes, others: &others, emergency, now: self.clock.now() })
    }

    /// Dry run of an order, before anybody approves it.
    ///
    /// # Errors
    /// When the order cannot be said in BGP.
    pub fn dry_run_order(&self, order: &Order, act: Act) -> Result<Report, HandError> {
        Ok(self.dry_run(order.id, &routes_of(order, act)?, false))
    }

    /// Announces routes of a measure behind the guard rails. [`Hand::apply`] is this with an order's routes.
    ///
    /// # Errors
    /// When the guard refuses, a route clashes with another measure's, or some route reaches no peer in time; nothing of
    /// the measure is announced then.
    pub fn announce(&self, id: MeasureId, routes: &[Route], emergency: bool) -> Result<HandReport, HandError> {
        let others = self.announcer.others(id);
        let ask = Ask { routes, others: &others, emergency, now: self.clock.now() };
        let (cleared, report) = self.guard().1.check(&ask).map_err(|report| {
            let reasons: Vec<String> = report.refusals.iter().take(REASONS).map(ToString::to_string).collect();
            let more = report.refusals.len().saturating_sub(REASONS);
            let more = if more > 0 { format!("; and {more} more reasons") } else { String::new() };
            HandError(format!("the guard rails refuse: {}{more}", reasons.join("; ")))
        })?;
        let ticket = self.announcer.set(id, &cleared).map_err(|e| HandError(e.to_string()))?;
        let starting = self.announcer.peers().iter().all(|p| p.established == 0);
        let patience = if starting { self.start_wait } else { self.wait };
        let in_time = self.announcer.wait(ticket, patience);
        let standing = self.announcer.standing(id);
        let (held, all) = self.announcer.coverage(id);
        if held < all {
            self.announcer.remove(id);
            let (missing, ms, text) = (all - held, patience.as_millis(), text(&standing));
            return Err(HandError(format!(
                "no peer has {missing} of {all} routes after {ms} ms, all withdrawn: {text}"
            )));
        }
        let places: Vec<&str> = standing.iter().filter(|s| s.up && s.has > 0).map(|s| s.peer.as_str()).collect();
        let late = if in_time { "" } else { "; some peers are late" };
        let warnings: String = report.warnings.iter().map(|w| format!("; warning: {w}")).collect();
        let accepted = if self.bmp.is_some() { "told by BMP" } else { "not known" };
        let receipt = format!(
            "adj-out: {}{late}; destinations: {} IPv4 addresses, {} IPv6 /64 networks; what the peers accepted is \
             {accepted}{warnings}",
            text(&standing),
            report.covered.v4,
            report.covered.v6_64
        );
        Ok(HandReport::Done { place: places.join(", "), receipt })
    }
}

/// Whether a peer took a route of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It passed the peer's import policy.
    Accepted {
        /// Since when.
        since: Timestamp,
        /// Whether it is in the table that the peer uses; `None` where it does not tell.
        used: Option<bool>,
    },
    /// The peer tells, and it is not among what it accepted.
    NotAccepted {
        /// Since when.
        since: Timestamp,
        /// Why, as far as it shows.
        why: &'static str,
    },
    /// The peer does not tell.
    Unknown {
        /// Since when, where it told before.
        since: Option<Timestamp>,
        /// Why.
        why: &'static str,
    },
}

impl Acceptance {
    fn of(told: Option<Result<Told, Timestamp>>) -> Acceptance {
        let unknown = |since, why| Acceptance::Unknown { since, why };
        let told = match told {
            None => return unknown(None, "no router of that name is configured for BMP"),
            Some(Err(since)) => return unknown(Some(since), "the router is not connected by BMP"),
            Some(Ok(told)) => told,
        };
        let used = match told.used {
            Presence::There(_) => Some(true),
            Presence::NotThere(_) => Some(false),
            Presence::Unheard => None,
        };
        match (told.session, told.accepted, told.arrived) {
            (Err(Some(since)), ..) => Acceptance::NotAccepted { since, why: "its session with us is down" },
            (Err(None), ..) => unknown(Some(told.connected), "the router does not tell of a session with us"),
            (_, Presence::There(since), _) => Acceptance::Accepted { since, used },
            (_, Presence::NotThere(since), Presence::There(_)) => {
                Acceptance::NotAccepted { since, why: "it arrived, and the router's policy refuses it" }
            }
            (_, Presence::NotThere(since), _) => {
                Acceptance::NotAccepted { since, why: "it is not among what the router accepted" }
            }
            (_, Presence::Unheard, Presence::NotThere(since)) => {
                Acceptance::NotAccepted { since, why: "it did not arrive" }
            }
            (_, Presence::Unheard, Presence::There(since)) => {
                unknown(Some(since), "it arrived; the router does not tell what its policy made of it")
            }
            (Ok(since), Presence::Unheard, Presence::Unheard) => {
                unknown(Some(since), "the router tells nothing of this family")
            }
        }
    }
}

/// One route of ours and what a peer made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedRoute {
    /// The route in words, as in a dry run.
    pub target: String,
    /// For which measures it is announced.
    pub measures: Vec<MeasureId>,
    /// Whether the peer took it.
    pub state: Acceptance,
}

/// Reasons of a refusal that are told.
const REASONS: usize = 5;

fn text(standing: &[Standing]) -> String {
    let one = |s: &Standing| {
        let note = if s.note.is_empty() { String::new() } else { format!(" ({})", s.note) };
        let session = if s.up { "" } else { ", session down" };
        format!("{} {}/{}{session}{note}", s.peer, s.has, s.of)
    };
    standing.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The routes of an order under the act that was decided; what was approved as one act is not carried out as another.
fn routes_of(order: &Order, act: Act) -> Result<Vec<Route>, HandError> {
    let means = match act {
        Act::Rtbh | Act::NullRoute => Means::Rtbh,
        Act::Flowspec | Act::Police => Means::Flowspec,
        other => return Err(HandError(format!("the decision is for {other:?}, which is nothing that BGP carries"))),
    };
    let mut routes = convert::routes(&order.rules, &order.text, means).map_err(|e| HandError(e.to_string()))?;
    match act {
        // On the operator's own routers, says the act.
        Act::NullRoute => routes.iter_mut().for_each(|r| r.scope = Scope::EdgeOnly),
        Act::Police if routes.iter().any(|r| r.actions.contains(&FlowAction::Discard)) => {
            return Err(HandError("the decision is for a rate limit, and a rule drops everything".into()));
        }
        _ => {}
    }
    Ok(routes)
}

/// 緊急避難 and 正当防衛 may use the room that is kept for emergencies.
fn emergency(decision: &Decision) -> bool {
    decision.basis().iter().any(|b| matches!(b, Basis::Necessity | Basis::SelfDefence))
}

impl Hand for BgpHand {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn apply(&self, order: &Order, decision: &Decision) -> Result<HandReport, HandError> {
        self.announce(order.id, &routes_of(order, decision.act())?, emergency(decision))
    }

    fn release(&self, id: MeasureId) -> Result<HandReport, HandError> {
        let before = self.announcer.standing(id);
        let ticket = self.announcer.remove(id);
        let in_time = self.announcer.wait(ticket, self.wait);
        let after = self.announcer.standing(id);
        // A peer whose session is down has dropped everything, or does when its hold time ends.
        let late: Vec<&str> = after.iter().filter(|s| s.up && !s.current).map(|s| s.peer.as_str()).collect();
        if !in_time && !late.is_empty() {
            return Err(HandError(format!("withdrawn, but not yet sent to {}", late.join(", "))));
        }
        if let Some(why) = self.announcer.unsure(id) {
            return Err(HandError(why));
        }
        let had: Vec<String> = before.iter().filter(|s| s.has > 0).map(|s| format!("{} {}", s.peer, s.has)).collect();
        let receipt = if had.is_empty() {
            "nothing was announced".to_owned()
        } else {
            format!("withdrawn from {}", had.join("; "))
        };
        Ok(HandReport::Done { place: before.iter().map(|s| s.peer.as_str()).collect::<Vec<_>>().join(", "), receipt })
    }

    fn apply_again(&self) -> bool {
        self.announcer.outlives_us()
    }

    fn in_force(&self) -> Result<Option<Vec<MeasureId>>, HandError> {
        let sent = |id: &MeasureId| self.announcer.standing(*id).iter().any(|s| s.has > 0);
        Ok(Some(self.announcer.measures().into_iter().filter(sent).collect()))
    }

    fn look(&self, orders: &[Order]) -> Result<Option<Sight>, HandError> {
        Ok(Some(crate::look::sight(&*self.announcer, orders)))
    }

    fn dry_run(&self, order: &Order, act: Act) -> Result<Option<DryRun>, HandError> {
        // Without a decision there is no basis yet, so the reserve for emergencies is not counted in.
        Ok(Some(crate::look::dry_run(&self.dry_run_order(order, act)?)))
    }

    fn sessions(&self) -> Vec<Session> {
        crate::look::sessions(&*self.announcer, Self::NAME)
    }
}
