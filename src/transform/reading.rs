//! As which types the source's columns are read.
//!
//! A flexible column (see [`Column::flexible`]) that is only ever taken as it is, and always to
//! one target type, is read as that type: the source decodes what is stored exactly, once. In an
//! expression a column has the type that `[stream.types]` gives it, else its own. A column that
//! only arrives where its database's binary form does is not read at all, but passed on.

use crate::data::column::ColumnType;
use crate::data::finding::{Finding, Located, Place};
use crate::data::stream::ReadColumn;
use crate::data::table::Column;

use super::{cast, passing};

/// A column that is taken as it is into a target column.
pub(super) struct Bare<'a> {
    /// Source column.
    pub(super) column: &'a str,
    /// Target column.
    pub(super) to: &'a Column,
    /// It is part of the target key, whose values have to be told apart.
    pub(super) key: bool,
    /// Fraction digits may go.
    pub(super) lossy: bool,
    /// Where the mapping says so.
    pub(super) place: &'a Place,
}

/// How the columns of a stream are used.
pub(super) struct Uses<'a> {
    /// Columns taken as they are.
    pub(super) bare: Vec<Bare<'a>>,
    /// Columns that expressions compute with.
    pub(super) computed: Vec<&'a str>,
}

/// Columns to read, in the source's order, with their types. Findings are errors and warnings.
pub(super) fn plan<'a>(
    stored: impl Iterator<Item = &'a Column>,
    types: &[(Located<String>, Located<String>)],
    uses: &Uses<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<ReadColumn> {
    let mut read = Vec::new();
    for column in stored {
        let bare: Vec<&Bare<'_>> = uses.bare.iter().filter(|bare| bare.column == column.name).collect();
        let computed = uses.computed.contains(&column.name.as_str());
        if bare.is_empty() && !computed {
            continue;
        }
        if computed && column.wire.is_none() && !column.flexible && matches!(column.ty, ColumnType::Opaque { .. }) {
            findings.push(
                Finding::error(
                    "plan::no_form",
                    None,
                    format!(
                        "`{}` is {}, which has no binary form that means the same in another database",
                        column.name, column.ty
                    ),
                )
                .help("look at it in a `query` of the source"),
            );
        }
        let named = named(types, &column.name);
        let mut json_is_checked = false;
        let ty = match named {
            Some((place, ty)) => {
                if !column.flexible && ty != column.ty {
                    findings.push(not_readable(column, place));
                }
                ty
            }
            None if column.flexible && !computed => {
                let direct = direct(column, &bare, findings);
                // By the cast to the target's column, which is all that becomes of it.
                json_is_checked = matches!(direct, Some(ColumnType::Json { .. }));
                direct.unwrap_or_else(|| column.ty.clone())
            }
            None => passed_on(column, &bare, computed).unwrap_or_else(|| column.ty.clone()),
        };
        read.push(ReadColumn {
            name: column.name.clone(),
            ty,
            json_is_checked,
        });
    }
    read
}

/// The type that the mapping names for a source column, and where.
pub(super) fn named<'a>(
    types: &'a [(Located<String>, Located<String>)],
    column: &str,
) -> Option<(&'a Located<String>, ColumnType)> {
    let (_, ty) = types.iter().find(|(name, _)| name.value == column)?;
    ColumnType::parse(&ty.value).map(|parsed| (ty, parsed))
}

/// The binary form that a column is passed on in. What nobody interprets has no other form.
fn passed_on(column: &Column, bare: &[&Bare<'_>], computed: bool) -> Option<ColumnType> {
    let name = column.wire.clone()?;
    let opaque = matches!(column.ty, ColumnType::Opaque { .. });
    let everywhere = || !computed && bare.iter().all(|bare| !bare.key && passing::passes(column, bare.to));
    (opaque || passing::pays(&column.ty) && everywhere()).then_some(ColumnType::Opaque { name })
}

/// The one type that a column is wanted as.
fn direct(column: &Column, bare: &[&Bare<'_>], findings: &mut Vec<Finding>) -> Option<ColumnType> {
    let mut wanted = bare
        .iter()
        .filter_map(|bare| readable(&bare.to.ty, bare.lossy).map(|ty| (ty, *bare)));
    let (ty, first) = wanted.next()?;
    if wanted.any(|(other, _)| other != ty) {
        return None;
    }
    if !cast::possible(&column.ty, &ty, false) {
        findings.push(
            Finding::warning(
                "plan::declared_otherwise",
                Some(first.place.clone()),
                format!(
                    "the source declares `{}` as {}, and it is read as {ty}",
                    column.name, column.ty
                ),
            )
            .label(format!("is to become {}", first.to.ty))
            .help("values that are not stored as such become rejects; to convert them write an expression"),
        );
    }
    Some(ty)
}

/// What a source reads for a target type: its limits that only cut (length, fraction digits,
/// labels) are the cast's to look at, so that it can tell the target's column and reason.
fn readable(to: &ColumnType, lossy: bool) -> Option<ColumnType> {
    use ColumnType as T;
    Some(match to {
        T::Opaque { .. } => return None,
        T::Text { .. } | T::Enum { .. } => T::TEXT,
        T::Numeric { .. } => T::Numeric { limits: None },
        T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal { .. } if lossy => T::Numeric { limits: None },
        T::Date if lossy => T::Timestamp { digits: 6, zoned: false },
        T::Time { .. } => T::Time { digits: 6 },
        T::Timestamp { zoned, .. } => T::Timestamp {
            digits: 6,
            zoned: *zoned,
        },
        T::List(element) => T::List(Box::new(readable(element, lossy)?)),
        other => other.clone(),
    })
}

fn not_readable(column: &Column, ty: &Located<String>) -> Finding {
    Finding::error(
        "plan::not_readable",
        Some(ty.place.clone()),
        format!(
            "`{}` is {} in the source and cannot be read as another type",
            column.name, column.ty
        ),
    )
    .label("not its type")
    .help(format!("cast it in an expression: {}::{}", column.name, ty.value))
}
