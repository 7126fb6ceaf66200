//! The lines of the table.

use super::{Access, Doc, Kind, Route};
use crate::App;
use crate::api::{read, verify, write};
use crate::pages::{self, acts, ending, sign_in, verification};
use axum::routing::{MethodRouter, get, post};

/// Parameters of lists.
const LIST: &[(&str, &str, &str)] = &[
    ("limit", "integer", "most entries, newest first; 100 where absent, at most 1000"),
    ("before", "integer", "only entries with a lower number than this"),
];

const fn read(path: &'static str, doc: Doc, handler: fn() -> MethodRouter<App>) -> Route {
    Route { method: "GET", path, access: Access::SignedIn, kind: Kind::Api(doc), handler }
}

const fn act(path: &'static str, doc: Doc, handler: fn() -> MethodRouter<App>) -> Route {
    Route { method: "POST", path, access: Access::SignedIn, kind: Kind::Api(doc), handler }
}

const fn open(path: &'static str, doc: Doc, handler: fn() -> MethodRouter<App>) -> Route {
    Route { method: "GET", path, access: Access::AnyoneOnLoopback, kind: Kind::Api(doc), handler }
}

const fn page(path: &'static str, handler: fn() -> MethodRouter<App>) -> Route {
    Route { method: "GET", path, access: Access::SignedIn, kind: Kind::Page, handler }
}

const fn form(path: &'static str, handler: fn() -> MethodRouter<App>) -> Route {
    Route { method: "POST", path, access: Access::SignedIn, kind: Kind::Page, handler }
}

const fn anyone(method: &'static str, path: &'static str, handler: fn() -> MethodRouter<App>) -> Route {
    Route { method, path, access: Access::AnyoneOnLoopback, kind: Kind::Page, handler }
}

const fn doc(id: &'static str, summary: &'static str, answer: &'static str) -> Doc {
    Doc { id, summary, query: &[], body: None, status: 200, answer }
}

const fn done(id: &'static str, summary: &'static str, body: &'static str) -> Doc {
    Doc { id, summary, query: &[], body: Some(body), status: 200, answer: "Outcome" }
}

const fn made(id: &'static str, summary: &'static str, body: &'static str) -> Doc {
    Doc { status: 201, ..done(id, summary, body) }
}

const fn list(id: &'static str, summary: &'static str, answer: &'static str) -> Doc {
    Doc { query: LIST, ..doc(id, summary, answer) }
}

const EVENTS: Doc = Doc {
    query: &[
        ("after", "integer", "only events after this place; 0 where absent"),
        ("limit", "integer", "most events; 100 where absent, at most 1000"),
        ("wait_ms", "integer", "wait so long for an event after `after`; at most 30000"),
    ],
    ..doc("events", "Events of the ledger in order; waits for new ones where asked to", "Events")
};

const REPORT: Doc = Doc {
    query: &[("lang", "string", "ja or en; ja where absent")],
    ..doc("caseReport", "The report on necessity and adequacy", "text/plain")
};

/// The query of a question about packets.
const WHY: Doc = Doc {
    query: &[
        ("src", "string", "source address"),
        ("dst", "string", "destination address"),
        ("proto", "string", "protocol: tcp, udp, icmp … or its number"),
        ("port", "integer", "destination port; any where absent"),
        ("src-port", "integer", "source port; any where absent"),
        ("at", "string", "a time that has passed: RFC 3339, or 2026-11-20 12:34 for Japanese time; now where absent"),
    ],
    ..doc("why", "Which measure touches these packets, where, since when and by whose request", "Why")
};

const DRY_RUN: Doc =
    Doc { answer: "Tried", ..done("dryRun", "What a proposal would come to; nothing is recorded", "Proposal") };

const LINK: Route = Route {
    method: "POST",
    path: "/api/v1/sign-in-link",
    access: Access::OsUser,
    kind: Kind::Api(doc("signInLink", "A one-time link to the pages for the calling user", "SignInLink")),
    handler: || post(write::sign_in_link),
};

