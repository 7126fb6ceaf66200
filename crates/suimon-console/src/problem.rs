//! What went wrong, as the API says it; pages show the same in their own way.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use suimon_base::MeasureId;
use suimon_spine::CommandError;

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub status: StatusCode,
    /// For programs: one word that does not change.
    pub kind: &'static str,
    /// For people, English.
    pub message: String,
    /// The measure on record, for a denied proposal.
    pub measure: Option<MeasureId>,
    /// What is missing, for a denial.
    pub denial: Option<Box<Value>>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Problem { status, kind, message: message.into(), measure: None, denial: None }
    }
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad", message)
    }
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "sign in: a bearer token over TCP, or the daemon's Unix socket",
        )
    }
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }
    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("{what} does not exist"))
    }
    pub(crate) fn misdirected(message: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message)
    }
    pub(crate) fn too_large() -> Self {
        let message = format!("the body is over {} octets", crate::limits::MAX_BODY_BYTES);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }
    pub(crate) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the request took too long")
    }
    pub(crate) fn ledger(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger", message)
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Value {
        let mut error = json!({ "kind": self.kind, "message": self.message });
        if let Some(map) = error.as_object_mut() {
            if let Some(id) = self.measure {
                map.insert("measure".to_owned(), json!(id));
            }
            if let Some(denial) = &self.denial {
                map.insert("denial".to_owned(), Value::clone(denial));
            }
        }
        json!({ "error": error })
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let message = error.to_string();
        match error {
            CommandError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not-found", message),
            CommandError::Bad(_) => Self::bad(message),
            CommandError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", message),
            CommandError::Denied { measure, denial } => Problem {
                measure,
                denial: serde_json::to_value(&denial).ok().map(Box::new),
                ..Self::new(StatusCode::FORBIDDEN, "denied", message)
            },
            CommandError::Ledger(_) => Self::ledger(message),
            CommandError::Stopped => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopped", message),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
