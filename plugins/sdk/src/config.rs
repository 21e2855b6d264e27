//! Reading a component's configuration.

use serde::de::DeserializeOwned;

use crate::Error;

/// Read `config`, a JSON object that passed the component's schema. Give the type `#[serde(default)]` and
/// `deny_unknown_fields`, so that `{}` means all defaults and a slip in the schema is found.
///
/// # Errors
/// `invalid-config`, with the place.
pub fn parse<T: DeserializeOwned>(config: &str) -> Result<T, Error> {
    serde_json::from_str(config)
        .map_err(|error| Error::InvalidConfig(format!("the configuration cannot be read: {error}")))
}

/// Check in a unit test that the schema's defaults are the type's: every property of the schema has a
/// `default` and a `description`, and together they are read as `T::default()`.
///
/// # Panics
/// If they are not.
pub fn assert_defaults_agree<T: DeserializeOwned + Default + PartialEq + std::fmt::Debug>(schema: &str) {
    let schema: serde_json::Value = serde_json::from_str(schema).expect("the schema is JSON");
    assert_eq!(schema["additionalProperties"], false, "the schema refuses unknown properties");
    let mut defaults = serde_json::Map::new();
    for (name, property) in schema["properties"].as_object().expect("the schema lists its properties") {
        assert!(property["description"].is_string(), "{name} has no description");
        defaults.insert(
            name.clone(),
            property.get("default").unwrap_or_else(|| panic!("{name} has no default")).clone(),
        );
    }
    let text = serde_json::Value::Object(defaults).to_string();
    assert_eq!(parse::<T>(&text).expect("the defaults are a configuration"), T::default());
    assert_eq!(parse::<T>("{}").expect("an empty object is a configuration"), T::default());
}
