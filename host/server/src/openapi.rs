//! The HTTP interface described for programs and people: an OpenAPI 3.1 document and a page, made of the same routes as
//! the router. `route` declares what an operation takes and answers, `schemas` describes types, `page` shows it all.

mod page;
mod route;
mod schemas;

use std::sync::LazyLock;

use axum::http::header::{CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

pub(crate) use self::page::{page, style};
use self::route::{Answer, Body};
pub(crate) use self::route::{Content, Route, delete, get, post, put};
use self::schemas::Schemas;
use crate::audit::X_REQUEST_ID;
use crate::given::Parameters;
use crate::problem::{Problem, ProblemDocument};
use crate::routes::{TAGS, routes};
use crate::versions::Nothing;

const ABOUT: &str = "Versioned, content-addressed data and search indexes.

Each part of a path is percent-decoded once: a `/` in an id is written `%2F`. Parameters and members that are not described are refused. `HEAD` is answered wherever `GET` is. Where there are tokens (`floret token create`), every operation with a scope needs one.";

/// Statuses that are problems, and when each is answered.
const PROBLEMS: [(u16, &str); 16] = [
    (400, "The request cannot be carried out as it is."),
    (401, "A token is needed, and none that is good was shown."),
    (403, "The token has not the scope, a component is not trusted, or a page of another site asks."),
    (404, "What was named is not there."),
    (408, "The body was not here in time."),
    (409, "Somebody else was first: read again and decide again."),
    (410, "Cleanup has dropped the bytes of this version."),
    (412, "The latest version is not the one that the request expects."),
    (413, "The body is longer than is taken here."),
    (415, "The body is no JSON document, or `content-type` does not say so."),
    (416, "The range begins behind the end of the content."),
    (421, "The server listens for its own machine only, and was asked by another name."),
    (422, "A component is none that can be used."),
    (429, "This client has as many requests at work as one may have: come again."),
    (500, "A component failed, bytes are not what was written, or something went wrong unforeseen."),
    (503, "A server that is needed does not answer, or too much is asked at once: come again."),
];

/// The OpenAPI 3.1 document of all that a server answers; equal for equal programs.
pub fn openapi() -> Value {
    document(&routes())
}

/// What is asked for again and again depends on nothing but the program.
static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi);

/// The document as JSON.
pub(crate) async fn json(_: Parameters<Nothing>) -> Result<Response, Problem> {
    let text = serde_json::to_string_pretty(&*DOCUMENT).map_err(Problem::unwritable)?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
}

fn document(routes: &[Route]) -> Value {
    let mut schemas = Schemas::default();
    let responses = problems(&mut schemas);
    let mut paths = Map::new();
    for route in routes {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut schemas);
    }
    let tags = TAGS.map(|(name, about)| json!({"name": name, "description": about}));
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Floret",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.documents(),
            "responses": responses,
            "headers": {
                X_REQUEST_ID.as_str(): header("Id of the request: its own if it is short and plain, else a random one."),
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that `floret token create` made, with the scope that the operation names; every other scope has `read`, too, and `admin` has all.",
                },
            },
        },
    })
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let mut parameters = path_parameters(route.path, schemas);
    parameters.extend(route.query.map(|query| schemas.parameters(query)).unwrap_or_default());
    for reads in &route.headers {
        let mut schema = json!({"type": "string"});
        if let Some(described) = reads.json {
            schema["contentMediaType"] = json!("application/json");
            schema["contentSchema"] = schemas.request(described);
        }
        let (name, about) = (reads.name.as_str(), reads.about);
        parameters.push(json!({"name": name, "in": "header", "description": about, "schema": schema}));
    }
    let mut responses: Map<String, Value> = route
        .problems()
        .map(|status| {
            (status.to_string(), json!({"$ref": format!("#/components/responses/{}", name(status))}))
        })
        .collect();
    for answered in &route.answers {
        responses.insert(answered.status.to_string(), answer(answered, schemas));
    }
    let mut operation = json!({
        "operationId": route.id,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
        "security": route.scope.map(|scope| json!({"bearer": [scope.to_string()]})).as_slice(),
    });
    if !route.about.is_empty() {
        operation["description"] = json!(route.about);
    }
    if let Some(body) = &route.body {
        operation["requestBody"] = request_body(body, schemas);
    }
    operation
}

