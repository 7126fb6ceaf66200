//! The command line. Others script against it: names, options and exit codes stay.

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use std::path::PathBuf;
use suimon_base::{CaseId, MeasureId};

/// Suimon (水門): sees attacks, works out whether the provider may act, acts with the smallest measure, and takes it away
/// again.
///
/// Exit codes: 0 done, 1 no (checked and found false), 2 bad input, 3 failed.
#[derive(Debug, Parser)]
#[command(name = "suimon", version, propagate_version = true)]
pub struct Cli {
    /// Print JSON: one object, or one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: collect flows, detect, serve pages and API
    Serve(ServeArgs),
    /// Check a configuration file without starting anything
    CheckConfig(CheckConfigArgs),
    /// Run the whole job on a captured or made-up attack, in one process with real sockets
    Drill(DrillArgs),
    /// Print the flows in captures of flow datagrams or in raw datagram files
    Decode(DecodeArgs),
    /// Print the attacks in flow datagrams or packet captures
    Detect(DetectArgs),
    /// Compile and check packet filters
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Check the record
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Work on cases of a running daemon
    #[command(subcommand)]
    Case(CaseCommand),
    /// Propose, approve, apply and release measures of a running daemon
    #[command(subcommand)]
    Measure(MeasureCommand),
    /// Ask which measure of ours drops or limits a packet, now or at a time that has passed; exit code 1 where none does
    Why(WhyArgs),
    /// Show what is in the network beside what the ledger wants; exit code 1 where something differs
    Verify(SocketArgs),
    /// Decide about differences between network and ledger
    #[command(subcommand)]
    Orphan(OrphanCommand),
    /// Look at the BGP sessions of a running daemon
    #[command(subcommand)]
    Bgp(BgpCommand),
    /// Print a one-time link to the pages of a running daemon, for the user who asks
    SignIn(SocketArgs),
}

/// Where the daemon is.
#[derive(Args, Debug, Clone)]
pub struct SocketArgs {
    /// The daemon's Unix socket
    #[arg(long, env = "SUIMON_SOCKET", default_value = "/var/lib/suimon/suimon.sock", value_name = "PATH")]
    pub socket: PathBuf,
}

/// `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Configuration file
    #[arg(long, value_name = "F")]
    pub config: PathBuf,
}

/// `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfigArgs {
    /// Configuration file
    #[arg(value_name = "F")]
    pub config: PathBuf,
}

/// What the model router exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Export {
    /// NetFlow version 9
    Netflow9,
    /// IPFIX
    Ipfix,
    /// sFlow version 5
    Sflow,
}

/// Language of texts for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    /// Japanese
    Ja,
    /// English
    En,
}

/// `drill`.
#[derive(Args, Debug)]
pub struct DrillArgs {
    /// A built-in scenario; `list` names them
    #[arg(value_name = "SCENARIO", conflicts_with = "capture")]
    pub scenario: Option<String>,
    /// Play the packets of this pcap or pcapng file instead, with legitimate traffic to the same host and ports
    #[arg(long, value_name = "F")]
    pub capture: Option<PathBuf>,
    /// What the model router exports
    #[arg(long, value_enum, default_value = "netflow9")]
    pub export: Export,
    /// One in N packets is sampled
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub sampling: u32,
    /// Folder for ledger and journal; a temporary one where absent
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep the daemon running afterwards, with a link to its pages
    #[arg(long)]
    pub keep: bool,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Length of the attack in seconds, fixed before the start; the scenario's own, or 15 for a capture
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(2..=3600))]
    pub attack_seconds: Option<u64>,
    /// Release after this many seconds without the attack
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub quiet_seconds: u64,
    /// Dialect of the model router
    #[arg(long, default_value = "flowspec")]
    pub dialect: String,
    /// Language of the timeline and the report
    #[arg(long, value_enum, default_value = "en")]
    pub lang: LangArg,
}

/// `decode`.
#[derive(Args, Debug)]
pub struct DecodeArgs {
    /// pcap or pcapng files of flow datagrams, or raw datagrams in the order given
    #[arg(required = true, value_name = "F")]
    pub files: Vec<PathBuf>,
}

/// `detect`.
#[derive(Args, Debug)]
pub struct DetectArgs {
    /// Flow datagrams (captured or raw) or plain packet captures
    #[arg(required = true, value_name = "F")]
    pub files: Vec<PathBuf>,
    /// Prefixes to protect
    #[arg(long, value_name = "P", num_args = 1.., required_unless_present = "config")]
    pub network: Vec<IpNet>,
    /// Thresholds and networks from this configuration file
    #[arg(long, value_name = "F")]
    pub config: Option<PathBuf>,
    /// Packets of a plain capture stand for one in N; for flows, where the exporter does not say
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub sampling: u32,
}

