//! JSON text as a collection, vector, tuple or user-defined type.

use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType, NativeType};

use super::{Parts, element, no_null, order, other, put_length};
use crate::cql::decode::json::spell;
use crate::cql::encode::Refused;
use crate::cql::{kind, literal};
use crate::data::reject::Reason;
use crate::document::scan::{Piece, Quoted, Scan};

/// Appends the value that a JSON text is.
///
/// # Errors
/// [`Refused`]; what was appended is no value then.
pub(crate) fn put(ty: &CqlType<'_>, text: &str, out: &mut Vec<u8>) -> Result<(), Refused> {
    let mut scan = Scan::new(text);
    let first = next(&mut scan)?;
    // The outermost set has no order of its own to keep: whoever compares it knows that.
    value(ty, first, &mut scan, out)?;
    scan.finish().map_err(|_| broken())
}

fn broken() -> Refused {
    Refused::new(Reason::Json, "the text is no JSON")
}

fn next<'a>(scan: &mut Scan<'a>) -> Result<Piece<'a>, Refused> {
    scan.next().ok().flatten().ok_or_else(broken)
}

fn unquoted(quoted: Quoted<'_>) -> Result<String, Refused> {
    let mut text = String::with_capacity(quoted.raw.len());
    quoted.unescape(&mut text).map_err(|_| broken())?;
    Ok(text)
}

fn value(ty: &CqlType<'_>, piece: Piece<'_>, scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
    match (ty, piece) {
        (_, Piece::Null) => Err(no_null(ty)),
        (CqlType::Native(native), _) => scalar(native, piece, out).map_err(|refused| of(ty, &refused)),
        (
            CqlType::Collection {
                typ: CollectionType::Map(key, value),
                ..
            },
            Piece::Open { object: true },
        ) => map(ty, (key, value), scan, out),
        (CqlType::Tuple(types), Piece::Open { object: false }) => tuple(ty, types, scan, out),
        (CqlType::UserDefinedType { definition, .. }, Piece::Open { object: true }) => {
            fields(ty, &definition.field_types, scan, out)
        }
        (_, Piece::Open { object: false }) => match element(ty) {
            Some(element) => elements(ty, element, scan, out),
            None => Err(other(ty)),
        },
        _ => Err(other(ty)),
    }
}

/// Of which type it is that something was refused for.
fn of(ty: &CqlType<'_>, refused: &Refused) -> Refused {
    Refused::new(refused.reason, format!("{} ({})", refused.detail, kind::name(ty)))
}

fn elements(ty: &CqlType<'_>, element: &CqlType<'_>, scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
    let mut items: Vec<Vec<u8>> = Vec::new();
    loop {
        let piece = next(scan)?;
        if matches!(piece, Piece::Close { .. }) {
            break;
        }
        let mut item = Vec::new();
        value(element, piece, scan, &mut item)?;
        items.push(item);
    }
    let is_set = matches!(
        ty,
        CqlType::Collection {
            typ: CollectionType::Set(_),
            ..
        }
    );
    if is_set && !order::is_sorted(element, &items) {
        return Err(Refused::new(
            Reason::Inexact,
            format!(
                "the elements of a {} within a document are not in the order in which CQL would give them back",
                kind::name(ty)
            ),
        ));
    }
    let mut parts = Parts::begin(ty, items.len(), out)?;
    for item in items {
        parts.add(out, |out| {
            out.extend_from_slice(&item);
            Ok(())
        })?;
    }
    parts.end()
}

fn map(ty: &CqlType<'_>, (key, of): (&CqlType<'_>, &CqlType<'_>), scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
    let mut distinct = order::Distinct::new(key);
    let (mut members, mut count, mut bytes) = (Vec::new(), 0, Vec::new());
    while let Piece::Name(name) = next(scan)? {
        let name = unquoted(name)?;
        bytes.clear();
        match key {
            CqlType::Native(native) => spelt(native, &name, &mut bytes).map_err(|refused| self::of(key, &refused))?,
            key => put(key, &name, &mut bytes)?,
        }
        distinct.add(&bytes);
        put_length(bytes.len(), &mut members)?;
        members.extend_from_slice(&bytes);
        let piece = next(scan)?;
        bytes.clear();
        value(of, piece, scan, &mut bytes)?;
        put_length(bytes.len(), &mut members)?;
        members.extend_from_slice(&bytes);
        count += 1;
    }
    if distinct.has_equal() {
        return Err(Refused::new(
            Reason::Duplicate,
            format!("two keys of a {} are the same, and it keeps one", kind::name(ty)),
        ));
    }
    put_length(count, out)?;
    out.extend_from_slice(&members);
    Ok(())
}

