//! `suimon filter request`, `lint`, `explain` and `diff`, as people and scripts call them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "harness/run.rs"]
mod run;
#[path = "harness/schema.rs"]
mod schema;

use run::{Run, suimon};
use schema::Schema;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ACL: &str = "ip access-list extended DOS-v1
 10 deny udp any eq 53 192.0.0.0 0.0.127.255
 20 permit tcp any any
 30 permit tcp any host 192.0.2.1 eq 80
";

struct Bench(TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn filter(args: &[&str]) -> Run {
    suimon([&["filter"], args].concat())
}

#[test]
fn a_packet_is_explained() {
    let bench = Bench::new();
    let acl = bench.file("acl", ACL);
    let ask = |packet: &str, json: &[&str]| {
        filter(&[&["explain", "--acl", text(&acl), "--dialect", "cisco-ios", "--packet", packet], json].concat())
    };
    let run = ask("udp 198.51.100.1:53 > 192.0.0.1:4242", &[]);
    assert_eq!((run.code, run.out.as_str()), (0, "line 2 drops it: 10 deny udp any eq 53 192.0.0.0 0.0.127.255\n"));
    let run = ask("gre 198.51.100.1 > 192.0.0.1", &[]);
    assert_eq!((run.code, run.out.as_str()), (0, "no line takes it; the implicit end of the list drops it\n"));
    let run = ask("tcp 198.51.100.1:1024 > 192.0.2.1:80 [S]", &[]);
    assert!(run.out.contains("without it, line 4 would take it"), "{}", run.out);
    for packet in ["udp 198.51.100.1:53 > 192.0.0.1:4242", "gre 198.51.100.1 > 192.0.0.1"] {
        Schema::named("filter-explain").check_all(&ask(packet, &["--json"]).lines(0));
    }
    let run = ask("udp 198.51.100.1 > 192.0.0.1", &[]);
    assert_eq!(run.code, 2, "{}", run.out);
    assert!(run.err.contains("both ports are needed"), "{}", run.err);
}

#[test]
fn a_list_is_linted() {
    let bench = Bench::new();
    let acl = bench.file("acl", ACL);
    let device = bench.file("device.toml", "lines = 2\n");
    let args = ["lint", "--acl", text(&acl), "--dialect", "cisco-ios", "--device", text(&device)];
    let run = filter(&args);
    assert_eq!(run.code, 1, "{}", run.err);
    for words in [
        "line 4: warning [never-matches]: line 3 already does the same",
        "line 4: error [over-budget]",
        "line 4: warning [implicit-deny]",
        "the list: warning [no-end]",
        "the list: warning [other-family]",
        "5 findings in 3 lines of 2 free",
    ] {
        assert!(run.out.contains(words), "{words:?} is not in\n{}", run.out);
    }
    let lines = filter(&[&args[..], &["--json"]].concat()).lines(1);
    Schema::named("filter-lint").check_all(&lines);
    let profile = |name: &str| suimon_testkit::workspace_root().join("docs/examples/devices").join(name);
    let with = |name: &str| {
        filter(&["lint", "--acl", text(&acl), "--dialect", "cisco-ios", "--device", text(&profile(name)), "--json"])
    };
    let lines = with("edge-acl.toml").lines(1);
    Schema::named("filter-lint").check_all(&lines);
    assert_eq!((&lines[0]["cost"]["entries"], &lines[0]["cost"]["free"]), (&3.into(), &996.into()), "{}", lines[0]);
    let other = with("customer-edge.toml");
    assert_eq!(other.code, 2, "{}", other.out);
    assert!(other.err.contains("the device speaks cisco-nxos"), "{}", other.err);
    let clean = "ip access-list extended X\n remark end 2026-12-01\n 10 deny ip any host 192.0.2.1\n 20 permit ip any any\n\
        ipv6 access-list X6\n sequence 10 deny ipv6 any host 2001:db8::1\n sequence 20 permit ipv6 any any\n";
    let clean = bench.file("clean", clean);
    let run = filter(&["lint", "--acl", text(&clean), "--dialect", "cisco-ios"]);
    assert_eq!((run.code, run.out.as_str()), (0, "0 findings in 4 lines\n"));
}

#[test]
fn two_lists_are_compared() {
    let bench = Bench::new();
    let a = bench.file("a", ACL);
    let b = bench.file("b", &ACL.replace("0.0.127.255", "0.0.63.255"));
    let args = |b: &Path| ["diff".to_owned(), text(&a).into(), text(b).into(), "--dialect".into(), "cisco-ios".into()];
    let run = suimon([&["filter".to_owned()][..], &args(&a)].concat());
    assert_eq!((run.code, run.out.as_str()), (0, "equal: both do the same to every packet\n"));
    let run = suimon([&["filter".to_owned()][..], &args(&b)].concat());
    // Both drop what no line names, so only the order of the lines shows: nothing changes for UDP.
    assert_eq!((run.code, run.out.as_str()), (0, "equal: both do the same to every packet\n"));
    let open = |t: &str| t.replace(" 20 permit tcp any any", " 20 permit ip any any");
    let (c, d) = (bench.file("c", &open(ACL)), bench.file("d", &open(&ACL.replace("0.0.127.255", "0.0.63.255"))));
    let args = ["diff", text(&c), text(&d), "--dialect", "cisco-ios"];
    let run = filter(&args);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.out.contains("newly passed: 16384 addresses"), "{}", run.out);
    assert!(run.out.contains("newly dropped: nothing"), "{}", run.out);
    Schema::named("filter-diff").check_all(&filter(&[&args[..], &["--json"]].concat()).lines(1));
    let nft = "match destination 192.0.0.0/17 protocol =17 source-port =53 then discard\n";
    let flowspec = bench.file("f", nft);
    let run = filter(&["diff", text(&c), text(&flowspec), "--dialect", "cisco-ios", "--dialect-b", "flowspec"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
}

#[test]
fn a_request_is_shown_with_its_questions() {
    let bench = Bench::new();
    let request = bench.file("request", "> deny udp any eq 53 host 192.0.2.7\n> permit ip any any\n");
    let critical = bench.file("critical.toml", "[[service]]\nname = \"calls\"\naddresses = [\"192.0.2.0/28\"]\n");
    let args = [
        "request",
        "--request",
        text(&request),
        "--own",
        "192.0.2.7/32",
        "--critical",
        text(&critical),
        "--holds",
        "192.0.2.0/24",
    ];
    let run = filter(&args);
    assert_eq!(run.code, 0, "{}", run.err);
    for words in ["read as cisco-ios", "drop · proto 17 · to 192.0.2.7/32 · source port 53", "own addresses", "calls"]
    {
        assert!(run.out.contains(words), "{words:?} is not in\n{}", run.out);
    }
    let schema = Schema::named("filter-request");
    schema.check_all(&filter(&[&args[..], &["--json"]].concat()).lines(0));
    let rules = "[[rules]]\ndst = [\"192.0.2.1\"]\nproto = \"tcp\"\nsrc-ports = [1]\ntcp-flags = \"syn\"\nlengths = [60]\n\
        action = { limit-pps = 1 }\n[[rules]]\ndst = [\"192.0.2.1\"]\nfragment = \"later\"\n";
    let rules = bench.file("rules.toml", rules);
    schema.check_all(&filter(&["request", "--request", text(&rules), "--json"]).lines(0));
    let run = filter(&["request", "--request", text(&request), "--format", "telepathy"]);
    assert_eq!(run.code, 2, "{}", run.out);
}

/// Catalogue rows 132, 133.
#[test]
fn a_country_is_answered_with_definitions() {
    let bench = Bench::new();
    let request = bench.file("request", "192.0.2.1 への中国からの通信を遮断してください\n");
    let schema = Schema::named("filter-request");
    let none = ["request", "--request", text(&request)];
    let run = filter(&none);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.out.contains("registration") && run.out.contains("size unknown: no data"), "{}", run.out);
    schema.check_all(&filter(&[&none[..], &["--json"]].concat()).lines(1));
    bench.file("data/geolocation.csv", "prefix,country\n198.51.100.0/24,CN\n2001:db8::/32,CN\n");
    bench.file(
        "data/delegated-x",
        "x|JP|ipv4|198.51.100.0|128|20200101|allocated\nx|CN|ipv4|203.0.113.0|256|20200101|assigned\n",
    );
    bench.file("data/ingress.csv", "link,country\nhongkong-1,CN\n");
    let data = bench.0.path().join("data");
    let with = [&none[..], &["--data", text(&data)]].concat();
    let run = filter(&with);
    assert!(
        run.out.contains("256 IPv4 addresses, 79228162514264337593543950336 IPv6 addresses, at least 2 lines"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("registration places 128 of them (50 %) elsewhere and knows nothing of 128"),
        "{}",
        run.out
    );
    schema.check_all(&filter(&[&with[..], &["--json"]].concat()).lines(1));
    // Compiling gives the same answer and no filter.
    let run = filter(&["compile", "--request", text(&request), "--dialect", "cisco-ios"]);
    assert_eq!(run.code, 1);
    assert!(!run.out.contains("deny") && run.out.contains("registration"), "{}", run.out);
    let abroad = bench.file("abroad", "海外からの 192.0.2.1 への通信を遮断\n");
    for more in [&[][..], &["--home", "JP"]] {
        schema.check_all(
            &filter(&[&["request", "--request", text(&abroad), "--data", text(&data), "--json"], more].concat())
                .lines(1),
        );
    }
    bench.file("data/origin.csv", "x\ny,z\n");
    let run = filter(&with);
    assert_eq!(run.code, 2, "{}", run.out);
    assert!(run.err.contains("origin.csv, line 2"), "{}", run.err);
}
