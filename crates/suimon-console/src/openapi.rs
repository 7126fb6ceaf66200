//! The OpenAPI 3.1 document, made from the table of routes and the schemas beside this file.
//!
//! A generator (`utoipa`) would need an attribute on every type of the base crate and the spine, which must not know
//! HTTP; the schemas are written by hand instead, and a test holds real answers against them.

use crate::routes::{Access, Doc, Kind, ROUTES, Route};
use serde_json::{Map, Value, json};

const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// The document. The same text is committed as `docs/reference/openapi.json` and served at `/api/v1/openapi.json`.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let Kind::Api(doc) = route.kind else { continue };
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(route.method.to_lowercase(), operation(route, &doc));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Suimon",
            "version": "1",
            "description": "Times are RFC 3339 in UTC with milliseconds. Shares are fractions from 0 to 1. Over TCP a \
                bearer token is needed; over the daemon's Unix socket the caller is the operating-system user.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "unixSocket": {
                    "type": "mutualTLS",
                    "description": "No TLS: the kernel names the user on the other end of the Unix socket.",
                },
            },
            "schemas": schemas(),
        },
    })
}

/// The schemas by name; the file is checked by a test.
pub(crate) fn schemas() -> Value {
    serde_json::from_str(SCHEMAS).unwrap_or(Value::Null)
}

fn operation(route: &Route, doc: &Doc) -> Value {
    let mut parameters = Vec::new();
    if route.path.contains("{id}") {
        parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" },
            "description": "a number such as C-12, M-3, R-1, A-7" }));
    }
    for (name, kind, meaning) in doc.query {
        parameters.push(json!({ "name": name, "in": "query", "schema": { "type": kind }, "description": meaning }));
    }
    let content = if doc.answer.contains('/') {
        json!({ doc.answer: { "schema": {} } })
    } else {
        json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{}", doc.answer) } } })
    };
    let problem = json!({
        "description": "not done; `kind` says why",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    let mut operation = json!({
        "operationId": doc.id,
        "summary": doc.summary,
        "responses": {
            doc.status.to_string(): { "description": "done", "content": content },
            "default": problem,
        },
        "security": match route.access {
            Access::AnyoneOnLoopback => json!([]),
            Access::SignedIn => json!([{ "bearer": [] }, { "unixSocket": [] }]),
            Access::OsUser => json!([{ "unixSocket": [] }]),
        },
    });
    if let Some(map) = operation.as_object_mut() {
        if !parameters.is_empty() {
            map.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(body) = doc.body {
            let schema = json!({ "$ref": format!("#/components/schemas/{body}") });
            let content = json!({ "application/json": { "schema": schema } });
            map.insert("requestBody".to_owned(), json!({ "content": content }));
        }
    }
    operation
}
