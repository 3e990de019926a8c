//! Column types: the Arrow subset that travels between sources and sinks, and what it means.
//!
//! A [`ColumnType`] is the promise; [`ColumnType::arrow`] is its one representation in Arrow and
//! [`ColumnType::field`] adds the meaning that Arrow has no type for as field metadata, so that
//! a `RecordBatch` alone tells everything ([`ColumnType::of_field`] reads it back).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

/// Metadata key that carries the meaning of a field.
pub const TYPE_KEY: &str = "dbferry.type";

/// The date after all others, as Arrow's days: Postgres has one, and no finite date is this number.
pub const DATE_INFINITY: i32 = i32::MAX;
/// The date before all others.
pub const DATE_MINUS_INFINITY: i32 = i32::MIN;
/// The timestamp after all others, as Arrow's microseconds.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// The timestamp before all others.
pub const TIMESTAMP_MINUS_INFINITY: i64 = i64::MIN;

/// Fraction digits of a second: 0 to 6.
pub type FractionDigits = u8;

/// The type of a column, of a source as read or of a target as declared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `boolean`; Arrow `Boolean`.
    Bool,
    /// `smallint`; Arrow `Int16`.
    Int16,
    /// `integer`; Arrow `Int32`.
    Int32,
    /// `bigint`; Arrow `Int64`.
    Int64,
    /// `real`; Arrow `Float32`.
    Float32,
    /// `double precision`; Arrow `Float64`.
    Float64,
    /// `numeric(precision, scale)` with precision ≤ 38 and 0 ≤ scale ≤ precision; Arrow `Decimal128`.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// `numeric` without, or beyond, those limits: exact decimal text such as `-12.50`, `NaN`,
    /// `Infinity`; Arrow `Utf8` marked `numeric`. `scale` is the declared one, if any.
    Numeric {
        /// Declared precision and scale.
        limits: Option<(u16, i16)>,
    },
    /// Text; Arrow `Utf8`. `max_chars` counts Unicode code points (`varchar(n)`);
    /// `padded` marks `char(n)`.
    Text {
        /// Most code points that fit.
        max_chars: Option<u32>,
        /// Blank-padded `char(n)`.
        padded: bool,
    },
    /// Bytes; Arrow `Binary`.
    Bytes,
    /// `date`; Arrow `Date32`. Infinity is [`DATE_INFINITY`], which no finite date is.
    Date,
    /// `time`; Arrow `Time64(µs)`.
    Time {
        /// Fraction digits that the target keeps.
        digits: FractionDigits,
    },
    /// `timestamp` with or without time zone; Arrow `Timestamp(µs, "UTC" or none)`.
    /// A timestamp without zone is a wall clock; an instant becomes one as its UTC wall clock.
    /// Infinity is [`TIMESTAMP_INFINITY`]; the finite ones end in the year 294246, some decades
    /// before those of Postgres.
    Timestamp {
        /// Fraction digits that the target keeps.
        digits: FractionDigits,
        /// An instant (`timestamptz`) rather than a wall clock.
        zoned: bool,
    },
    /// `interval`; Arrow `Interval(MonthDayNano)`.
    Interval,
    /// `uuid`; Arrow `FixedSizeBinary(16)` marked `uuid`.
    Uuid,
    /// JSON text; Arrow `Utf8` marked `json` (spelling kept) or `jsonb` (spelling not kept).
    Json {
        /// The target normalises spelling, key order and duplicate keys (`jsonb`).
        binary: bool,
    },
    /// Enum label; Arrow `Utf8` marked `enum`.
    Enum {
        /// Name of the type as the target quotes it.
        name: String,
        /// Labels in the target's order.
        labels: Arc<[String]>,
    },
    /// One-dimensional array; Arrow `List` of the element.
    List(Box<ColumnType>),
    /// A type that is not interpreted; passes only between two databases of one kind.
    Opaque {
        /// The database's own name for it.
        name: String,
    },
}

impl ColumnType {
    /// Text without limit.
    pub const TEXT: Self = Self::Text {
        max_chars: None,
        padded: false,
    };
    /// An instant with microseconds.
    pub const INSTANT: Self = Self::Timestamp { digits: 6, zoned: true };

    /// Whether its values may be long: all others are numbers, times and the like.
    #[must_use]
    pub const fn may_be_long(&self) -> bool {
        matches!(
            self,
            Self::Text { .. } | Self::Json { .. } | Self::Bytes | Self::List(_) | Self::Opaque { .. }
        )
    }

