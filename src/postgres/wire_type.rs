//! From the catalog's description of a type to a [`ColumnType`].

use std::collections::HashMap;
use std::sync::Arc;

use crate::data::column::ColumnType;

/// Longest chain of domains and arrays that is followed.
const DEPTH_MAX: usize = 16;
/// Modifiers of types with a length count their own header.
const LENGTH_HEADER: i32 = 4;

/// A row of `pg_type`.
#[derive(Debug, Clone)]
pub(crate) struct TypeRow {
    /// Name as `format_type` prints it: quoted, with its schema where that is needed.
    pub(crate) name: String,
    /// `typname`, if the type lives in `pg_catalog`.
    pub(crate) builtin: Option<String>,
    /// `typtype`: `b` base, `d` domain, `e` enum, …
    pub(crate) kind: char,
    /// `typcategory`: `A` for arrays.
    pub(crate) category: char,
    /// Base type of a domain.
    pub(crate) base: u32,
    /// Modifier that a domain gives its base type.
    pub(crate) modifier: i32,
    /// Element type of an array.
    pub(crate) element: u32,
    /// A domain that refuses NULL.
    pub(crate) not_null: bool,
    /// A domain with a default.
    pub(crate) default: bool,
    /// Labels of an enum, in its order.
    pub(crate) labels: Vec<String>,
}

/// A type as a column has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Type of the values; of a domain, that of its base.
    pub(crate) ty: ColumnType,
    /// Object id of a list's element type.
    pub(crate) element: u32,
    /// A domain on the way refuses NULL.
    pub(crate) not_null: bool,
    /// A domain on the way has a default.
    pub(crate) default: bool,
    /// Texts that are not the same bytes may be equal.
    pub(crate) loose: bool,
}

/// Resolves a type with its modifier against the rows of all types that it is made of.
pub(crate) fn resolve(types: &HashMap<u32, TypeRow>, oid: u32, modifier: i32) -> Resolved {
    let (mut oid, mut modifier) = (oid, modifier);
    let (mut not_null, mut default) = (false, false);
    for _ in 0..DEPTH_MAX {
        let Some(row) = types.get(&oid) else { break };
        if row.kind == 'd' {
            not_null |= row.not_null;
            default |= row.default;
            if modifier == -1 {
                modifier = row.modifier;
            }
            oid = row.base;
            continue;
        }
        let (ty, element) = plain(types, row, modifier);
        return Resolved {
            ty,
            element,
            not_null,
            default,
            loose: is_citext(row),
        };
    }
    Resolved {
        ty: ColumnType::Opaque {
            name: "unknown".to_owned(),
        },
        element: 0,
        not_null,
        default,
        loose: false,
    }
}

/// The extension's text type, which travels as text does.
fn is_citext(row: &TypeRow) -> bool {
    row.kind == 'b' && row.category == 'S' && (row.name == "citext" || row.name.ends_with(".citext"))
}

/// A type that is no domain, and the element's id if it is a list.
fn plain(types: &HashMap<u32, TypeRow>, row: &TypeRow, modifier: i32) -> (ColumnType, u32) {
    let opaque = || ColumnType::Opaque { name: row.name.clone() };
    if row.kind == 'e' {
        let ty = ColumnType::Enum {
            name: row.name.clone(),
            labels: Arc::from(row.labels.clone()),
        };
        return (ty, 0);
    }
    if is_citext(row) {
        return (ColumnType::TEXT, 0);
    }
    // The catalog's own vectors are no arrays.
    let vector = row.builtin.as_deref().is_some_and(|name| name.ends_with("vector"));
    if row.kind == 'b' && row.category == 'A' && row.element != 0 && !vector {
        // An array's modifier is that of its elements.
        let item = resolve(types, row.element, modifier).ty;
        return match item {
            ColumnType::List(_) | ColumnType::Opaque { .. } => (opaque(), 0),
            item => (ColumnType::List(Box::new(item)), row.element),
        };
    }
    let builtin = row.builtin.as_deref().and_then(|name| builtin(name, modifier));
    (builtin.unwrap_or_else(opaque), 0)
}