/// Everything that is served.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    // API: what is.
    read("/api/v1/now", doc("now", "What runs, what is in the network, what is open", "Now"), || get(read::now)),
    read("/api/v1/attacks", list("attacks", "Attacks, newest first", "Attacks"), || get(read::attacks)),
    read("/api/v1/attacks/{id}", doc("attack", "One attack with its live figures", "KnownAttack"), || get(read::attack)),
    read("/api/v1/cases", list("cases", "Cases, newest first", "Cases"), || get(read::cases)),
    read("/api/v1/cases/{id}", doc("case", "One case with what belongs to it", "CaseWhole"), || get(read::case)),
    read("/api/v1/cases/{id}/report", REPORT, || get(read::report)),
    read("/api/v1/measures", list("measures", "Measures, newest first", "Measures"), || get(read::measures)),
    read("/api/v1/measures/stale", doc("staleMeasures", "Measures that have stood too long, and why", "StaleMeasures"), || get(read::stale)),
    read("/api/v1/measures/{id}", doc("measure", "One measure with its texts and its proof", "MeasureWhole"), || get(read::measure)),
    read("/api/v1/events", EVENTS, || get(read::events)),
    read("/api/v1/ledger/head", doc("ledgerHead", "Place and hash of the last event", "LedgerHead"), || get(read::head)),
    read("/api/v1/verification", doc("verification", "What the hands see, beside what the ledger wants", "Verification"), || get(verify::verification)),
    read("/api/v1/orphans", list("orphans", "Differences between network and ledger, newest first", "Orphans"), || get(verify::orphans)),
    read("/api/v1/orphans/{id}", doc("orphan", "One difference with what became of it", "Orphan"), || get(verify::orphan)),
    read("/api/v1/why", WHY, || get(verify::why)),
    read("/api/v1/sessions", doc("sessions", "Sessions that the hands keep: BGP peers", "Sessions"), || get(verify::sessions)),
    // API: acts.
    act("/api/v1/cases", made("openCase", "Opens a case from a call or a mail", "OpenCase"), || post(write::open_case)),
    act("/api/v1/cases/{id}/requests", made("recordRequest", "Takes down a request, verbatim", "RequestDraft"), || post(write::record_request)),
    act("/api/v1/cases/{id}/notes", done("note", "Adds a remark", "NoteText"), || post(write::note)),
    act("/api/v1/cases/{id}/close", done("closeCase", "Closes a case", "Close"), || post(write::close)),
    act("/api/v1/requests/{id}/callback", done("recordCallback", "Records what came of a call-back", "Callback"), || post(write::callback)),
    act("/api/v1/requests/{id}/withdraw", done("withdrawRequest", "Takes a request back; what rests on it is released", "Words"), || post(write::withdraw)),
    act("/api/v1/measures", made("propose", "Proposes a measure; a denial says what is missing", "Proposal"), || post(write::propose)),
    act("/api/v1/measures/release-all", done("releaseAll", "Ends every measure", "Words"), || post(write::release_all)),
    act("/api/v1/measures/{id}/approve", done("approve", "Approves, as a second person", "Approve"), || post(write::approve)),
    act("/api/v1/measures/{id}/reject", done("reject", "Refuses, as a second person", "Reject"), || post(write::reject)),
    act("/api/v1/measures/{id}/applied", done("recordApplied", "Records that a person has entered the text", "AppliedAt"), || post(write::applied)),
    act("/api/v1/measures/{id}/release", done("release", "Ends a measure", "Words"), || post(write::release)),
    act("/api/v1/measures/{id}/released", done("recordReleased", "Records that a person has entered the undo", "Checked"), || post(write::released)),
    act("/api/v1/measures/dry-run", DRY_RUN, || post(verify::dry_run)),
    act("/api/v1/orphans/{id}/resolve", done("resolveOrphan", "Decides about a difference", "ResolveOrphan"), || post(verify::resolve)),
    act("/api/v1/measures/{id}/ending", done("ending", "A step on the way back: task done, told, access, renewal, proposing again", "EndingAsk"), || post(write::ending)),
    LINK,
    // Monitors and tools.
    open("/api/v1/openapi.json", doc("openapi", "This document", "application/json"), || get(read::openapi)),
    open("/metrics", doc("metrics", "Counters in Prometheus text format", "text/plain"), || get(read::metrics)),
    open("/healthz", doc("healthz", "Whether acts can be recorded", "text/plain"), || get(read::healthz)),
    // Pages.
    anyone("GET", "/sign-in", || get(sign_in::ask)),
    anyone("POST", "/sign-in", || post(sign_in::enter)),
    anyone("GET", "/assets/style.css", || get(pages::style)),
    page("/", || get(pages::now)),
    page("/attacks", || get(pages::attacks)),
    page("/attacks/{id}", || get(pages::attack)),
    page("/cases", || get(pages::cases)),
    page("/cases/{id}", || get(pages::case)),
    page("/cases/{id}/report", || get(pages::report)),
    page("/measures", || get(pages::measures)),
    page("/stale", || get(ending::stale)),
    page("/measures/{id}", || get(pages::measure)),
    page("/release-all", || get(pages::release_all)),
    page("/verification", || get(verification::verification)),
    page("/why", || get(verification::why)),
    page("/ledger", || get(pages::ledger)),
    // Forms.
    form("/sign-out", || post(sign_in::leave)),
    form("/cases", || post(acts::open_case)),
    form("/cases/{id}/requests", || post(acts::record_request)),
    form("/cases/{id}/measures", || post(acts::propose)),
    form("/cases/{id}/notes", || post(acts::note)),
    form("/cases/{id}/close", || post(acts::close)),
    form("/requests/{id}/callback", || post(acts::callback)),
    form("/requests/{id}/withdraw", || post(acts::withdraw)),
    form("/measures/{id}/approve", || post(acts::approve)),
    form("/measures/{id}/reject", || post(acts::reject)),
    form("/measures/{id}/applied", || post(acts::applied)),
    form("/measures/{id}/release", || post(acts::release)),
    form("/measures/{id}/released", || post(acts::released)),
    form("/measures/{id}/ending", || post(ending::act)),
    form("/release-all", || post(acts::release_all)),
    form("/orphans/{id}/resolve", || post(verification::resolve)),
];