    /// Whether its values are numbers.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Int16 | Self::Int32 | Self::Int64 | Self::Float32 | Self::Float64 | Self::Decimal { .. } | Self::Numeric { .. }
        )
    }

    /// The Arrow type of a column of this type. Opaque values travel as `Binary`.
    #[must_use]
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Numeric { .. } | Self::Text { .. } | Self::Json { .. } | Self::Enum { .. } => DataType::Utf8,
            Self::Bytes | Self::Opaque { .. } => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time { .. } => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { zoned, .. } => DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::List(element) => DataType::List(Arc::new(element.field("item", true))),
        }
    }

    /// A field of this type, with its meaning in the metadata.
    #[must_use]
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.arrow(), nullable);
        match self.mark() {
            Some(mark) => field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), mark)])),
            None => field,
        }
    }

    fn mark(&self) -> Option<String> {
        match self {
            Self::Numeric { limits: None } => Some("numeric".to_owned()),
            Self::Numeric { limits: Some((p, s)) } => Some(format!("numeric({p},{s})")),
            Self::Uuid => Some("uuid".to_owned()),
            Self::Json { binary: false } => Some("json".to_owned()),
            Self::Json { binary: true } => Some("jsonb".to_owned()),
            Self::Enum { name, .. } => Some(format!("enum:{name}")),
            Self::Opaque { name } => Some(format!("opaque:{name}")),
            _ => None,
        }
    }

    /// The type that a field stands for; `None` where it is outside the promised subset.
    /// Limits that only a target has (`varchar(n)`, fraction digits, labels) are not in a field.
    #[must_use]
    pub fn of_field(field: &Field) -> Option<Self> {
        let mark = field.metadata().get(TYPE_KEY).map(String::as_str);
        Some(match (field.data_type(), mark) {
            (DataType::Boolean, _) => Self::Bool,
            (DataType::Int8 | DataType::Int16 | DataType::UInt8, _) => Self::Int16,
            (DataType::Int32 | DataType::UInt16, _) => Self::Int32,
            (DataType::Int64 | DataType::UInt32, _) => Self::Int64,
            (DataType::UInt64, _) => Self::Decimal { precision: 20, scale: 0 },
            (DataType::Float32, _) => Self::Float32,
            (DataType::Float64, _) => Self::Float64,
            (DataType::Decimal128(precision, scale), _) => Self::Decimal {
                precision: *precision,
                scale: *scale,
            },
            (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, mark) => match mark {
                Some("json") => Self::Json { binary: false },
                Some("jsonb") => Self::Json { binary: true },
                Some(mark) if mark.starts_with("numeric") => Self::Numeric { limits: None },
                Some(mark) if mark.starts_with("enum:") => Self::Enum {
                    name: mark[5..].to_owned(),
                    labels: Arc::new([]),
                },
                _ => Self::TEXT,
            },
            (DataType::Binary | DataType::LargeBinary | DataType::BinaryView, mark) => match mark {
                Some(mark) if mark.starts_with("opaque:") => Self::Opaque {
                    name: mark[7..].to_owned(),
                },
                _ => Self::Bytes,
            },
            (DataType::FixedSizeBinary(16), Some("uuid")) => Self::Uuid,
            (DataType::FixedSizeBinary(_), _) => Self::Bytes,
            (DataType::Date32, _) => Self::Date,
            (DataType::Time64(_) | DataType::Time32(_), _) => Self::Time { digits: 6 },
            (DataType::Timestamp(_, zone), _) => Self::Timestamp {
                digits: 6,
                zoned: zone.is_some(),
            },
            (DataType::Interval(IntervalUnit::MonthDayNano), _) => Self::Interval,
            (DataType::List(element), _) => Self::List(Box::new(Self::of_field(element)?)),
            _ => return None,
        })
    }

    /// Reads a type as a mapping writes it (`bigint`, `numeric(7,2)`, `varchar(50)`,
    /// `timestamp(0)`, `timestamptz`, `jsonb`, `text[]`, …). Case does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(element) = text.strip_suffix("[]") {
            return Some(Self::List(Box::new(Self::parse(element)?)));
        }
        let (name, limits) = match text.split_once('(') {
            None => (text.as_str(), Vec::new()),
            Some((name, rest)) => {
                let (inside, after) = rest.split_once(')')?;
                let limits = inside
                    .split(',')
                    .map(|part| part.trim().parse::<u32>().ok())
                    .collect::<Option<Vec<_>>>()?;
                if after.trim().is_empty() {
                    (name.trim_end(), limits)
                } else {
                    // `timestamp(3) with time zone`
                    return Self::parse_zoned(&format!("{}{after}", name.trim_end()), &limits);
                }
            }
        };
        Self::parse_zoned(name, &limits)
    }

    fn parse_zoned(name: &str, limits: &[u32]) -> Option<Self> {
        let digits = match limits {
            [] => 6,
            [n] if *n <= 6 => u8::try_from(*n).ok()?,
            _ => u8::MAX,
        };
        let plain = |ty: Self| limits.is_empty().then_some(ty);
        let timed = |ty: Self| (digits != u8::MAX).then_some(ty);
        match name {
            "boolean" | "bool" => plain(Self::Bool),
            "smallint" | "int2" => plain(Self::Int16),
            "integer" | "int" | "int4" => plain(Self::Int32),
            "bigint" | "int8" => plain(Self::Int64),
            "real" | "float4" => plain(Self::Float32),
            "double precision" | "double" | "float8" => plain(Self::Float64),
            "text" => plain(Self::TEXT),
            "bytea" | "blob" | "bytes" => plain(Self::Bytes),
            "date" => plain(Self::Date),
            "interval" => plain(Self::Interval),
            "uuid" => plain(Self::Uuid),
            "json" => plain(Self::Json { binary: false }),
            "jsonb" => plain(Self::Json { binary: true }),
            "time" | "time without time zone" => timed(Self::Time { digits }),
            "timestamp" | "timestamp without time zone" => timed(Self::Timestamp { digits, zoned: false }),
            "timestamptz" | "timestamp with time zone" => timed(Self::Timestamp { digits, zoned: true }),
            "varchar" | "character varying" => match limits {
                [] => Some(Self::TEXT),
                [n] => Some(Self::Text {
                    max_chars: Some(*n),
                    padded: false,
                }),
                _ => None,
            },
            "char" | "character" | "bpchar" => match limits {
                [] => Some(Self::Text {
                    max_chars: Some(1),
                    padded: true,
                }),
                [n] => Some(Self::Text {
                    max_chars: Some(*n),
                    padded: true,
                }),
                _ => None,
            },
            "numeric" | "decimal" => Self::numeric(match limits {
                [] => None,
                [p] => Some((u16::try_from(*p).ok()?, 0)),
                [p, s] => Some((u16::try_from(*p).ok()?, i16::try_from(*s).ok()?)),
                _ => return None,
            }),
            _ => None,
        }
    }

    /// `numeric` with its declared precision and scale: [`Self::Decimal`] where Arrow can hold
    /// it, else [`Self::Numeric`].
    #[must_use]
    pub fn numeric(limits: Option<(u16, i16)>) -> Option<Self> {
        match limits {
            Some((0, _)) => None,
            Some((p @ 1..=38, s)) if s >= 0 && s <= i16::try_from(p).ok()? => Some(Self::Decimal {
                precision: u8::try_from(p).ok()?,
                scale: i8::try_from(s).ok()?,
            }),
            limits => Some(Self::Numeric { limits }),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("boolean"),
            Self::Int16 => f.write_str("smallint"),
            Self::Int32 => f.write_str("integer"),
            Self::Int64 => f.write_str("bigint"),
            Self::Float32 => f.write_str("real"),
            Self::Float64 => f.write_str("double precision"),
            Self::Decimal { precision, scale } => write!(f, "numeric({precision},{scale})"),
            Self::Numeric { limits: None } => f.write_str("numeric"),
            Self::Numeric { limits: Some((p, s)) } => write!(f, "numeric({p},{s})"),
            Self::Text { max_chars: None, .. } => f.write_str("text"),
            Self::Text {
                max_chars: Some(n),
                padded: false,
            } => write!(f, "varchar({n})"),
            Self::Text {
                max_chars: Some(n),
                padded: true,
            } => write!(f, "char({n})"),
            Self::Bytes => f.write_str("bytea"),
            Self::Date => f.write_str("date"),
            Self::Time { digits: 6 } => f.write_str("time"),
            Self::Time { digits } => write!(f, "time({digits})"),
            Self::Timestamp { digits, zoned } => {
                f.write_str(if *zoned { "timestamptz" } else { "timestamp" })?;
                if *digits == 6 { Ok(()) } else { write!(f, "({digits})") }
            }
            Self::Interval => f.write_str("interval"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json { binary: false } => f.write_str("json"),
            Self::Json { binary: true } => f.write_str("jsonb"),
            Self::Enum { name, .. } => write!(f, "enum {name}"),
            Self::List(element) => write!(f, "{element}[]"),
            Self::Opaque { name } => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_reads_back_as_it_is_written() {
        for text in [
            "boolean",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "numeric",
            "numeric(7,2)",
            "numeric(50,10)",
            "text",
            "varchar(50)",
            "char(3)",
            "bytea",
            "date",
            "time",
            "time(3)",
            "timestamp",
            "timestamp(0)",
            "timestamptz",
            "timestamptz(3)",
            "interval",
            "uuid",
            "json",
            "jsonb",
            "text[]",
            "numeric(7,2)[]",
        ] {
            assert_eq!(ColumnType::parse(text).map(|ty| ty.to_string()).as_deref(), Some(text));
        }
        assert_eq!(
            ColumnType::parse("timestamp(3) with time zone"),
            Some(ColumnType::Timestamp { digits: 3, zoned: true })
        );
        for text in ["", "int(3)", "timestamp(7)", "numeric(0)", "varchar(x)", "colour"] {
            assert_eq!(ColumnType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_field_tells_its_meaning() {
        for text in [
            "uuid",
            "json",
            "jsonb",
            "numeric",
            "numeric(7,2)",
            "text",
            "bytea",
            "timestamp",
            "timestamptz",
            "text[]",
            "uuid[]",
        ] {
            let ty = ColumnType::parse(text).expect("a type of the list above");
            assert_eq!(ColumnType::of_field(&ty.field("c", true)), Some(ty));
        }
    }
}
