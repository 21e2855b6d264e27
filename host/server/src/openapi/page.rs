//! The document as a page: one section for each operation and each type. It asks for nothing but its style sheet.

use std::sync::LazyLock;

use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use maud::{DOCTYPE, Markup, html};
use serde_json::{Map, Value};

use super::DOCUMENT;
use crate::given::Parameters;
use crate::versions::Nothing;

/// Nothing but our own style sheet is loaded, nothing runs, and no page of others shows this one.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SAFE: [(HeaderName, &str); 2] = [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer")];

/// Where a reference within the document leads.
const SCHEMAS: &str = "#/components/schemas/";

static PAGE: LazyLock<String> = LazyLock::new(|| shown(&DOCUMENT).into_string());

/// The page.
pub(crate) async fn page(_: Parameters<Nothing>) -> impl IntoResponse {
    let what = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (what, SAFE, PAGE.as_str())
}

/// How the page looks.
pub(crate) async fn style(_: Parameters<Nothing>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], SAFE, include_str!("style.css"))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Method, path and operation of each of a group.
fn operations<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let all = members(&document["paths"]).flat_map(|(path, item)| {
        members(item).map(|(method, operation)| (method.as_str(), path.as_str(), operation))
    });
    all.filter(move |(.., operation)| list(&operation["tags"]).iter().any(|it| it == tag))
}

fn shown(document: &Value) -> Markup {
    let info = &document["info"];
    let schemas = &document["components"]["schemas"];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (text(info, "title")) " over HTTP" }
                link rel="stylesheet" href="/docs/style.css";
            }
            body {
                header {
                    h1 { (text(info, "title")) " over HTTP" }
                    p { "Version " (text(info, "version")) ". For programs: " a href="/openapi.json" { "openapi.json" } "." }
                    @for paragraph in text(info, "description").split("\n\n") { p { (prose(paragraph)) } }
                }
                nav aria-label="Operations" { (contents(document)) }
                main {
                    @for tag in list(&document["tags"]) {
                        h2 id={ "tag-" (text(tag, "name")) } { (text(tag, "description")) }
                        @for (method, path, operation) in operations(document, text(tag, "name")) {
                            (section(document, method, path, operation))
                        }
                    }
                    h2 id="types" { "Types" }
                    @for (name, schema) in members(schemas) { (type_section(name, schema)) }
                }
            }
        }
    }
}

fn contents(document: &Value) -> Markup {
    html! {
        @for tag in list(&document["tags"]) {
            h2 { a href={ "#tag-" (text(tag, "name")) } { (text(tag, "name")) } }
            ul {
                @for (method, path, operation) in operations(document, text(tag, "name")) {
                    li {
                        a href={ "#" (text(operation, "operationId")) } { (text(operation, "summary")) }
                        " " code { (method.to_ascii_uppercase()) " " (path) }
                    }
                }
            }
        }
        h2 { a href="#types" { "types" } }
    }
}

fn section(document: &Value, method: &str, path: &str, operation: &Value) -> Markup {
    let id = text(operation, "operationId");
    html! {
        section id=(id) {
            h3 { a href={ "#" (id) } { (text(operation, "summary")) } }
            p.route { span.method { (method.to_ascii_uppercase()) } " " code { (path) } }
            @if let Some(about) = operation["description"].as_str() { p { (prose(about)) } }
            @match operation["security"][0]["bearer"][0].as_str() {
                Some(scope) => p { "Scope: " code { (scope) } },
                None => p { "No token is needed." },
            }
            @let parameters = list(&operation["parameters"]);
            @if !parameters.is_empty() {
                h4 { "Parameters" }
                (table(["name", "in", "type", "what"], parameters.iter().map(parameter)))
            }
            @if let Some(body) = operation.get("requestBody") {
                h4 { "Body" }
                @if let Some(about) = body["description"].as_str() { p { (prose(about)) } }
                (content(&body["content"]))
            }
            h4 { "Answers" }
            (table(["status", "what", "body", "headers"], members(&operation["responses"]).map(|(status, response)| {
                answer(status, resolved(document, response))
            })))
        }
    }
}

fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [Markup; N]>) -> Markup {
    html! {
        div.table {
            table {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

fn parameter(parameter: &Value) -> [Markup; 4] {
    let is_required = parameter["required"] == true;
    [
        html! { code { (text(parameter, "name")) } @if is_required { " (needed)" } },
        html! { (text(parameter, "in")) },
        kind(&parameter["schema"]),
        prose(text(parameter, "description")),
    ]
}

fn answer(status: &str, response: &Value) -> [Markup; 4] {
    let names: Vec<&str> = members(&response["headers"]).map(|(name, _)| name.as_str()).collect();
    [
        html! { code { (status) } },
        prose(text(response, "description")),
        content(&response["content"]),
        html! { (names.join(", ")) },
    ]
}

fn content(content: &Value) -> Markup {
    html! {
        @for (media_type, body) in members(content) {
            div { code { (media_type) } @if body["schema"] != Value::Object(Map::new()) { ": " (kind(&body["schema"])) } }
        }
    }
}

/// What a reference refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn type_section(name: &str, schema: &Value) -> Markup {
    let needed = list(&schema["required"]);
    let properties = members(&schema["properties"]).map(|(name, schema)| {
        let is_needed = needed.iter().any(|needed| needed == name);
        [
            html! { code { (name) } @if is_needed { " (always)" } },
            kind(schema),
            prose(text(schema, "description")),
        ]
    });
    html! {
        section id={ "type-" (name) } {
            h3 { a href={ "#type-" (name) } { (name) } }
            p { (prose(text(schema, "description"))) }
            @if schema["properties"].is_object() { (table(["member", "type", "what"], properties)) }
            @for word in ["oneOf", "anyOf", "enum"] {
                @if let Some(choices) = schema[word].as_array() {
                    p { "One of:" }
                    ul { @for choice in choices { li { (alternative(choice)) } } }
                }
            }
            @if !["properties", "oneOf", "anyOf", "enum"].iter().any(|word| schema.get(word).is_some()) {
                p { (kind(schema)) }
            }
        }
    }
}

fn alternative(choice: &Value) -> Markup {
    let is_schema = choice.is_object();
    html! {
        @if is_schema { (kind(choice)) } @else { code { (choice) } }
        @if let Some(about) = choice["description"].as_str() { ": " (prose(about)) }
    }
}

/// A type in short.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(SCHEMAS)) {
        return html! { a href={ "#type-" (name) } { (name) } };
    }
    if let Some(value) = schema.get("const") {
        return html! { code { (value) } };
    }
    for word in ["enum", "oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[word].as_array() {
            return html! {
                @for (at, choice) in choices.iter().enumerate() {
                    @if at > 0 { ", " }
                    @if word == "enum" { code { (choice) } } @else { (kind(choice)) }
                }
            };
        }
    }
    let named: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    html! {
        (named.join(" or "))
        @if schema["items"].is_object() { " of " (kind(&schema["items"])) }
        @if schema["additionalProperties"].is_object() { " of " (kind(&schema["additionalProperties"])) }
        @if schema["properties"].is_object() && schema["title"].is_null() {
            " with " @for (at, (name, member)) in members(&schema["properties"]).enumerate() {
                @if at > 0 { ", " } code { (name) } ": " (kind(member))
            }
        }
        @if let Some(pattern) = schema["pattern"].as_str() { " like " code { (pattern) } }
        @for (word, said) in [("minimum", "from"), ("maximum", "to")] {
            @if schema[word].is_number() { " " (said) " " (schema[word]) }
        }
        @if let Some(inner) = schema.get("contentSchema") { ": " (kind(inner)) }
    }
}

/// Text in which code stands between backticks.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_within_the_page_leads_somewhere_and_nothing_is_fetched_from_elsewhere() {
        let page = shown(&DOCUMENT).into_string();
        let links: Vec<&str> =
            page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(links.len() > 100, "{links:?}");
        for link in links {
            match link.strip_prefix('#') {
                Some(id) => assert!(page.contains(&format!(" id=\"{id}\"")), "{link}"),
                None => assert!(["/docs/style.css", "/openapi.json"].contains(&link), "{link}"),
            }
        }
        for never in ["<script", "style=", "src=", "http://", "https://"] {
            assert!(!page.contains(never), "{never}");
        }
    }

    #[test]
    fn what_looks_like_markup_is_shown_as_text() {
        assert_eq!(prose("`<b>` & \"c\"").into_string(), "<code>&lt;b&gt;</code> &amp; &quot;c&quot;");
        assert!(!shown(&DOCUMENT).into_string().contains("<b>"));
    }
}