fn tuple(ty: &CqlType<'_>, types: &[CqlType<'_>], scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
    let count = || {
        Refused::new(
            Reason::OutOfRange,
            format!("a {} has {} elements, neither more nor less", kind::name(ty), types.len()),
        )
    };
    for ty in types {
        match next(scan)? {
            Piece::Close { .. } => return Err(count()),
            Piece::Null => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            piece => {
                let mut bytes = Vec::new();
                value(ty, piece, scan, &mut bytes)?;
                put_length(bytes.len(), out)?;
                out.extend_from_slice(&bytes);
            }
        }
    }
    if matches!(next(scan)?, Piece::Close { .. }) {
        return Ok(());
    }
    Err(count())
}

fn fields<N: AsRef<str>>(
    ty: &CqlType<'_>,
    types: &[(N, CqlType<'_>)],
    scan: &mut Scan<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let refused = |reason, what: &str| Err(Refused::new(reason, format!("a {} {what}", kind::name(ty))));
    let mut values: Vec<Option<Vec<u8>>> = vec![None; types.len()];
    while let Piece::Name(name) = next(scan)? {
        let name = unquoted(name)?;
        let Some(place) = types.iter().position(|(field, _)| field.as_ref() == name) else {
            return refused(Reason::Refused, "has no field of a name that the document has");
        };
        let piece = next(scan)?;
        if piece == Piece::Null {
            return refused(
                Reason::NullValue,
                "does not tell a field that is null from one that is left out: leave it out",
            );
        }
        let mut bytes = Vec::new();
        value(&types[place].1, piece, scan, &mut bytes)?;
        if values[place].replace(bytes).is_some() {
            return refused(Reason::Duplicate, "has a field once that the document has twice");
        }
    }
    for value in &values {
        match value {
            Some(bytes) => {
                put_length(bytes.len(), out)?;
                out.extend_from_slice(bytes);
            }
            None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
    Ok(())
}

fn scalar(native: &NativeType, piece: Piece<'_>, out: &mut Vec<u8>) -> Result<(), Refused> {
    let unlike = |what: &str| Err(Refused::new(Reason::Json, what));
    match (native, piece) {
        (NativeType::Boolean, Piece::Bool(value)) => {
            out.push(u8::from(value));
            Ok(())
        }
        (NativeType::Boolean, _) => unlike("neither `true` nor `false`"),
        (
            NativeType::TinyInt
            | NativeType::SmallInt
            | NativeType::Int
            | NativeType::BigInt
            | NativeType::Varint
            | NativeType::Decimal
            | NativeType::Float
            | NativeType::Double,
            Piece::Number(text),
        ) => literal::put(native, text, out).map_err(|(reason, detail)| Refused::new(reason, detail)),
        (NativeType::Float | NativeType::Double, Piece::Text(quoted)) => match quoted.raw {
            text @ ("NaN" | "Infinity" | "-Infinity") => {
                literal::put(native, text, out).map_err(|(reason, detail)| Refused::new(reason, detail))
            }
            _ => unlike("a text and no number"),
        },
        (
            NativeType::TinyInt
            | NativeType::SmallInt
            | NativeType::Int
            | NativeType::BigInt
            | NativeType::Varint
            | NativeType::Decimal
            | NativeType::Float
            | NativeType::Double,
            _,
        ) => unlike("no number"),
        (_, Piece::Text(quoted)) => spelt(native, &unquoted(quoted)?, out),
        _ => unlike("no text"),
    }
}

/// A scalar by its text, which must be the one that it is read back as.
fn spelt(native: &NativeType, text: &str, out: &mut Vec<u8>) -> Result<(), Refused> {
    let start = out.len();
    literal::put(native, text, out).map_err(|(reason, detail)| Refused::new(reason, detail))?;
    let mut back = String::with_capacity(text.len());
    if spell(native, &out[start..], &mut back).is_err() || back != text {
        return Err(Refused::new(
            Reason::Inexact,
            "the text is not in the spelling in which CQL would give it back",
        ));
    }
    Ok(())
}
