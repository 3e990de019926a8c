//! JSON Schemas of the files that users write, and of documents that the program writes, made from the
//! wire forms.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// Keys that stand first in a schema.
const FIRST: [&str; 3] = ["$schema", "title", "description"];

/// Schema of a wire form: draft 7, which all TOML editors know, without references and, since
/// TOML has no null, without null.
#[must_use]
pub fn of<T: JsonSchema>() -> Value {
    let mut schema = settings().into_generator().into_root_schema_for::<T>();
    RecursiveTransform(without_null).transform(&mut schema);
    headed(schema)
}

/// Schema of a document that the program writes, with null where it may stand.
#[must_use]
pub fn written<T: JsonSchema>() -> Value {
    headed(settings().for_serialize().into_generator().into_root_schema_for::<T>())
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true)
}

fn headed(schema: Schema) -> Value {
    let mut value = schema.to_value();
    if let Value::Object(object) = &mut value {
        // What it is before what is in it: the file is read by people, too.
        let rest = std::mem::take(object);
        let first = |key: &String| FIRST.contains(&key.as_str());
        let (mut head, tail): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(key, _)| first(key));
        head.sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key));
        object.extend(head.into_iter().chain(tail));
    }
    value
}

fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(names)) = object.get_mut("type") {
        names.retain(|name| name != "null");
        if let [one] = names.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [one] = choices.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            if let Value::Object(one) = one {
                for (key, value) in one {
                    object.entry(key).or_insert(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[schemars(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum Choice {
        /// One.
        One,
        /// Two.
        Two,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Wire {
        /// Needed.
        #[schemars(required)]
        needed: Option<String>,
        /// Not needed.
        choice: Option<Choice>,
        /// Not needed either.
        remark: Option<String>,
    }

    #[test]
    fn an_optional_key_is_not_null() {
        let schema = of::<Wire>();
        assert_eq!(schema["required"], serde_json::json!(["needed"]));
        assert_eq!(schema["properties"]["needed"]["type"], "string");
        assert_eq!(schema["properties"]["choice"]["description"], "Not needed.");
        assert_eq!(schema["properties"]["choice"]["oneOf"][0]["const"], "one");
        assert!(!schema.to_string().contains("null"), "{schema}");
        let written = written::<Wire>();
        assert_eq!(written["properties"]["remark"]["type"], serde_json::json!(["string", "null"]));
    }
}
