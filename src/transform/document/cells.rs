//! The values of a field on their way into a column: what kind of JSON value a type is made of,
//! and the texts that are gathered before the type's cast reads them all at once.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::builder::{BooleanBuilder, ListBuilder, StringBuilder};

use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::document::scan::{Piece, Scan};
use crate::document::select::{Found, Kind};
use crate::transform::cast::document::HALF_PAIR;

/// What kind of JSON value a type is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Whether there is one.
    Present,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// Any.
    Json,
    /// An array of them.
    List(Box<Form>),
}

/// Why a value is none of its type.
pub(super) type Refused = (Reason, String);

impl Form {
    /// Of a type; `None` for one that JSON has no form for.
    pub(super) fn of(ty: &ColumnType) -> Option<Self> {
        use ColumnType as T;
        Some(match ty {
            T::Bool => Self::Bool,
            T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal { .. } | T::Numeric { .. } => Self::Number,
            T::Text { .. } | T::Enum { .. } | T::Uuid | T::Date | T::Time { .. } | T::Timestamp { .. } | T::Interval => Self::Text,
            T::Json { .. } => Self::Json,
            T::List(element) => match Self::of(element)? {
                Self::List(_) => return None,
                form => Self::List(Box::new(form)),
            },
            T::Bytes | T::Opaque { .. } => return None,
        })
    }

    /// The type that values are gathered as; `None` where they are gathered as what they are.
    pub(super) fn gathered(&self) -> Option<ColumnType> {
        Some(match self {
            Self::Present | Self::Bool | Self::Json => return None,
            Self::Number => ColumnType::Numeric { limits: None },
            Self::Text => ColumnType::TEXT,
            Self::List(element) => ColumnType::List(Box::new(element.element())),
        })
    }

    /// The type that elements of a list are gathered as.
    fn element(&self) -> ColumnType {
        match self {
            Self::Number => ColumnType::Numeric { limits: None },
            _ => ColumnType::TEXT,
        }
    }

    const fn noun(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Present | Self::Json => "a value",
            Self::List(_) => "an array",
        }
    }

    const fn takes(&self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Present | Self::Json, _)
                | (Self::Bool, Kind::Bool(_))
                | (Self::Number, Kind::Number)
                | (Self::Text, Kind::Text { .. })
                | (Self::List(_), Kind::Array)
        )
    }

    /// The text that a value is gathered as.
    fn text<'a>(&self, value: Found<'a>, scratch: &'a mut String) -> Result<&'a str, Refused> {
        if !self.takes(value.kind) {
            let detail = format!("{} where {} is declared", value.kind.noun(), self.noun());
            return Err((Reason::Unreadable, detail));
        }
        match self {
            Self::Text => value.meant(scratch).map_err(|_| (Reason::Unreadable, HALF_PAIR.to_owned())),
            _ => Ok(value.text),
        }
    }
}

/// The values of a field, row by row.
#[derive(Debug)]
pub(super) enum Cells {
    Flags(BooleanBuilder),
    Texts(StringBuilder),
    Lists(ListBuilder<StringBuilder>),
}

impl Cells {
    pub(super) fn of(form: &Form, rows: usize) -> Self {
        match form {
            Form::Present | Form::Bool => Self::Flags(BooleanBuilder::with_capacity(rows)),
            Form::Number | Form::Text | Form::Json => Self::Texts(StringBuilder::with_capacity(rows, rows * 16)),
            Form::List(element) => {
                let item = Arc::new(element.element().field("item", true));
                Self::Lists(ListBuilder::with_capacity(StringBuilder::new(), rows).with_field(item))
            }
        }
    }

    pub(super) fn append_null(&mut self) {
        match self {
            Self::Flags(flags) => flags.append_null(),
            Self::Texts(texts) => texts.append_null(),
            Self::Lists(lists) => lists.append_null(),
        }
    }

    /// Takes in whether there is a value.
    pub(super) fn append_present(&mut self, present: bool) {
        match self {
            Self::Flags(flags) => flags.append_value(present),
            _ => self.append_null(),
        }
    }

    /// Takes in a value. Where it is refused, the row has none yet: NULL is to follow.
    pub(super) fn append(&mut self, form: &Form, value: Found<'_>, scratch: &mut String) -> Result<(), Refused> {
        let text = form.text(value, scratch)?;
        match (self, form, value.kind) {
            (Self::Flags(flags), _, Kind::Bool(value)) => flags.append_value(value),
            (Self::Lists(lists), Form::List(element), _) => {
                // Where an element is refused, those before it are of a list that becomes NULL.
                elements(element, text, lists.values())?;
                lists.append(true);
            }
            (Self::Texts(texts), ..) => texts.append_value(text),
            (Self::Flags(_) | Self::Lists(_), ..) => return Err((Reason::Unreadable, "a value of another kind".to_owned())),
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Flags(flags) => Arc::new(flags.finish()),
            Self::Texts(texts) => Arc::new(texts.finish()),
            Self::Lists(lists) => Arc::new(lists.finish()),
        }
    }
}

/// Takes in the elements of an array.
fn elements(form: &Form, array: &str, cells: &mut StringBuilder) -> Result<(), Refused> {
    let mut scan = Scan::new(array);
    let mut scratch = String::new();
    // The container among the elements that is open.
    let mut open = None;
    while let Ok(Some(piece)) = scan.next() {
        let Some(kind) = Kind::of(piece) else {
            if matches!(piece, Piece::Close { .. })
                && scan.depth() == 1
                && let Some((begin, kind)) = open.take()
            {
                let text = &array[begin..scan.end()];
                cells.append_value(form.text(Found { text, kind }, &mut scratch)?);
            }
            continue;
        };
        let container = matches!(kind, Kind::Object | Kind::Array);
        if scan.depth() - usize::from(container) != 1 {
            continue;
        }
        if container {
            open = Some((scan.begin(), kind));
        } else if kind == Kind::Null {
            cells.append_null();
        } else {
            let text = &array[scan.begin()..scan.end()];
            cells.append_value(form.text(Found { text, kind }, &mut scratch)?);
        }
    }
    Ok(())
}
