//! One route: method, path, scope and handler, and what its operation takes and answers.

use axum::handler::Handler;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, Method};
use axum::routing::{MethodFilter, MethodRouter, on};
use floret_model::{Namespace, ResourceId, ResourceType};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::schemas::{Asked, Described};
use crate::access::Scope;
use crate::jobs::{JobDocument, PREFER};
use crate::problem::Code;
use crate::state::AppState;
use crate::swaps::{Swap, Swapped};

/// What a name between braces in a path stands for.
pub(super) const PATH_PARAMETERS: [(&str, &str, Described); 7] = [
    ("namespace", "Namespace of the resource.", SchemaGenerator::subschema_for::<Namespace>),
    ("type", "Type of the resource, or what is bound.", SchemaGenerator::subschema_for::<ResourceType>),
    ("id", "Id of the resource.", SchemaGenerator::subschema_for::<ResourceId>),
    ("name", "Name of the component.", SchemaGenerator::subschema_for::<ComponentName>),
    ("component", "Name of the component, or its digest.", SchemaGenerator::subschema_for::<ComponentName>),
    ("job", "Id of the job.", SchemaGenerator::subschema_for::<JobId>),
    ("code", "The code.", SchemaGenerator::subschema_for::<Code>),
];

struct ComponentName;

impl JsonSchema for ComponentName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ComponentName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "examples": ["trie-fst"]})
    }
}

struct JobId;

impl JsonSchema for JobId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JobId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9a-f]{16}$", "examples": ["0123456789abcdef"]})
    }
}

/// A route, from which the router and the document are made.
pub(crate) struct Route {
    pub method: Method,
    pub path: &'static str,
    /// What a token must have; nothing where nobody is asked for one.
    pub scope: Option<Scope>,
    /// Whether it is counted among the requests at once.
    pub is_counted: bool,
    pub handler: MethodRouter<AppState>,
    /// Of the operation, unique.
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub about: &'static str,
    pub query: Option<Described>,
    pub headers: Vec<Reads>,
    pub body: Option<Body>,
    pub answers: Vec<Answer>,
    /// Problems beside those that all routes like it have.
    fails: Vec<u16>,
}

/// A header that an operation looks at.
pub(crate) struct Reads {
    pub name: HeaderName,
    pub about: &'static str,
    /// What the percent-encoded JSON in it says, where it is that.
    pub json: Option<Asked>,
}

/// The body of a request.
pub(crate) enum Body {
    Json(Asked),
    Bytes { media_type: &'static str, about: &'static str },
}

/// An answer that is no problem.
pub(crate) struct Answer {
    pub status: u16,
    pub about: &'static str,
    pub content: Content,
    /// Those that it always has.
    pub headers: Vec<(HeaderName, &'static str)>,
}

/// The body of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Nothing,
    Json(Described),
    /// Text of this media type.
    Text(&'static str),
    /// Server-sent events; what each holds is said in words.
    Events,
    /// Of any media type.
    Bytes,
}

/// Declares the route of a method.
macro_rules! method {
    ($name:ident, $method:ident) => {
        pub(crate) fn $name<H, T>(path: &'static str, scope: Option<Scope>, handler: H) -> Route
        where
            H: Handler<T, AppState>,
            T: 'static,
        {
            Route::new(Method::$method, path, scope, on(MethodFilter::$method, handler))
        }
    };
}

method!(get, GET);
method!(put, PUT);
method!(post, POST);
method!(delete, DELETE);

impl Route {
    fn new(
        method: Method,
        path: &'static str,
        scope: Option<Scope>,
        handler: MethodRouter<AppState>,
    ) -> Self {
        let (headers, answers, fails) = (Vec::new(), Vec::new(), Vec::new());
        let (id, tag, summary, about) = ("", "", "", "");
        Self {
            method,
            path,
            scope,
            is_counted: scope.is_some(),
            handler,
            id,
            tag,
            summary,
            about,
            query: None,
            headers,
            body: None,
            answers,
            fails,
        }
    }

    /// The operation's name for programs, in snake case and unique, and what it does in a few words.
    pub fn named(self, id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, ..self }
    }

    /// What it does in more words.
    pub fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// It is answered also where much else is asked at once.
    pub fn uncounted(self) -> Self {
        Self { is_counted: false, ..self }
    }

    /// Which group it belongs to.
    pub fn tagged(self, tag: &'static str) -> Self {
        Self { tag, ..self }
    }

    /// Its parameters behind the `?` are the members of this type.
    pub fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// It looks at this header.
    pub fn reads(mut self, name: HeaderName, about: &'static str) -> Self {
        self.headers.push(Reads { name, about, json: None });
        self
    }

    /// It looks at this header, which is a percent-encoded JSON document.
    pub fn reads_json<T: JsonSchema>(mut self, name: HeaderName, about: &'static str) -> Self {
        self.headers.push(Reads { name, about, json: Some(asked::<T>()) });
        self
    }

    /// Its body is a JSON document of this type.
    pub fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body::Json(asked::<T>())), ..self }.fails(&[413, 415])
    }

    /// Its body is bytes, whatever `content-type` says.
    pub fn takes_bytes(self, media_type: &'static str, about: &'static str) -> Self {
        Self { body: Some(Body::Bytes { media_type, about }), ..self }.fails(&[408, 413])
    }

    /// It answers with a JSON document of this type.
    pub fn answers<T: JsonSchema>(self, status: u16, about: &'static str) -> Self {
        self.answers_with(status, about, Content::Json(SchemaGenerator::subschema_for::<T>))
    }

    /// It answers with something else.
    pub fn answers_with(mut self, status: u16, about: &'static str, content: Content) -> Self {
        self.answers.push(Answer { status, about, content, headers: Vec::new() });
        self
    }

    /// The answer told last always has this header.
    pub fn with(mut self, name: HeaderName, about: &'static str) -> Self {
        let last = self.answers.last_mut().expect("an answer was told before, as every test sees");
        last.headers.push((name, about));
        self
    }

    /// It is done as a job, whose result is of this type.
    pub fn runs<T: JsonSchema>(self, about: &'static str) -> Self {
        self.reads(PREFER, "`respond-async`: do not wait for the result (RFC 7240).")
            .answers::<T>(200, about)
            .answers::<JobDocument>(202, "With `prefer: respond-async`: the job that will have the result.")
            .with(LOCATION, "Where the job is found.")
            .fails(&[404, 409, 410, 422])
    }

    /// It changes what is installed or bound, or only says what that would do.
    pub fn swaps(self) -> Self {
        self.answers::<Swap>(200, "It is so already; or, with `dry_run`, what would be done.")
            .answers::<Swapped>(201, "What was saved, and what is to be rebuilt for it.")
            .fails(&[404, 409, 422])
    }

    /// It may answer with problems of these statuses, beside those that every route like it may.
    pub fn fails(mut self, statuses: &[u16]) -> Self {
        self.fails.extend(statuses);
        self
    }

    /// The statuses of its problems.
    pub fn problems(&self) -> impl Iterator<Item = u16> {
        let guarded: &[u16] = if self.scope.is_some() { &[401, 403, 429, 500] } else { &[] };
        [400, 421, 503].into_iter().chain(guarded.iter().copied()).chain(self.fails.iter().copied())
    }
}

fn asked<T: JsonSchema>() -> Asked {
    Asked { described: SchemaGenerator::subschema_for::<T>, name: T::schema_name }
}
