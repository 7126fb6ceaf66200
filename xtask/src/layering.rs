//! The layering test: who may use whom, and how files look. The tables below are the only place that says so.

mod dependencies;
mod tree;

/// Which crates of the workspace a crate may use (besides `suimon-testkit` in tests).
const MAY_USE: &[(&str, &[&str])] = &[
    ("suimon-base", &[]),
    ("suimon-wire", &["suimon-base"]),
    ("suimon-collect", &["suimon-base", "suimon-wire", "suimon-spine"]),
    ("suimon-detect", &["suimon-base"]),
    ("suimon-filter", &["suimon-base"]),
    ("suimon-ledger", &["suimon-base"]),
    ("suimon-policy", &["suimon-base"]),
    ("suimon-spine", &["suimon-base", "suimon-ledger", "suimon-policy"]),
    ("suimon-notify", &["suimon-base", "suimon-spine"]),
    // It reads the act and the basis of the decision that it is handed, and makes none.
    ("suimon-bgp", &["suimon-base", "suimon-filter", "suimon-policy", "suimon-spine"]),
    ("suimon-device", &["suimon-base", "suimon-filter", "suimon-spine"]),
    ("suimon-console", &["suimon-base", "suimon-spine"]),
    ("suimon-lab", &["suimon-base", "suimon-filter", "suimon-wire"]),
    // It starts Suimon as a program and links nothing of it but the traffic.
    ("suimon-netlab", &["suimon-base", "suimon-lab"]),
    ("suimon-testkit", &[]),
    ("xtask", &["suimon-base", "suimon-bgp", "suimon-filter", "suimon-lab"]),
    // The daemon wires everything; `*` is for it alone.
    ("suimon", &["*"]),
];

/// What tests of a crate may use besides: they need the real thing beside them, not a stand-in.
const TESTS_MAY_USE: &[(&str, &[&str])] = &[
    // What customers ask for by BGP goes through the real engine.
    ("suimon-bgp", &["suimon-ledger"]),
    ("suimon-collect", &["suimon-lab"]),
    // Its tests start the real engine over a real ledger and the real policies.
    ("suimon-console", &["suimon-ledger", "suimon-policy"]),
    ("suimon-detect", &["suimon-wire"]),
];

/// The one crate that tests share; nothing may use it outside tests.
const TESTS_ONLY: &str = "suimon-testkit";

/// Crates that must not reach an async runtime, however indirectly.
const WITHOUT_RUNTIME: &[&str] = &["suimon-base", "suimon-wire", "suimon-detect", "suimon-filter", "suimon-lab"];

/// What `WITHOUT_RUNTIME` means by name.
const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "mio"];

/// Crates that neither ask the time nor touch files, sockets, threads or the environment.
const PURE: &[&str] = &["suimon-base", "suimon-wire", "suimon-detect", "suimon-filter"];

/// What a `PURE` crate's source must not name. (The clocks are clippy's: see `clippy.toml`.)
const IMPURE: &[&str] =
    &["std::fs", "std::thread", "std::process", "std::env", "std::io::std", "Socket::bind", "TcpStream"];

/// Outside crates that exactly one of ours may use: what it is about is known only there.
const OWNED: &[(&str, &str)] = &[
    ("sqlx", "suimon-ledger"),
    ("axum", "suimon-console"),
    ("askama", "suimon-console"),
    ("cedar-policy", "suimon-policy"),
    ("ureq", "suimon-notify"),
    ("lettre", "suimon-notify"),
    ("rustbgpd", "suimon-bgp"),
    ("tonic", "suimon-bgp"),
    ("prost", "suimon-bgp"),
    ("roxmltree", "suimon-device"),
];

/// Senses and hands: they meet in the spine and never use each other.
const SENSES_AND_HANDS: &[&str] = &["suimon-bgp", "suimon-collect", "suimon-device", "suimon-notify"];

/// A Rust file has no more lines than this.
const MAX_LINES: usize = 1_000;

/// A Rust file with more lines than this is listed (the test's output shows the list with `--nocapture`).
const MANY_LINES: usize = 300;

/// Unfinished work does not land.
const UNFINISHED: &[&str] =
    &[concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("TO", "DO")];

/// Names of the machine or the network that the code was written on have no place in the tree.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("npmjs", ".org"),
];

/// Fails with all breaches at once, one a line.
fn none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{} breach(es):\n{}", breaches.len(), breaches.join("\n"));
}
