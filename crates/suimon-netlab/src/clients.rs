//! Customers of the customer: curl fetches the page, dig asks for the name, one after the other, all the time.

use crate::clock;
use crate::net::{self, Net};
use crate::proc;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Between the end of one request and the next, milliseconds.
const PAUSE_MS: u64 = 150;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The page.
    Page,
    /// The name.
    Name,
}

/// One request.
#[derive(Clone, Copy, Debug)]
struct Try {
    service: Service,
    at_ms: u64,
    ok: bool,
}

/// The clients; they stop when dropped.
#[derive(Debug)]
pub struct Clients {
    tries: Arc<Mutex<Vec<Try>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Begins to ask.
    pub fn start(net: &Net) -> Clients {
        let (tries, stop) = (Arc::<Mutex<Vec<Try>>>::default(), Arc::new(AtomicBool::new(false)));
        let mut page = net.command("client", "curl");
        page.args(["--silent", "--fail", "--max-time", "1", &format!("http://{}/", net::WEB)]);
        let mut name = net.command("client", "dig");
        name.args(["+short", "+time=1", "+tries=1", &format!("@{}", net::DNS), "www.example.com", "A"]);
        let threads = [(Service::Page, page, "the customer's page"), (Service::Name, name, net::WEB)]
            .map(|(service, command, wanted)| {
                let (tries, stop) = (tries.clone(), stop.clone());
                std::thread::spawn(move || ask(service, command, wanted, &tries, &stop))
            })
            .into();
        Clients { tries, stop, threads }
    }

    /// Requests begun in this time: answered and all.
    pub fn answered(&self, service: Service, from_ms: u64, to_ms: u64) -> (usize, usize) {
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let mine: Vec<_> =
            tries.iter().filter(|t| t.service == service && (from_ms..to_ms).contains(&t.at_ms)).collect();
        (mine.iter().filter(|t| t.ok).count(), mine.len())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It only asks; a panic there shows as missing requests.
            let _ = thread.join();
        }
    }
}

fn ask(service: Service, mut command: Command, wanted: &str, tries: &Mutex<Vec<Try>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let at_ms = clock::ms();
        let ok = proc::output(&mut command).is_ok_and(|(_, out, _)| out.trim() == wanted);
        tries.lock().unwrap_or_else(PoisonError::into_inner).push(Try { service, at_ms, ok });
        clock::sleep_ms(PAUSE_MS);
    }
}
