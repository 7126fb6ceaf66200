//! The configuration file: read, checked as a whole, and turned into what the rest of the program runs on.

pub mod bgp;
mod filter;
mod v1;
mod verify;

use crate::exit::bad_input;
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use suimon_base::calendar::{BusinessCalendar, parse_date};
use suimon_base::holiday::Holidays;
use suimon_collect::CollectConfig;
use suimon_detect::{Network, Thresholds};
use suimon_device::DeviceHand;
use suimon_filter::dialect::Dialect;
use suimon_notify::{Channel, Credentials, Language, Mail, MailTls, Secret, Webhook};
use suimon_spine::release::ReleaseSettings;
use suimon_spine::{Hand, ManualHand, Register};

/// Everything the daemon runs on.
#[derive(Debug)]
pub struct Config {
    /// Folder of ledger, journal and socket.
    pub data: PathBuf,
    /// Where pages and API are served; loopback only.
    pub listen: SocketAddr,
    /// Unix socket for the command line.
    pub socket: PathBuf,
    /// Start of links in alerts.
    pub base_url: String,
    /// Whether everything is an exercise.
    pub exercise: bool,
    /// Customers, networks, terms of collection.
    pub register: Register,
    /// Sockets and exporters; `None` collects nothing.
    pub collect: Option<CollectConfig>,
    /// Detection.
    pub detect: suimon_detect::Config,
    /// Business days and long holidays.
    pub calendar: BusinessCalendar,
    /// How measures end.
    pub release: ReleaseSettings,
    /// Hand of proposals that name none.
    pub default_hand: String,
    /// Dialect of proposals that name none.
    pub default_dialect: String,
    /// Where alerts go, by name.
    pub alerts: BTreeMap<String, Channel>,
    /// Policy packs; the built-in ones where none is named.
    pub packs: Vec<suimon_policy::Pack>,
    /// The BGP hand; `None` announces nothing.
    pub bgp: Option<bgp::Bgp>,
    /// Own addresses, critical services and device profiles, for the planner.
    pub known: crate::placing::Known,
    /// How often the hands look at the network.
    pub verify: suimon_spine::VerifySettings,
    /// Routers, each a hand.
    pub devices: Vec<Arc<dyn Hand>>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Exit code 2 with file, line and column for syntax and unknown keys, or the key for what does not make sense.
    pub fn read(path: &Path) -> anyhow::Result<Config> {
        let text =
            std::fs::read_to_string(path).map_err(|e| bad_input(format!("cannot read {}: {e}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Config::parse(&text, folder).with_context(|| path.display().to_string())
    }

    /// Parses the text of a configuration file; relative paths in it start at `folder`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, folder: &Path) -> anyhow::Result<Config> {
        let file: v1::File = toml::from_str(text).map_err(|e| bad_input(e.to_string()))?;
        if file.version != v1::VERSION {
            return Err(bad_input(format!("version {}: this program reads version {}", file.version, v1::VERSION)));
        }
        if !file.node.listen.ip().is_loopback() {
            return Err(bad_input(format!(
                "node.listen: {} is not a loopback address; pages and API are served on loopback only",
                file.node.listen
            )));
        }
        let data = folder.join(&file.node.data);
        let networks: Vec<_> = file.network.iter().map(|n| n.prefix).collect();
        let register = Register { customers: file.customer, networks, collection: file.collection };
        check_register(&register)?;
        let detect = detection(file.detect.unwrap_or_default(), file.network, &register)?;
        let dialect: Dialect =
            file.measure.default_dialect.parse().map_err(|e| bad_input(format!("measure.default-dialect: {e}")))?;
        let release = file.release;
        release.check().map_err(bad_input)?;
        let closed = file
            .calendar
            .extra_closed
            .iter()
            .map(|d| parse_date(d).map_err(|e| bad_input(format!("calendar.extra-closed: `{d}`: {e}"))));
        let hands: Vec<&str> = file.device.iter().map(|d| d.name.as_str()).chain(["bgp", MANUAL]).collect();
        Ok(Config {
            socket: file.node.socket.map_or_else(|| data.join("suimon.sock"), |s| folder.join(s)),
            base_url: file.node.base_url.unwrap_or_else(|| format!("http://{}", file.node.listen)),
            data,
            listen: file.node.listen,
            exercise: file.node.exercise,
            collect: file.collect,
            detect,
            calendar: BusinessCalendar {
                extra_closed: closed.collect::<anyhow::Result<_>>()?,
                holidays: holidays(&file.calendar.holidays, folder)?,
            },
            release,
            default_hand: file.measure.default_hand,
            default_dialect: dialect.to_string(),
            alerts: channels(file.alert, folder)?,
            packs: packs(file.policy.as_ref(), folder)?,
            bgp: file.bgp.map(|b| bgp::read(b, &register, folder)).transpose()?,
            verify: file.verify.settings()?,
            known: file.filter.known(folder, &hands)?,
            devices: devices(&file.device)?,
            register,
        })
    }
}

/// The calendars that come with the program, with the operator's own files over them.
fn holidays(files: &BTreeMap<String, PathBuf>, folder: &Path) -> anyhow::Result<Holidays> {
    let mut all = Holidays::default();
    for (country, file) in files {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| bad_input(format!("calendar.holidays: cannot read {}: {e}", path.display())))?;
        all.add(country, &text).map_err(|e| bad_input(format!("calendar.holidays: {}: {e}", path.display())))?;
    }
    Ok(all)
}

/// Files and names are checked here; a router is reached only by `serve`.
fn devices(devices: &[suimon_device::DeviceConfig]) -> anyhow::Result<Vec<Arc<dyn Hand>>> {
    let hands = suimon_device::open(devices).map_err(|e| bad_input(e.to_string()))?;
    Ok(hands.into_iter().map(|h: DeviceHand| Arc::new(h) as Arc<dyn Hand>).collect())
}

fn check_register(register: &Register) -> anyhow::Result<()> {
    let mut ids = BTreeSet::new();
    for c in &register.customers {
        if !ids.insert(&c.id) {
            return Err(bad_input(format!("customer `{}` stands twice", c.id)));
        }
        if c.prefixes.is_empty() {
            return Err(bad_input(format!("customer `{}` has no prefixes", c.id)));
        }
        for p in &c.prefixes {
            if !register.networks.iter().any(|n| n.contains(p)) {
                return Err(bad_input(format!("customer `{}`: {p} lies in no [[network]]", c.id)));
            }
        }
        let mut contacts = BTreeSet::new();
        if let Some(twice) = c.contacts.iter().find(|k| !contacts.insert(&k.id)) {
            return Err(bad_input(format!("customer `{}`: contact `{}` stands twice", c.id, twice.id)));
        }
        if let Some(terms) = &c.consent {
            parse_date(&terms.effective)
                .map_err(|e| bad_input(format!("customer `{}`: consent.effective: {e}", c.id)))?;
        }
    }
    if let Some(terms) = &register.collection {
        parse_date(&terms.review).map_err(|e| bad_input(format!("collection.review: `{}`: {e}", terms.review)))?;
    }
    Ok(())
}

/// Thresholds given in the file stand over the built-in ones limit by limit; every customer prefix is watched.
fn detection(
    mut config: suimon_detect::Config,
    networks: Vec<Network>,
    register: &Register,
) -> anyhow::Result<suimon_detect::Config> {
    if !config.networks.is_empty() {
        return Err(bad_input("detect.networks: networks stand in [[network]]"));
    }
    config.thresholds = config.thresholds.over(&Thresholds::default());
    if let Some(bad) = networks.iter().find(|n| n.customer.as_ref().is_some_and(|c| register.customer(c).is_none())) {
        return Err(bad_input(format!(
            "network {}: there is no customer `{}`",
            bad.prefix,
            bad.customer.clone().unwrap_or_default()
        )));
    }
    config.networks = networks;
    for customer in &register.customers {
        for prefix in &customer.prefixes {
            match config.networks.iter_mut().find(|n| n.prefix == *prefix) {
                Some(network) => network.customer = Some(customer.id.clone()),
                None => config.networks.push(Network {
                    prefix: *prefix,
                    customer: Some(customer.id.clone()),
                    thresholds: None,
                }),
            }
        }
    }
    config.check().map_err(|e| bad_input(format!("detect: {e}")))?;
    Ok(config)
}

fn channels(alerts: Vec<v1::Alert>, folder: &Path) -> anyhow::Result<BTreeMap<String, Channel>> {
    let mut out = BTreeMap::new();
    for alert in alerts {
        let (name, channel) = match alert {
            v1::Alert::Webhook { name, url, secret_file, ca_file } => {
                let secret = secret_file.map(|f| secret(&folder.join(f))).transpose()?;
                (name, Channel::Webhook(Webhook { url, secret, ca_pem: pem(ca_file, folder)? }))
            }
            v1::Alert::Mail { name, server, port, tls, ca_file, from, to, language, user, password_file } => {
                let credentials = match (user, password_file) {
                    (Some(user), Some(file)) => Some(Credentials { user, password: secret(&folder.join(file))? }),
                    (None, None) => None,
                    _ => return Err(bad_input(format!("alert `{name}`: user and password-file go together"))),
                };
                let tls = match tls {
                    v1::Tls::Always => MailTls::Wrapped,
                    v1::Tls::Starttls => MailTls::StartTls,
                    v1::Tls::None => MailTls::None,
                };
                let language = match language {
                    v1::Language::Ja => Language::Ja,
                    v1::Language::En => Language::En,
                    v1::Language::Both => Language::Both,
                };
                let ca_pem = pem(ca_file, folder)?;
                (name, Channel::Mail(Mail { server, port, tls, ca_pem, credentials, from, to, language }))
            }
        };
        if out.insert(name.clone(), channel).is_some() {
            return Err(bad_input(format!("alert `{name}` stands twice")));
        }
    }
    // The courier's own checks belong to the configuration's; what it makes here is thrown away.
    suimon_notify::Courier::new(out.clone()).map_err(|e| bad_input(e.to_string()))?;
    Ok(out)
}

fn pem(file: Option<PathBuf>, folder: &Path) -> anyhow::Result<Option<String>> {
    file.map(|f| folder.join(f))
        .map(|f| {
            std::fs::read_to_string(&f)
                .map_err(|e| bad_input(format!("cannot read the certificate in {}: {e}", f.display())))
        })
        .transpose()
}

fn secret(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| bad_input(format!("cannot read the secret in {}: {e}", path.display())))?;
    Ok(Secret::new(&text))
}

fn packs(policy: Option<&v1::Policy>, folder: &Path) -> anyhow::Result<Vec<suimon_policy::Pack>> {
    let Some(policy) = policy else {
        return Ok(vec![suimon_policy::Pack::builtin_jp().map_err(|e| anyhow::anyhow!("built-in policy pack: {e}"))?]);
    };
    let mut out = Vec::new();
    for pack in &policy.packs {
        let dir = folder.join(pack);
        let mut files = BTreeMap::new();
        for name in suimon_policy::Pack::file_names() {
            let path = dir.join(name);
            let text = std::fs::read_to_string(&path)
                .map_err(|e| bad_input(format!("policy pack: cannot read {}: {e}", path.display())))?;
            files.insert(name.to_owned(), text);
        }
        let pack =
            suimon_policy::Pack::load(&files).map_err(|e| bad_input(format!("policy pack {}: {e}", dir.display())))?;
        out.push(pack);
    }
    Ok(out)
}

/// The name of the hand that every daemon has.
pub const MANUAL: &str = ManualHand::NAME;