fn path_parameters(path: &str, schemas: &mut Schemas) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let described = names.map(|name| {
        let known = route::PATH_PARAMETERS.iter().find(|(known, ..)| *known == name);
        let (_, about, schema) = known.expect("every name in a path is described, as a test sees");
        let schema = schemas.inline(*schema);
        json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
    });
    described.collect()
}

fn request_body(body: &Body, schemas: &mut Schemas) -> Value {
    match body {
        Body::Json(described) => {
            json!({"required": true, "content": {"application/json": {"schema": schemas.request(*described)}}})
        }
        Body::Bytes { media_type, about } => json!({
            "required": true,
            "description": about,
            "content": {
                *media_type: {"schema": {}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }),
    }
}

fn answer(answer: &Answer, schemas: &mut Schemas) -> Value {
    let mut headers = Map::new();
    headers.insert(X_REQUEST_ID.to_string(), request_id());
    headers.extend(answer.headers.iter().map(|(name, about)| (name.to_string(), header(about))));
    let mut response = json!({"description": answer.about, "headers": headers});
    match answer.content {
        Content::Nothing => {}
        Content::Json(described) => {
            response["content"] = json!({"application/json": {"schema": schemas.answer(described)}});
        }
        Content::Text(media_type) => {
            response["content"] = json!({media_type: {"schema": {"type": "string"}}});
        }
        Content::Events => response["content"] = json!({"text/event-stream": {"schema": {}}}),
        Content::Bytes => {
            response["content"] = json!({
                "*/*": {"schema": {}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            });
        }
    }
    response
}

/// A response for each status that is a problem, by the status's name.
fn problems(schemas: &mut Schemas) -> Value {
    let schema = schemas.answer(SchemaGenerator::subschema_for::<ProblemDocument>);
    let responses = PROBLEMS.into_iter().map(|(status, about)| {
        let mut headers = json!({X_REQUEST_ID.as_str(): request_id()});
        let mut tell = |name: HeaderName, about| headers[name.as_str()] = header(about);
        match status {
            401 => tell(WWW_AUTHENTICATE, "`Bearer`."),
            416 => tell(CONTENT_RANGE, "How many bytes there are."),
            429 | 503 => tell(RETRY_AFTER, "Seconds to wait."),
            _ => {}
        }
        let content = json!({"application/problem+json": {"schema": schema}});
        (name(status), json!({"description": about, "headers": headers, "content": content}))
    });
    Value::Object(responses.collect())
}

/// The reason phrase as one word, e.g. `NotFound`.
fn name(status: u16) -> String {
    let status = StatusCode::from_u16(status).expect("the statuses are written here");
    status.canonical_reason().expect("they are those of HTTP").replace(' ', "")
}

/// A header that is always there.
fn header(about: &str) -> Value {
    json!({"description": about, "required": true, "schema": {"type": "string"}})
}

fn request_id() -> Value {
    json!({"$ref": format!("#/components/headers/{X_REQUEST_ID}")})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` of a document.
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_as_it_was() {
        let text = serde_json::to_string_pretty(&openapi()).expect("a document is JSON") + "\n";
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        if std::env::var_os("FLORET_TEST_UPDATE").is_some() {
            std::fs::write(golden, &text).expect("docs/openapi.json can be written");
        }
        let kept = std::fs::read_to_string(golden).unwrap_or_default();
        assert!(
            kept == text,
            "the HTTP interface differs from docs/openapi.json; FLORET_TEST_UPDATE=1 writes it anew:\n{text}"
        );
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        let document = openapi();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.contains("#/components/schemas/Problem") && found.len() > 40, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn no_two_types_share_a_name() {
        let document = openapi();
        let names: Vec<&String> =
            document["components"]["schemas"].as_object().expect("an object").keys().collect();
        // The second of a name gets a number.
        assert!(names.iter().all(|name| !name.ends_with(|last: char| last.is_ascii_digit())), "{names:?}");
    }

    #[test]
    fn operations_have_names_of_their_own_known_tags_and_documented_problems() {
        let routes = routes();
        let ids: BTreeSet<&str> = routes.iter().map(|route| route.id).collect();
        assert_eq!(ids.len(), routes.len(), "two operations have one name");
        for route in &routes {
            assert!(TAGS.iter().any(|(name, _)| *name == route.tag), "{}", route.id);
            assert!(route.answers.iter().any(|answer| answer.status < 300), "{}", route.id);
            for status in route.problems() {
                assert!(PROBLEMS.iter().any(|(known, _)| *known == status), "{}: {status}", route.id);
            }
        }
    }
}
