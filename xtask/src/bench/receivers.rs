//! Who receives the stream, and how each is started, asked and stopped.

use super::process::{self, Process};
use crate::{cargo, programs};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The operator's own addresses in the stream: 65,536 hosts (`suimon_lab::stream::OWN_NET`).
const OWN_NET: &str = "198.18.0.0/16";

/// The socket buffer that nfcapd is told to ask for, in octets; the kernel may give less.
const NFCAPD_BUFFER: &str = "16777216";

/// The contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// `suimon serve`, release build, detection on.
    Suimon,
    /// Debian's fastnetmon, detection on, nothing stored.
    Fastnetmon,
    /// nfcapd, which only stores.
    Nfcapd,
}

impl Receiver {
    /// All, in the table's order.
    pub const ALL: [Receiver; 3] = [Receiver::Suimon, Receiver::Fastnetmon, Receiver::Nfcapd];

    /// The name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Receiver::Suimon => "suimon",
            Receiver::Fastnetmon => "fastnetmon",
            Receiver::Nfcapd => "nfcapd",
        }
    }

    /// Why it cannot take part, if it cannot.
    pub fn hindrance(self) -> Option<String> {
        let program = match self {
            Receiver::Suimon => return None,
            other => other.name(),
        };
        programs::find(program).is_none().then(|| format!("{program} is not installed"))
    }

    /// Starts it in `dir`, listening on a free port of loopback.
    pub fn start(self, dir: &Path) -> Result<Running> {
        let (port, metrics_port) = process::free_ports()?;
        let command = match self {
            Receiver::Suimon => suimon(dir, port, metrics_port)?,
            Receiver::Fastnetmon => fastnetmon(dir, port, metrics_port)?,
            Receiver::Nfcapd => nfcapd(dir, port)?,
        };
        let mut process = Process::start(command, self.name(), dir)?;
        if let Err(error) = process.wait_for_port(port) {
            let output = std::fs::read_to_string(dir.join("output")).unwrap_or_default();
            bail!("{error:#}\n{output}");
        }
        Ok(Running { receiver: self, process, port, metrics_port, dir: dir.to_path_buf() })
    }
}

/// A receiver that listens.
#[derive(Debug)]
pub struct Running {
    receiver: Receiver,
    /// The process.
    pub process: Process,
    /// The UDP port it listens on.
    pub port: u16,
    metrics_port: u16,
    dir: PathBuf,
}

impl Running {
    /// Flows by its own count, ending it where it only counts at its end; and a line on what it made of them.
    pub fn count(mut self) -> Result<(f64, String)> {
        match self.receiver {
            Receiver::Suimon => {
                let metrics = process::http_get(self.metrics_port, "/metrics")?;
                let flows = process::counter(&metrics, "suimon_collect_flows_total");
                let flows = flows.context("suimon_collect_flows_total is not among suimon's metrics")?;
                self.process.end()?;
                Ok((
                    flows,
                    format!("{} attacks open", process::counter(&metrics, "suimon_attacks_open").unwrap_or(0.0)),
                ))
            }
            Receiver::Fastnetmon => {
                let metrics = process::http_get(self.metrics_port, "/metrics")?;
                let flows = process::counter(&metrics, "fastnetmon_netflow_v9_total_flows");
                let flows = flows.context("fastnetmon counts no NetFlow v9")?;
                // Proof that it did the work: the rate that its detection compares with thresholds.
                let stats = std::fs::read_to_string(self.dir.join("stats")).context("fastnetmon's statistics")?;
                let incoming = stats.lines().find(|l| l.starts_with("Incoming traffic")).unwrap_or("sees no traffic");
                self.process.end()?;
                Ok((flows, incoming.split_whitespace().collect::<Vec<_>>().join(" ")))
            }
            Receiver::Nfcapd => {
                self.process.end()?;
                let output = Command::new("nfdump").arg("-R").arg(self.dir.join("flows")).arg("-I").output();
                let output = output.context("nfdump")?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let flows = text.lines().find_map(|l| l.strip_prefix("Flows:")).context("nfdump -I counts no flows")?;
                Ok((flows.trim().parse().context("nfdump's count")?, "stored, not looked at".to_owned()))
            }
        }
    }
}

