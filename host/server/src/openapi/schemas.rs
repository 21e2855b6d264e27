//! JSON Schemas of the types that requests and answers have.

use schemars::generate::SchemaSettings;
use schemars::transform::{ReplaceBoolSchemas, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// What describes a type: `SchemaGenerator::subschema_for::<T>`.
pub(crate) type Described = fn(&mut SchemaGenerator) -> Schema;

/// Of a request, a type and what it is called.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub described: Described,
    /// The type's name.
    pub name: fn() -> std::borrow::Cow<'static, str>,
}

/// The schemas of a document. The same type may be described in two ways: as it is read and as it is written, e.g. where
/// members may be left out only of what is read.
pub(super) struct Schemas {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
    /// Bodies of requests, each whole.
    bodies: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        let answers = SchemaSettings::draft2020_12().for_serialize();
        let requests = SchemaSettings::draft2020_12().for_deserialize();
        Self {
            answers: answers.with(|it| it.definitions_path = "/components/schemas".into()).into_generator(),
            requests: requests.with(|it| it.inline_subschemas = true).into_generator(),
            bodies: Map::new(),
        }
    }
}

impl Schemas {
    /// A type that is answered, or a reference to it.
    pub fn answer(&mut self, described: Described) -> Value {
        without_bools(described(&mut self.answers))
    }

    /// A reference to a type that is asked for. Its name ends in `Request`.
    pub fn request(&mut self, asked: Asked) -> Value {
        let name = format!("{}Request", (asked.name)());
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        let schema = self.inline(asked.described);
        self.bodies.insert(name, schema);
        reference
    }

    /// A type that is asked for, in place.
    pub fn inline(&mut self, described: Described) -> Value {
        without_bools(described(&mut self.requests))
    }

    /// The members of a type as parameters of a query.
    pub fn parameters(&mut self, described: Described) -> Vec<Value> {
        let schema = self.inline(described);
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
        let Some(members) = schema["properties"].as_object() else { return Vec::new() };
        let parameters = members.iter().map(|(name, schema)| {
            let mut schema = schema.clone();
            without_null(&mut schema);
            let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let about = about.unwrap_or_default();
            json!({"name": name, "in": "query", "required": required(name), "description": about, "schema": schema})
        });
        parameters.collect()
    }

    /// All that are referred to, by name.
    pub fn documents(mut self) -> Map<String, Value> {
        let answers = self.answers.take_definitions(false).into_iter();
        let answers = answers.map(|(name, schema)| {
            let schema = Schema::try_from(schema).expect("the generator makes schemas");
            (name, without_bools(schema))
        });
        answers.chain(self.bodies).collect()
    }
}

/// Anything is `{}` rather than `true`, which fewer programs read.
fn without_bools(mut schema: Schema) -> Value {
    let mut replace = ReplaceBoolSchemas::default();
    replace.skip_additional_properties = true;
    replace.transform(&mut schema);
    schema.to_value()
}

/// A parameter is left out; it is not null.
fn without_null(schema: &mut Value) {
    let is_not_null = |value: &Value| !(value.is_null() || value == "null" || value["type"] == "null");
    for word in ["type", "enum", "anyOf"] {
        if let Some(values) = schema.get_mut(word).and_then(Value::as_array_mut) {
            values.retain(is_not_null);
        }
    }
    if let Some([one]) = schema["type"].as_array().map(Vec::as_slice) {
        schema["type"] = one.clone();
    }
    if let Some([one]) = schema["anyOf"].as_array().map(Vec::as_slice) {
        let mut one = one.clone();
        if let Some(about) = schema.get("description") {
            one["description"] = about.clone();
        }
        *schema = one;
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "it is only described")]
    struct Query {
        /// Where to begin.
        after: Option<u64>,
        /// How.
        mode: Option<Mode>,
        text: String,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "it is only described")]
    enum Mode {
        /// The word itself.
        Exact,
        Any,
    }

    #[test]
    fn parameters_are_left_out_and_never_null() {
        let parameters = Schemas::default().parameters(SchemaGenerator::subschema_for::<Query>);
        let of = |name: &str| parameters.iter().find(|it| it["name"] == name).expect("it is there").clone();
        let (after, mode, text) = (of("after"), of("mode"), of("text"));
        assert_eq!((&after["required"], &after["schema"]["type"]), (&json!(false), &json!("integer")));
        assert_eq!(
            (&after["description"], &after["schema"]["description"]),
            (&json!("Where to begin."), &Value::Null)
        );
        assert!(!mode.to_string().contains("null"), "{mode}");
        assert_eq!(mode["description"], "How.");
        assert_eq!((&text["required"], &text["schema"]), (&json!(true), &json!({"type": "string"})));
    }

    #[test]
    fn what_may_be_anything_is_an_object_without_members() {
        let mut schemas = Schemas::default();
        assert_eq!(schemas.answer(SchemaGenerator::subschema_for::<Value>), json!({}));
        let map = schemas.answer(SchemaGenerator::subschema_for::<Map<String, Value>>);
        assert_eq!(map["additionalProperties"], json!(true));
    }
}
