//! From the catalog's description of a type to a [`ColumnType`], and to the identity of its
//! binary form.
//!
//! Two types with one identity send and receive the same bytes, but for the object ids that
//! [`Carried`] tells of. It is made of names only where a name says what the bytes mean (built-in
//! types and those of extensions); enums send their labels, domains are their base, composites,
//! arrays and ranges are what they are made of.

use std::collections::HashMap;
use std::sync::Arc;

use super::carried::Carried;
use super::type_row::TypeRow;
use crate::data::column::ColumnType;

/// Longest chain of domains and arrays that is followed.
const DEPTH_MAX: usize = 16;
/// Modifiers of types with a length count their own header.
const LENGTH_HEADER: i32 = 4;

/// A type as a column has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Type of the values; of a domain, that of its base.
    pub(crate) ty: ColumnType,
    /// Identity of the form in which the values travel; `None` where there is none that means
    /// the same in another database.
    pub(crate) wire: Option<String>,
    /// Object ids within that form.
    pub(crate) carried: Carried,
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
        let ty = plain(types, row, modifier);
        // Of what is interpreted the type tells the limits.
        let limits = if matches!(ty, ColumnType::Opaque { .. }) {
            Limits::Told(modifier)
        } else {
            Limits::Elsewhere
        };
        return Resolved {
            wire: identity(types, oid, limits, DEPTH_MAX),
            carried: carried(types, oid, DEPTH_MAX),
            ty,
            not_null,
            default,
            loose: is_citext(row),
        };
    }
    Resolved {
        ty: ColumnType::Opaque {
            name: "unknown".to_owned(),
        },
        wire: None,
        carried: Carried::Nothing,
        not_null,
        default,
        loose: false,
    }
}

/// Whether the limits of a type are part of its identity.
#[derive(Debug, Clone, Copy)]
enum Limits {
    /// This modifier is, behind `#`, as the catalog keeps it (-1 where there is none).
    Told(i32),
    /// They are told in another place.
    Elsewhere,
}

/// Identity of a type's binary form.
fn identity(types: &HashMap<u32, TypeRow>, oid: u32, limits: Limits, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let row = types.get(&oid).filter(|row| row.binary)?;
    let bound = || identity(types, row.bound, Limits::Told(-1), depth);
    let form = match row.kind {
        'd' => {
            let limits = match limits {
                Limits::Told(-1) => Limits::Told(row.modifier),
                limits => limits,
            };
            return identity(types, row.base, limits, depth);
        }
        'e' => "enum".to_owned(),
        // Limits of an array are those of its elements.
        'b' if row.is_array() => return Some(format!("{}[]", identity(types, row.element, limits, depth)?)),
        // These hold object ids of their own database.
        'b' if row.builtin.as_deref().is_some_and(|name| name.starts_with("reg")) => return None,
        'b' => row.form.clone(),
        'r' | 'm' if row.builtin.is_some() => row.form.clone(),
        'r' => format!("range of {}", bound()?),
        'm' => format!("multirange of {}", bound()?),
        'c' => {
            let fields = row.fields.iter().map(|field| {
                let form = identity(types, field.ty, Limits::Told(field.modifier), depth)?;
                Some(format!("{} {form}", field.name))
            });
            format!("({})", fields.collect::<Option<Vec<_>>>()?.join(", "))
        }
        _ => return None,
    };
    Some(match limits {
        Limits::Told(-1) | Limits::Elsewhere => form,
        Limits::Told(modifier) => format!("{form}#{modifier}"),
    })
}

/// Object ids within the values of a type.
fn carried(types: &HashMap<u32, TypeRow>, oid: u32, depth: usize) -> Carried {
    let (Some(depth), Some(row)) = (depth.checked_sub(1), types.get(&oid)) else {
        return Carried::Nothing;
    };
    let inner = |oid| carried(types, oid, depth);
    match row.kind {
        'd' => inner(row.base),
        'b' if row.is_array() => Carried::Array {
            element: row.element,
            inner: Box::new(inner(row.element)),
        },
        'c' => Carried::Composite(row.fields.iter().map(|field| (field.ty, inner(field.ty))).collect()),
        'r' | 'm' => match (inner(row.bound), row.kind) {
            (Carried::Nothing, _) => Carried::Nothing,
            (bound, 'r') => Carried::Range(Box::new(bound)),
            (bound, _) => Carried::Multirange(Box::new(bound)),
        },
        _ => Carried::Nothing,
    }
}