fn suimon(dir: &Path, port: u16, metrics_port: u16) -> Result<Command> {
    let mut build = cargo::command();
    build.current_dir(cargo::root()).args(["build", "--release", "--package", "suimon", "--bin", "suimon"]);
    if !cargo::run(&mut build)? {
        bail!("suimon does not build; cargo's message is above");
    }
    let config = dir.join("suimon.toml");
    std::fs::write(&config, suimon_config(port, metrics_port)?).context("suimon's configuration")?;
    let mut command = Command::new(cargo::target_dir()?.join("release/suimon"));
    command.args(["serve", "--config"]).arg(config);
    Ok(command)
}

/// One network, detection with its default thresholds, and the standing measure that collecting needs.
fn suimon_config(port: u16, metrics_port: u16) -> Result<String> {
    // The standing measure ends at its review; a run lasts a minute.
    let tomorrow = Command::new("date").args(["-d", "2 days", "+%F"]).output().context("date")?;
    let review = String::from_utf8(tomorrow.stdout).context("date")?;
    let review = review.trim();
    Ok(format!(
        "version = 1\n\
         \n\
         [node]\n\
         data = \"data\"\n\
         listen = \"127.0.0.1:{metrics_port}\"\n\
         exercise = true\n\
         \n\
         [collection]\n\
         purpose = \"benchmark with generated flows\"\n\
         items = [\"addresses\", \"ports\", \"protocol\", \"tcp-flags\", \"counters\", \"times\", \"interfaces\", \"sampling\"]\n\
         retention-hours = 1\n\
         approver = \"operator\"\n\
         review = \"{review}\"\n\
         \n\
         [collect]\n\
         listen = [\"127.0.0.1:{port}\"]\n\
         \n\
         [[network]]\n\
         prefix = \"{OWN_NET}\"\n"
    ))
}

fn fastnetmon(dir: &Path, port: u16, metrics_port: u16) -> Result<Command> {
    let file = |name: &str| dir.join(name).display().to_string();
    std::fs::write(dir.join("networks"), format!("{OWN_NET}\n")).context("the list of networks")?;
    std::fs::write(dir.join("whitelist"), "").context("the white list")?;
    let (networks, whitelist, stats, stats6) = (file("networks"), file("whitelist"), file("stats"), file("stats6"));
    // Debian's values where they are not about sending reports, capturing on interfaces or storing. Connection tracking,
    // which its own file calls "very CPU intensive", is off: this is the cheapest way to run it with detection.
    let config = format!(
        "logging_level = info\n\
         disable_usage_report = on\n\
         enable_ban = on\n\
         enable_ban_ipv6 = on\n\
         process_incoming_traffic = on\n\
         process_outgoing_traffic = on\n\
         ban_details_records_count = 20\n\
         ban_time = 1900\n\
         networks_list_path = {networks}\n\
         white_list_path = {whitelist}\n\
         check_period = 1\n\
         enable_connection_tracking = off\n\
         ban_for_pps = on\n\
         ban_for_bandwidth = on\n\
         ban_for_flows = off\n\
         threshold_pps = 20000\n\
         threshold_mbps = 1000\n\
         netflow = on\n\
         netflow_port = {port}\n\
         netflow_host = 127.0.0.1\n\
         netflow_sampling_ratio = 1\n\
         sflow = off\n\
         average_calculation_time = 5\n\
         speed_calculation_delay = 1\n\
         monitor_local_ip_addresses = off\n\
         cli_stats_file_path = {stats}\n\
         cli_stats_ipv6_file_path = {stats6}\n\
         enable_api = off\n\
         prometheus = on\n\
         prometheus_port = {metrics_port}\n\
         prometheus_host = 127.0.0.1\n\
         sort_parameter = packets\n\
         max_ips_in_list = 7\n"
    );
    std::fs::write(dir.join("fastnetmon.conf"), config).context("fastnetmon's configuration")?;
    let mut command = Command::new(programs::find("fastnetmon").context("fastnetmon")?);
    command.args(["--disable_pid_logic", "--configuration_file", &file("fastnetmon.conf"), "--log_file", &file("log")]);
    Ok(command)
}

fn nfcapd(dir: &Path, port: u16) -> Result<Command> {
    let flows = dir.join("flows");
    std::fs::create_dir_all(&flows).context("a folder for flows")?;
    let mut command = Command::new(programs::find("nfcapd").context("nfcapd")?);
    // An hour to a file: none is closed while we measure.
    command.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-B", NFCAPD_BUFFER, "-w"]).arg(flows);
    Ok(command)
}