/// A request and what is known besides its words.
#[derive(Args, Debug)]
pub struct RequestArgs {
    /// The request: a customer's words, TOML, JSON, or a router's filter
    #[arg(long, value_name = "F")]
    pub request: PathBuf,
    /// How it is written: text, toml, json or a dialect; recognised by its look where absent
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Prefixes that the requester holds; what lies outside is asked about
    #[arg(long, value_name = "P", num_args = 1..)]
    pub holds: Vec<IpNet>,
    /// The operator's own prefixes (routers, DNS, monitoring); filtering them is asked about
    #[arg(long, value_name = "P", num_args = 1..)]
    pub own: Vec<IpNet>,
    /// TOML list of critical services; filtering them is asked about
    #[arg(long, value_name = "F")]
    pub critical: Option<PathBuf>,
    /// Folder with data on countries, for requests that name one
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Home country, for "abroad" (two letters, such as JP)
    #[arg(long, value_name = "CC")]
    pub home: Option<String>,
}

/// `filter compile`.
#[derive(Args, Debug)]
pub struct CompileArgs {
    /// The request and what is known besides.
    #[command(flatten)]
    pub request: RequestArgs,
    /// Dialect of the text
    #[arg(long, value_name = "D", value_parser = dialects())]
    pub dialect: String,
    /// Name of the list
    #[arg(long, default_value = "SUIMON")]
    pub name: String,
    /// Number appended to the name as -vN, so that a new list never adds to an old one
    #[arg(long, value_name = "N")]
    pub list_version: Option<u32>,
    /// Number of the case, for a remark
    #[arg(long)]
    pub case: Option<String>,
    /// Who asked, for a remark
    #[arg(long)]
    pub requester: Option<String>,
    /// End of the filter, for its remark
    #[arg(long)]
    pub end: Option<String>,
    /// Interface on which the list is bound, for the steps and the undo
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,
    /// The list filters what leaves the interface, not what arrives
    #[arg(long)]
    pub outbound: bool,
    /// Print the undo instead of the text
    #[arg(long)]
    pub undo: bool,
    /// How lines may look: basic is one port and one prefix a line; compact takes lists, ranges, groups and permits before
    /// denies where the dialect has them (rtbh has nothing to join)
    #[arg(long, value_name = "P", default_value = "basic", value_parser = ["basic", "compact"])]
    pub profile: String,
}

/// `filter plan`.
#[derive(Args, Debug)]
pub struct PlaceArgs {
    /// The request and what is known besides.
    #[command(flatten)]
    pub request: RequestArgs,
    /// Device profiles (TOML); may be repeated
    #[arg(long, value_name = "P", required = true)]
    pub device: Vec<PathBuf>,
    /// To what a rate limit is set, in bits a second
    #[arg(long, value_name = "BPS", default_value_t = 10_000_000)]
    pub police_bps: u64,
}

/// The names of the dialects, shown by `--help`.
fn dialects() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(suimon_filter::dialect::Dialect::ALL.map(|d| d.name()))
}

/// `filter lint`.
#[derive(Args, Debug)]
pub struct LintArgs {
    /// The filter's text
    #[arg(long, value_name = "F")]
    pub acl: PathBuf,
    /// Its dialect
    #[arg(long, value_name = "D")]
    pub dialect: String,
    /// Device profile (TOML); its `lines` is how many lines are free
    #[arg(long, value_name = "F")]
    pub device: Option<PathBuf>,
    /// Lines that the device has free
    #[arg(long, value_name = "N", conflicts_with = "device")]
    pub lines: Option<usize>,
    /// Prefixes that the filter is to protect; lines that look the other way are found
    #[arg(long, value_name = "P", num_args = 1..)]
    pub protects: Vec<IpNet>,
    /// The device's running configuration: lists that would be replaced or added to are found
    #[arg(long, value_name = "F")]
    pub running: Option<PathBuf>,
}

