//! Which streams of a plan leave an undo log, and whether they can.

use super::ends::Ends;
use super::plan::Options;
use super::shape::Shape;
use crate::data::finding::{Finding, listed};
use crate::mapping::Stream;

/// Whether what is written of a stream leaves an undo log: its mapping says so, or the command line
/// says it of all, where the target keeps one. It is no part of the fingerprint, so that a resume may
/// begin with it.
pub(super) fn is_kept(stream: &Stream, options: &Options, ends: &Ends) -> bool {
    is_wanted(stream, options) && keeps(stream, ends)
}

fn is_wanted(stream: &Stream, options: &Options) -> bool {
    options.undo || stream.undo.as_ref().is_some_and(|undo| undo.value)
}

/// Whether its target keeps undo logs; one that is away now is planned again.
fn keeps(stream: &Stream, ends: &Ends) -> bool {
    let sink = ends.sinks.get(&stream.to.value.connection);
    sink.is_some_and(|sink| sink.keeps_undo_log())
}

/// Streams that are to leave an undo log and cannot.
pub(super) fn unfit(selected: &[&Stream], checked: &[Option<Shape>], options: &Options, ends: &Ends) -> Vec<Finding> {
    let wanted = selected.iter().zip(checked).filter(|(stream, _)| is_wanted(stream, options));
    wanted
        .filter_map(|(stream, shape)| fault(stream, shape.as_ref(), ends))
        .collect()
}

fn fault(stream: &Stream, shape: Option<&Shape>, ends: &Ends) -> Option<Finding> {
    let place = stream.undo.as_ref().map_or(&stream.place, |undo| &undo.place);
    let name = &stream.name.value;
    if !keeps(stream, ends) {
        // What the command line says of all streams is a warning for this one.
        stream.undo.as_ref().filter(|undo| undo.value)?;
        let connection = &stream.to.value.connection;
        let what = format!("connection `{connection}` keeps no undo log, so that stream `{name}` cannot be taken back");
        return Some(
            Finding::error("plan::undo_log", Some(place.clone()), what)
                .label("not for this kind of target")
                .help("leave `undo` away, and make a backup before the run: a backup that is restored is its way back"),
        );
    }
    let table = &shape?.target;
    if stream.keyed.is_some() {
        return None;
    }
    let is_key = |name: &String| stream.key.iter().any(|key| key.value == *name);
    let same = |unique: &Vec<String>| unique.len() == stream.key.len() && unique.iter().all(is_key);
    let may_be_null = |key: &str| table.column(key).is_none_or(|column| column.nullable);
    let keys: Vec<&str> = stream.key.iter().map(|key| key.value.as_str()).collect();
    let why = if !table.uniques.iter().any(same) {
        "unique"
    } else if keys.iter().any(|key| may_be_null(key)) {
        "without NULL"
    } else {
        return None;
    };
    let what = format!(
        "the target does not keep ({}) {why}, so that an undo log finds no row of stream `{name}` again",
        keys.join(", ")
    );
    Some(
        Finding::error("plan::undo_key", Some(place.clone()), what)
            .label("leaves an undo log")
            .help("give the table a primary key of these columns, or leave `undo` away and make a backup"),
    )
}

/// What `--undo` does not reach.
pub(super) fn not_taken_back(selected: &[&Stream], options: &Options, ends: &Ends) -> Option<String> {
    let out: Vec<String> = (selected.iter().filter(|stream| options.undo && !keeps(stream, ends)))
        .map(|stream| stream.name.value.clone())
        .collect();
    (!out.is_empty()).then(|| {
        format!(
            "a rollback takes nothing back of {}: its target keeps no undo log; the way back is a backup that is restored",
            listed(&out)
        )
    })
}
