//! What stands before every route: host name, who is calling, whether the call comes from our own pages, time limit and
//! headers.

use crate::limits::{MAX_BODY_BYTES, REQUEST_TIME};
use crate::problem::Problem;
use crate::routes::Access;
use crate::sign_in::{form_token, same_secret};
use crate::{App, pages, text};
use axum::body::{Body, to_bytes};
use axum::extract::{Form, FromRequest as _, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use suimon_base::Actor;

/// Who is on the other end of the Unix socket; only the server sets it.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub Actor);

/// Who calls, once that is known.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub Actor);

/// Token that the forms of this session carry.
#[derive(Clone, Debug, Default)]
pub(crate) struct FormToken(pub String);

/// Name of the session's cookie.
pub(crate) const SESSION_COOKIE: &str = "suimon-session";
/// Name of the language's cookie.
pub(crate) const LANG_COOKIE: &str = "suimon-lang";

/// What the guard of one route knows.
#[derive(Clone)]
pub(crate) struct Guard {
    pub app: App,
    pub access: Access,
    /// Pages know people by their cookie, the API knows scripts by their bearer token or their Unix user.
    pub page: bool,
}

/// The guard of one route.
pub(crate) async fn guard(State(g): State<Guard>, mut request: Request, next: Next) -> Response {
    let now = g.app.clock.now();
    let caller = if g.page {
        let session = cookie(request.headers(), SESSION_COOKIE);
        let caller = session.as_deref().and_then(|s| g.app.sign_in.session(s, now));
        if let (Some(session), Some(_)) = (&session, &caller) {
            request.extensions_mut().insert(FormToken(form_token(session)));
        }
        caller
    } else {
        let peer = request.extensions().get::<Peer>().map(|p| p.0.clone());
        peer.or_else(|| bearer(request.headers()).and_then(|token| g.app.sign_in.bearer(token, now)))
    };
    let refused = match (g.access, &caller) {
        (Access::AnyoneOnLoopback, _) | (Access::SignedIn, Some(_)) => None,
        (Access::SignedIn | Access::OsUser, None) => Some(Problem::unauthenticated()),
        (Access::OsUser, Some(_)) => request
            .extensions()
            .get::<Peer>()
            .is_none()
            .then(|| Problem::forbidden("only over the daemon's Unix socket")),
    };
    if let Some(problem) = refused {
        return if g.page { pages::problem(&g.app, &request, &problem) } else { problem.into_response() };
    }
    if g.page && request.method() == Method::POST {
        request = match from_our_pages(request, g.access).await {
            Ok(request) => request,
            Err(refused) => {
                let (request, problem) = *refused;
                return pages::problem(&g.app, &request, &problem);
            }
        };
    }
    if let Some(actor) = caller {
        request.extensions_mut().insert(Caller(actor));
    }
    next.run(request).await
}

type Refused = Box<(Request, Problem)>;

/// A form must come from a page of ours (CSRF). The browser says so itself where it can; the token says it always.
async fn from_our_pages(request: Request, access: Access) -> Result<Request, Refused> {
    #[derive(Deserialize)]
    struct Carried {
        #[serde(rename = "form-token", default)]
        token: String,
    }
    if let Err(problem) = same_origin(request.headers()) {
        return Err(Box::new((request, problem)));
    }
    if access != Access::SignedIn {
        return Ok(request);
    }
    let wanted = request.extensions().get::<FormToken>().cloned().unwrap_or_default().0;
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BODY_BYTES).await else {
        return Err(Box::new((Request::from_parts(parts, Body::empty()), Problem::too_large())));
    };
    let copy = Request::from_parts(parts.clone(), Body::from(bytes.clone()));
    let carried = Form::<Carried>::from_request(copy, &()).await.map(|Form(c)| c.token).unwrap_or_default();
    let request = Request::from_parts(parts, Body::from(bytes));
    if wanted.is_empty() || !same_secret(&carried, &wanted) {
        let problem = Problem::forbidden("the form does not come from a page of this session; open the page again");
        return Err(Box::new((request, problem)));
    }
    Ok(request)
}

fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = || Err(Problem::forbidden("the form comes from another site"));
    if let Some(site) = headers.get("sec-fetch-site") {
        return if site == "same-origin" { Ok(()) } else { refuse() };
    }
    // Browsers write `null` under our own `Referrer-Policy: no-referrer`, so that `null` says nothing here.
    match (header_text(headers, header::ORIGIN), header_text(headers, header::HOST)) {
        (None | Some("null"), _) => Ok(()),
        (Some(origin), Some(host)) if origin.strip_prefix("http://") == Some(host) => Ok(()),
        _ => refuse(),
    }
}

/// What stands before all routes and before "not found" alike.
pub(crate) async fn outer(State(app): State<App>, request: Request, next: Next) -> Response {
    let page = !request.uri().path().starts_with("/api/");
    let lang = asked_lang(request.uri());
    // A page elsewhere must not reach us by a name of its own that points to 127.0.0.1. No name leads to a Unix socket.
    let host = if request.extensions().get::<Peer>().is_some() { Ok(()) } else { host_is_loopback(&request) };
    let mut response = match host {
        Ok(()) => match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::timeout().into_response(),
        },
        Err(problem) if page => pages::problem(&app, &request, &problem),
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let (true, Some(lang)) = (page, lang) {
        let cookie = format!("{LANG_COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Strict", text::code(lang));
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, value);
        }
    }
    response
}

const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

fn host_is_loopback(request: &Request) -> Result<(), Problem> {
    let host = header_text(request.headers(), header::HOST).or_else(|| request.uri().authority().map(|a| a.as_str()));
    let Some(host) = host else {
        return Err(Problem::bad("the request names no host"));
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let loopback = bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback { Ok(()) } else { Err(Problem::misdirected("this server answers only to loopback names")) }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header_text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The language that `?lang=` asks for.
pub(crate) fn asked_lang(uri: &Uri) -> Option<text::Lang> {
    uri.query()?.split('&').find_map(|pair| text::from_code(pair.strip_prefix("lang=")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_host(host: &str) -> Request {
        Request::builder().uri("/").header("host", host).body(Body::empty()).unwrap()
    }

    #[test]
    fn only_loopback_names_are_ours() {
        for good in ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8080", "127.1.2.3:9"] {
            assert!(host_is_loopback(&with_host(good)).is_ok(), "{good}");
        }
        for bad in
            ["example.com", "127.0.0.1.example.com", "localhost.example.com:80", "192.0.2.1", "", "[2001:db8::1]"]
        {
            assert!(host_is_loopback(&with_host(bad)).is_err(), "{bad}");
        }
        let none = Request::builder().uri("/").body(Body::empty()).unwrap();
        assert_eq!(host_is_loopback(&none).unwrap_err().status, 400);
    }

    #[test]
    fn forms_from_elsewhere_are_seen() {
        let check = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            same_origin(&headers).is_ok()
        };
        assert!(check(&[("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")]));
        assert!(check(&[("host", "127.0.0.1:1"), ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!check(&[("host", "127.0.0.1:1"), ("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("host", "127.0.0.1:1"), ("sec-fetch-site", "same-site")]));
        assert!(!check(&[("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:2")]));
        assert!(!check(&[("host", "127.0.0.1:1"), ("origin", "https://example.com")]));
    }
}