/// `filter …`.
#[derive(Debug, Subcommand)]
pub enum FilterCommand {
    /// Show what a request is understood as and what it leaves open; exit code 1 where it names a country
    Request(Box<RequestArgs>),
    /// Turn a written request into the smallest correct filter
    Compile(Box<CompileArgs>),
    /// Rank means and places against a request: cost on each device, who else is hit, and a plan in stages
    Plan(Box<PlaceArgs>),
    /// Compare a filter made elsewhere with a request; exit code 1 where they differ
    Check {
        #[command(flatten)]
        request: Box<RequestArgs>,
        /// The filter's text
        #[arg(long, value_name = "F")]
        acl: PathBuf,
        /// Dialect of the text
        #[arg(long, value_name = "D", value_parser = dialects())]
        dialect: String,
    },
    /// Find what is wrong with a filter's text; exit code 1 where something is found
    Lint(Box<LintArgs>),
    /// Say which line of a filter decides a packet
    Explain {
        /// The filter's text
        #[arg(long, value_name = "F")]
        acl: PathBuf,
        /// Its dialect
        #[arg(long, value_name = "D")]
        dialect: String,
        /// The packet: "udp 198.51.100.1:53 > 192.0.2.7:4242", "tcp [2001:db8::1]:1024 > [2001:db8::2]:80 [S] length 60"
        #[arg(long, value_name = "PACKET")]
        packet: String,
    },
    /// Show what changes between two filters; exit code 1 where they differ
    Diff {
        /// The filter before
        #[arg(value_name = "A")]
        a: PathBuf,
        /// The filter after
        #[arg(value_name = "B")]
        b: PathBuf,
        /// Dialect of both
        #[arg(long, value_name = "D")]
        dialect: String,
        /// Dialect of B, where it is another
        #[arg(long, value_name = "D")]
        dialect_b: Option<String>,
    },
    /// Find few rules that drop an attack and spare the traffic before it; exit code 1 where the limits cannot be kept
    Synthesize(Box<crate::commands::filter_synthesize::SynthesizeArgs>),
}

