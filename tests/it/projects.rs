//! What the projects of several tests are made of: connections, streams, and a move from one
//! Postgres database to another.

use crate::harness::{Database, Project};

/// The end of a stream that moves all columns to those of the same name.
pub(crate) const SAME_NAMES: &str = "same_name_columns = true\n[stream.columns]\nid = \"id\"\n";

/// A stream keyed by `id`, with whatever else is said of it.
pub(crate) fn stream(name: &str, from: &str, to: &str, rest: &str) -> String {
    format!("\n[[stream]]\nname = \"{name}\"\nfrom = \"{from}\"\nto = \"{to}\"\nkey = [\"id\"]\n{rest}")
}

/// A Postgres connection, whose URL the project has in the variable `<NAME>_URL`.
pub(crate) fn postgres(project: &mut Project, name: &str, url: &str) -> String {
    let variable = format!("{}_URL", name.to_uppercase());
    project.set(&variable, url);
    format!("[connection.{name}]\nkind = \"postgres\"\nurl = {{ env = \"{variable}\" }}\n")
}

/// A project that moves streams from the connection `app` to the connection `target`.
pub(crate) fn between(source: &Database, target: &Database, limits: &str, streams: &str) -> Project {
    let mut project = Project::new();
    let app = postgres(&mut project, "app", &source.url);
    from(project, &app, target, limits, streams)
}

/// The same from the connection that `app` describes.
pub(crate) fn from(mut project: Project, app: &str, target: &Database, limits: &str, streams: &str) -> Project {
    let target = postgres(&mut project, "target", &target.url);
    project.write("config/development.toml", &format!("[limits]\n{limits}\n{app}{target}"));
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write("mappings/demo/streams.toml", streams);
    project
}