/// The types of `pg_catalog` that are interpreted.
fn builtin(name: &str, modifier: i32) -> Option<ColumnType> {
    let digits = || match modifier {
        -1 => Some(6),
        digits => u8::try_from(digits).ok().filter(|digits| *digits <= 6),
    };
    let length = || u32::try_from(modifier - LENGTH_HEADER).ok();
    Some(match name {
        "bool" => ColumnType::Bool,
        "int2" => ColumnType::Int16,
        "int4" => ColumnType::Int32,
        "int8" => ColumnType::Int64,
        "float4" => ColumnType::Float32,
        "float8" => ColumnType::Float64,
        "numeric" => return ColumnType::numeric(numeric_limits(modifier)),
        "text" => ColumnType::TEXT,
        "varchar" => ColumnType::Text {
            max_chars: length(),
            padded: false,
        },
        "bpchar" => ColumnType::Text {
            max_chars: length(),
            padded: true,
        },
        "bytea" => ColumnType::Bytes,
        "date" => ColumnType::Date,
        "time" => ColumnType::Time { digits: digits()? },
        "timestamp" => ColumnType::Timestamp {
            digits: digits()?,
            zoned: false,
        },
        "timestamptz" => ColumnType::Timestamp {
            digits: digits()?,
            zoned: true,
        },
        // `interval day to second` and the like would cut values.
        "interval" if modifier == -1 => ColumnType::Interval,
        "uuid" => ColumnType::Uuid,
        "json" => ColumnType::Json { binary: false },
        "jsonb" => ColumnType::Json { binary: true },
        _ => return None,
    })
}

/// Precision in the upper half, scale in the lower eleven bits, signed.
fn numeric_limits(modifier: i32) -> Option<(u16, i16)> {
    if modifier < LENGTH_HEADER {
        return None;
    }
    let packed = modifier - LENGTH_HEADER;
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    Some((u16::try_from(packed >> 16).ok()?, i16::try_from(scale).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, kind: char) -> TypeRow {
        TypeRow {
            name: name.to_owned(),
            builtin: (kind == 'b').then(|| name.to_owned()),
            kind,
            category: 'X',
            base: 0,
            modifier: -1,
            element: 0,
            not_null: false,
            default: false,
            labels: Vec::new(),
        }
    }

    #[test]
    fn modifiers_are_read_as_the_server_packs_them() {
        let packed = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + LENGTH_HEADER;
        assert_eq!(numeric_limits(packed(7, 2)), Some((7, 2)));
        assert_eq!(numeric_limits(packed(3, -2)), Some((3, -2)));
        assert_eq!(numeric_limits(packed(1000, 1000)), Some((1000, 1000)));
        assert_eq!(numeric_limits(-1), None);
        assert_eq!(
            builtin("varchar", 54),
            Some(ColumnType::Text {
                max_chars: Some(50),
                padded: false
            })
        );
        assert_eq!(builtin("varchar", -1), Some(ColumnType::TEXT));
        assert_eq!(
            builtin("timestamp", 0),
            Some(ColumnType::Timestamp { digits: 0, zoned: false })
        );
        assert_eq!(builtin("interval", 3), None);
        assert_eq!(builtin("inet", -1), None);
    }

    #[test]
    fn a_domain_is_its_base_with_its_limits() {
        let mut types = HashMap::from([(1, row("varchar", 'b')), (2, row("short", 'd')), (3, row("shorter", 'd'))]);
        types
            .entry(2)
            .and_modify(|row| (row.base, row.modifier, row.not_null) = (1, 14, true));
        types.entry(3).and_modify(|row| (row.base, row.default) = (2, true));
        let resolved = resolve(&types, 3, -1);
        assert_eq!(
            resolved.ty,
            ColumnType::Text {
                max_chars: Some(10),
                padded: false
            }
        );
        assert!(resolved.not_null && resolved.default);
    }

    #[test]
    fn lists_of_what_is_not_interpreted_are_opaque() {
        let mut array = row("_inet", 'b');
        (array.category, array.element, array.name) = ('A', 5, "inet[]".to_owned());
        let types = HashMap::from([(4, array), (5, row("inet", 'b'))]);
        assert_eq!(
            resolve(&types, 4, -1).ty,
            ColumnType::Opaque {
                name: "inet[]".to_owned()
            }
        );
    }
}
