//! The functions that an expression may call, and those that it may not.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion_expr::{ScalarUDF, Volatility};

use crate::transform::functions;

/// Functions that have no place in a mapping: they convert without regard for lost digits
/// (Invariant 6), or make values that no target has a type for.
const LEFT_OUT: [&str; 15] = [
    "arrow_cast",
    "arrow_try_cast",
    "arrow_field",
    "arrow_metadata",
    "arrow_typeof",
    "cast_to_type",
    "try_cast_to_type",
    "with_metadata",
    "named_struct",
    "struct",
    "get_field",
    "union_extract",
    "union_tag",
    "version",
    "row",
];

/// Functions over many rows, as people expect them.
const OVER_ROWS: [&str; 26] = [
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "json_group_array",
    "json_object_agg",
    "jsonb_agg",
    "max",
    "median",
    "min",
    "stddev",
    "string_agg",
    "group_concat",
    "sum",
    "variance",
    "row_number",
    "rank",
    "dense_rank",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "ntile",
];

/// Functions that give another value each time, beyond those that are known to be volatile.
const SESSION: [&str; 9] = [
    "current_user",
    "session_user",
    "user",
    "current_catalog",
    "current_schema",
    "localtime",
    "localtimestamp",
    "gen_random_uuid",
    "clock_timestamp",
];

/// What a name stands for.
pub(super) enum Known {
    /// A function of the row alone.
    Pure(Arc<ScalarUDF>),
    /// Another value each time (Invariant 5).
    Volatile,
    /// An aggregate or window function.
    OverRows,
    /// Nothing.
    Unknown,
}

static ALL: LazyLock<BTreeMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let theirs = datafusion_functions::all_default_functions();
    let mut all = BTreeMap::new();
    // Our own come last: theirs of the same name give way.
    for function in theirs.iter().chain(functions::all()) {
        let names = std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str));
        for name in names.filter(|name| !LEFT_OUT.contains(name)) {
            all.insert(name.to_owned(), Arc::clone(function));
        }
    }
    all
});

/// What `name` stands for. Names are lower-case unless quoted.
pub(super) fn find(name: &str) -> Known {
    match ALL.get(name) {
        Some(function) if is_pure(function) => Known::Pure(Arc::clone(function)),
        Some(_) => Known::Volatile,
        None if SESSION.contains(&name) => Known::Volatile,
        None if OVER_ROWS.contains(&name) => Known::OverRows,
        None => Known::Unknown,
    }
}

/// Names that an expression may call.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .filter(|(_, function)| is_pure(function))
        .map(|(name, _)| name.as_str())
}

fn is_pure(function: &ScalarUDF) -> bool {
    function.signature().volatility == Volatility::Immutable
}
