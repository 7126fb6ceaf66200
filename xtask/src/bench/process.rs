//! What the kernel says about a process and its socket.

use anyhow::{Context as _, Result, bail};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The unit of `/proc/PID/stat`: `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Rust's standard library runs on.
const TICKS_PER_S: f64 = 100.0;

/// A program that ends with us.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command` without input; its output goes to a file in `dir`.
    pub fn start(mut command: Command, name: &str, dir: &std::path::Path) -> Result<Self> {
        let path = dir.join("output");
        let output = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        let errors = output.try_clone().context("output")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Process { child, name: name.to_owned() })
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("{} has ended: {path}", self.name))
    }

    /// User and system time of all its threads, in seconds.
    pub fn cpu_s(&self) -> Result<f64> {
        let stat = self.read("stat")?;
        // The name in parentheses may hold spaces; the fields after it count from the third.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [user, system] = [11, 12].map(|i| fields.get(i).and_then(|f| f.parse::<f64>().ok()));
        Ok((user.context("utime")? + system.context("stime")?) / TICKS_PER_S)
    }

    /// The most memory it held at once, in MiB.
    pub fn peak_mib(&self) -> Result<f64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("VmHWM")?;
        let kib: f64 = line.split_whitespace().next().context("VmHWM")?.parse().context("VmHWM")?;
        Ok(kib / 1024.0)
    }

    /// Waits until the process listens on UDP `port`.
    pub fn wait_for_port(&mut self, port: u16) -> Result<()> {
        for _ in 0..300 {
            if let Some(status) = self.child.try_wait().context("wait")? {
                bail!("{} ended at once: {status}", self.name);
            }
            if udp_drops(port).is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("{} does not listen on UDP port {port}", self.name)
    }

    /// Asks it to end and waits.
    pub fn end(&mut self) -> Result<()> {
        // The standard library can only kill; `kill` is in every Debian.
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().context("kill")?;
        for _ in 0..100 {
            if self.child.try_wait().context("wait")?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.child.kill().context("kill")?;
        self.child.wait().context("wait")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Datagrams that the kernel dropped at the sockets of UDP `port`; `None` where nobody listens.
pub fn udp_drops(port: u16) -> Option<u64> {
    let mut drops = None;
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        for line in std::fs::read_to_string(file).unwrap_or_default().lines().skip(1) {
            let mut words = line.split_whitespace();
            let local =
                words.nth(1).and_then(|l| l.rsplit_once(':')).and_then(|(_, p)| u16::from_str_radix(p, 16).ok());
            if local == Some(port) {
                let dropped: u64 = words.last().and_then(|w| w.parse().ok()).unwrap_or(0);
                *drops.get_or_insert(0) += dropped;
            }
        }
    }
    drops
}

/// A UDP and a TCP port that were free a moment ago.
pub fn free_ports() -> Result<(u16, u16)> {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).context("a UDP port")?;
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()).context("a TCP port")?;
    Ok((udp.port(), tcp.port()))
}

/// What an HTTP server on loopback answers to a GET.
pub fn http_get(port: u16, path: &str) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("port {port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).context("a timeout")?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").context("a request")?;
    let mut answer = Vec::new();
    stream.take(16 << 20).read_to_end(&mut answer).context("an answer")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The sum over all labels of a counter in Prometheus's text format.
pub fn counter(metrics: &str, name: &str) -> Option<f64> {
    let mut sum = None;
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        if rest.starts_with([' ', '{'])
            && let Some(value) = rest.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok())
        {
            *sum.get_or_insert(0.0) += value;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_over_their_labels() {
        let text = "# TYPE flows counter\nflows{exporter=\"a b\"} 3\nflows{exporter=\"c\"} 4\nflows_total 9\n";
        assert_eq!(counter(text, "flows"), Some(7.0));
        assert_eq!(counter(text, "flow"), None);
    }

    #[test]
    fn the_kernel_tells_of_a_port() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(udp_drops(socket.local_addr().unwrap().port()), Some(0));
    }
}
