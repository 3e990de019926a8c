//! What is wrong with a value that cannot be decoded, in words that name no value (Invariant 9).

use crate::data::reject::Reason;

/// What is wrong with a value. Names no value (Invariant 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A storage class that has no such meaning.
    Class,
    /// A number where a date or time is wanted.
    NumberForTime,
    NotUtf8,
    NotBoolean,
    NotNumber,
    NotDate,
    NotTime,
    NotTimestamp,
    NotInterval,
    NotUuid,
    NotJson,
    NotList,
    /// Outside the type's range.
    Range,
    /// Fraction digits that the type does not have.
    Fraction,
    /// More digits than the type can hold.
    Digits,
    /// A float so large that it may be an integer that lost digits.
    BigFloat,
    /// A time of day where only a date is wanted.
    NotMidnight,
}

impl Problem {
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Range => Reason::OutOfRange,
            Self::Fraction | Self::Digits | Self::BigFloat | Self::NotMidnight => Reason::Inexact,
            Self::NotJson => Reason::Json,
            _ => Reason::Unreadable,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Class => "this storage class has no such value",
            Self::NumberForTime => {
                "a number may be seconds, milliseconds or a Julian day: read it as bigint or double precision in [stream.types] and convert it"
            }
            Self::NotUtf8 => "not valid UTF-8",
            Self::NotBoolean => "neither true nor false",
            Self::NotNumber => "not a number",
            Self::NotDate => "not a date in ISO 8601",
            Self::NotTime => "not a time in ISO 8601",
            Self::NotTimestamp => "not a timestamp in ISO 8601",
            Self::NotInterval => "not a duration in ISO 8601",
            Self::NotUuid => "not a UUID",
            Self::NotJson => "not valid JSON",
            Self::NotList => "not a JSON array of such elements",
            Self::Range => "outside its range",
            Self::Fraction => "it has more fraction digits",
            Self::Digits => "it has more digits than fit exactly",
            Self::BigFloat => "a float from 2^53 on may be an integer that lost digits",
            Self::NotMidnight => "its time of day is not midnight in UTC",
        }
    }
}

/// Why a row could not be read.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) detail: String,
}