/// `ledger …`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Walk the hash chain; exit code 1 where it breaks
    Verify {
        /// The daemon's data folder
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// `case …`.
#[derive(Debug, Subcommand)]
pub enum CaseCommand {
    /// Open a case from a call or a mail
    Open {
        /// TOML file: customer, words, requester, channel, call-back
        #[arg(long, value_name = "F")]
        request: PathBuf,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// List cases
    List {
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Show a case, or its report
    Show {
        /// The case, such as C-1
        case: CaseId,
        /// Print the after-the-fact report
        #[arg(long)]
        report: bool,
        /// Language of the report
        #[arg(long, value_enum, default_value = "ja")]
        lang: LangArg,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Take down a request on a case that is open
    Request {
        /// The case, such as C-1
        case: CaseId,
        /// TOML file as for `case open`
        #[arg(long, value_name = "F")]
        request: PathBuf,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// The customer takes a request back; what rests on it is released
    Withdraw {
        /// The request, such as R-1
        request: suimon_base::RequestId,
        /// In their words
        #[arg(long)]
        words: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Add a remark to a case
    Note {
        /// The case, such as C-1
        case: CaseId,
        /// The remark
        text: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Record what came of calling back a registered number
    Callback {
        /// The request, such as R-1
        request: suimon_base::RequestId,
        /// Whether the contact confirmed the words
        #[arg(long, action = clap::ArgAction::Set)]
        confirmed: bool,
        /// What was said
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Close a case in which nothing is in the network any more
    Close {
        /// The case, such as C-1
        case: CaseId,
        /// What the customer found on the host
        #[arg(long, default_value = "")]
        host_check: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
}

/// `measure …`.
#[derive(Debug, Subcommand)]
pub enum MeasureCommand {
    /// Propose a measure; exit code 1 with what is missing where it is not allowed
    Propose(Box<ProposeArgs>),
    /// List measures
    List {
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Show a measure with its text, undo, proof and basis
    Show {
        /// The measure, such as M-1
        measure: MeasureId,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Approve a measure as a second person
    Approve {
        /// The measure, such as M-1
        measure: MeasureId,
        /// Another of the alternatives, by its number
        #[arg(long)]
        choose: Option<usize>,
        /// Why a wider way is taken although a narrower one is known
        #[arg(long)]
        wider_because: Option<String>,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Refuse a measure
    Reject {
        /// The measure, such as M-1
        measure: MeasureId,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Record that the text of a measure was entered into a router
    Applied {
        /// The measure, such as M-1
        measure: MeasureId,
        /// Device, list, interface
        #[arg(long)]
        place: String,
        /// What the device said
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Release a measure, or all of them
    Release {
        /// The measure, such as M-1
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        measure: Option<MeasureId>,
        /// Every measure in the network
        #[arg(long)]
        all: bool,
        /// Why
        #[arg(long, default_value = "released on the command line")]
        words: String,
        /// No daemon runs, and perhaps the ledger is gone: let go of everything that the routers hold
        #[arg(long, requires_all = ["all", "config"])]
        without_daemon: bool,
        /// The daemon's configuration file, for --without-daemon
        #[arg(long, value_name = "F", requires = "without_daemon")]
        config: Option<PathBuf>,
        /// The undo was entered by hand: how it was checked that nothing is left
        #[arg(long, conflicts_with = "all", value_name = "HOW")]
        done: Option<String>,
        #[command(flatten)]
        socket: SocketArgs,
    },
    #[command(flatten)]
    Ending(crate::commands::ending::EndingCommand),
}

/// `measure propose`.
#[derive(Args, Debug)]
pub struct ProposeArgs {
    /// The case it belongs to, such as C-1
    #[arg(long)]
    pub case: CaseId,
    /// The attack it answers, such as A-1; the strongest of the case where absent
    #[arg(long)]
    pub attack: Option<suimon_base::AttackId>,
    /// When it ends: 30s, 90m, 12h, 7d, next-business-day, on:2026-12-25, after-holiday:CN/national-day, task:hardening,
    /// quiet:15m, by-hand:24h
    #[arg(long)]
    pub end: String,
    /// Dialect of the text
    #[arg(long)]
    pub dialect: Option<String>,
    /// Who applies it
    #[arg(long)]
    pub hand: Option<String>,
    /// One of the alternatives, by its number
    #[arg(long)]
    pub choose: Option<usize>,
    /// Rules from this written request instead of from the attack
    #[arg(long, value_name = "F")]
    pub request: Option<PathBuf>,
    /// Why
    #[arg(long, default_value = "")]
    pub reason: String,
    /// The operator's own plant is impaired: what shows it
    #[arg(long, value_name = "EVIDENCE")]
    pub plant_impaired: Option<String>,
    /// Another party is protected: who
    #[arg(long, value_name = "WHO")]
    pub protects: Option<String>,
    /// The sender means harm: what shows it
    #[arg(long, value_name = "EVIDENCE")]
    pub malice: Option<String>,
    /// Milder means looked at, and why they do not hold
    #[arg(long, value_name = "TEXT")]
    pub alternatives_tried: Option<String>,
    /// Why the harm done is no greater than the harm averted
    #[arg(long, value_name = "TEXT")]
    pub harm_balance: Option<String>,
    /// Why a wider way is taken although a narrower one is known
    #[arg(long, value_name = "TEXT")]
    pub wider_because: Option<String>,
    /// Record nothing; say what it would come to, and what the hand's own checks say. Exit code 1 where it would be refused
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// Source address
    pub src: std::net::IpAddr,
    /// Destination address
    pub dst: std::net::IpAddr,
    /// Protocol: tcp, udp, icmp … or its number
    pub proto: String,
    /// Destination port, any where absent; then, for a time that has passed, `at` and the time: 2026-11-20T03:34:00Z,
    /// or "2026-11-20 12:34" for Japanese time
    #[arg(value_name = "PORT] [at TIME", num_args = 0..=4)]
    pub rest: Vec<String>,
    /// Source port
    #[arg(long, value_name = "PORT")]
    pub src_port: Option<u16>,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `orphan …`.
#[derive(Debug, Subcommand)]
pub enum OrphanCommand {
    /// List differences on which nobody has decided
    List {
        /// Also those that were decided on, or are gone
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Show a difference with what is there
    Show {
        /// The difference, such as O-1
        orphan: suimon_base::OrphanId,
        #[command(flatten)]
        socket: SocketArgs,
    },
    /// Decide about a difference
    Resolve(Box<ResolveArgs>),
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StepArg {
    /// Propose a measure with a basis of its own that takes its place
    Adopt,
    /// Take it out of the network
    Remove,
    /// Put back what the ledger wants
    Restore,
    /// Release the measure
    Release,
    /// Leave it as it is
    Leave,
}

/// `orphan resolve`.
#[derive(Args, Debug)]
pub struct ResolveArgs {
    /// The difference, such as O-1
    pub orphan: suimon_base::OrphanId,
    /// What is to happen
    #[arg(value_enum)]
    pub step: StepArg,
    /// Why
    #[arg(long)]
    pub reason: String,
    /// For adopt: the case that the measure belongs to
    #[arg(long, required_if_eq("step", "adopt"))]
    pub case: Option<CaseId>,
    /// For adopt: when the measure ends
    #[arg(long, required_if_eq("step", "adopt"))]
    pub end: Option<String>,
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// `bgp …`.
#[derive(Debug, Subcommand)]
pub enum BgpCommand {
    /// List the sessions with what each peer was sent
    Peers {
        #[command(flatten)]
        socket: SocketArgs,
    },
}