/// The extension's text type, which travels as text does.
fn is_citext(row: &TypeRow) -> bool {
    row.kind == 'b' && row.category == 'S' && (row.name == "citext" || row.name.ends_with(".citext"))
}

/// A type that is no domain.
fn plain(types: &HashMap<u32, TypeRow>, row: &TypeRow, modifier: i32) -> ColumnType {
    let opaque = || ColumnType::Opaque {
        name: with_modifier(&row.name, modifier),
    };
    if row.kind == 'e' {
        return ColumnType::Enum {
            name: row.name.clone(),
            labels: Arc::from(row.labels.clone()),
        };
    }
    if is_citext(row) {
        return ColumnType::TEXT;
    }
    if row.is_array() {
        // An array's modifier is that of its elements.
        return match resolve(types, row.element, modifier).ty {
            ColumnType::List(_) | ColumnType::Opaque { .. } => opaque(),
            item => ColumnType::List(Box::new(item)),
        };
    }
    let builtin = row.builtin.as_deref().and_then(|name| builtin(name, modifier));
    builtin.unwrap_or_else(opaque)
}

/// The name with its limits, for the types that have some and are not interpreted.
fn with_modifier(name: &str, modifier: i32) -> String {
    match name {
        _ if modifier < 0 => name.to_owned(),
        "bit" | "bit varying" => format!("{name}({modifier})"),
        "time with time zone" => format!("time({modifier}) with time zone"),
        _ => name.to_owned(),
    }
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
    use crate::postgres::type_row::FieldRow;

    fn row(name: &str, kind: char) -> TypeRow {
        TypeRow {
            name: name.to_owned(),
            builtin: (kind == 'b').then(|| name.to_owned()),
            form: name.to_owned(),
            binary: true,
            kind,
            category: 'X',
            base: 0,
            modifier: -1,
            element: 0,
            not_null: false,
            default: false,
            labels: Vec::new(),
            bound: 0,
            fields: Vec::new(),
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

    #[test]
    fn types_that_send_the_same_bytes_have_one_identity() {
        let mut array = row("_text", 'b');
        (array.category, array.element) = ('A', 1);
        let mut domain_array = array.clone();
        domain_array.element = 3;
        let mut domain = row("short", 'd');
        (domain.base, domain.modifier) = (1, 14);
        let mut composite = row("address", 'c');
        let field = |name: &str, ty, modifier| FieldRow {
            name: name.to_owned(),
            ty,
            modifier,
        };
        composite.fields = vec![field("a", 2, -1), field("\"B\"", 3, -1), field("c", 5, -1), field("d", 7, 6)];
        let mut range = row("span", 'r');
        range.bound = 1;
        let mut class = row("regclass", 'b');
        class.builtin = Some("regclass".to_owned());
        let mut unsent = row("aclitem", 'b');
        unsent.binary = false;
        let mut bits = array.clone();
        bits.element = 7;
        let types = HashMap::from([
            (11, bits),
            (1, row("text", 'b')),
            (2, array),
            (3, domain),
            (4, composite),
            (5, row("colour", 'e')),
            (6, range),
            (7, row("bit varying", 'b')),
            (8, class),
            (9, unsent),
            (10, domain_array),
        ]);
        let wire = |oid, modifier| resolve(&types, oid, modifier).wire;
        assert_eq!(wire(2, -1).as_deref(), Some("text[]"));
        assert_eq!(wire(10, -1).as_deref(), Some("text[]"));
        assert_eq!(
            wire(4, -1).as_deref(),
            Some("(a text[], \"B\" text#14, c enum, d bit varying#6)")
        );
        assert_eq!(wire(6, -1).as_deref(), Some("range of text"));
        assert_eq!(wire(7, 9).as_deref(), Some("bit varying#9"));
        assert_eq!((wire(8, -1), wire(9, -1)), (None, None));
        assert_eq!(wire(11, 9).as_deref(), Some("bit varying#9[]"));
        let text = Carried::Array {
            element: 1,
            inner: Box::new(Carried::Nothing),
        };
        assert_eq!(
            resolve(&types, 4, -1).carried,
            Carried::Composite(vec![
                (2, text),
                (3, Carried::Nothing),
                (5, Carried::Nothing),
                (7, Carried::Nothing)
            ])
        );
        assert_eq!(resolve(&types, 10, -1).carried.element(), 3);
    }
}
