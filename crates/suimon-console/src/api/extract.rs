//! Arguments of API calls, with errors that name the place.

use crate::problem::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The id at the end or in the middle of a path.
pub(crate) struct Id<T>(pub T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
    S: Send + Sync,
{
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|e| Problem::bad(e.body_text()))?;
        text.parse().map(Id).map_err(|e: T::Err| Problem::bad(e.to_string()))
    }
}

/// The query's parameters.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|e| Problem::bad(format!("query: {}", e.body_text())))?;
        Ok(Params(params))
    }
}

/// A JSON body; an empty one counts as `{}`.
pub(crate) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|e| match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
            _ => Problem::bad(format!("body: {}", e.body_text())),
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // serde_json names line and column.
        serde_json::from_slice(text).map(JsonBody).map_err(|e| Problem::bad(format!("body: {e}")))
    }
}
