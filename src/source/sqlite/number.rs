//! Decimal numbers in text, taken apart without losing a digit.

use std::fmt;

use super::problem::Problem;

/// Largest distance between the point and any digit that is written out (Postgres' own limit for
/// `numeric` is of this size), so that `1e999999999` does not become a gigabyte.
const PLAIN_DIGITS_MAX: i64 = 16_383;

/// From here on neighbouring floats are more than one apart: an integer that SQLite turned into a
/// float may have lost digits.
pub(super) const EXACT_INTEGERS_END: f64 = 9_007_199_254_740_992.0;

/// A number as it is spelt: `-12.50`, `1e3`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
    /// Digits without leading and trailing zeros: a range of `whole` followed by `fraction`.
    start: usize,
    end: usize,
}

impl<'a> Number<'a> {
    /// Reads `[-]digits[.digits][e[±]digits]`; nothing else is a number, neither blanks nor `NaN`.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, bytes),
        };
        let (whole, rest) = digits(bytes);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (fraction, rest) = digits(rest);
                if fraction.is_empty() {
                    return None;
                }
                (fraction, rest)
            }
            _ => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        if whole.is_empty() {
            return None;
        }
        let all = || whole.iter().chain(fraction);
        let end = whole.len() + fraction.len() - all().rev().take_while(|digit| **digit == b'0').count();
        let start = all().take(end).take_while(|digit| **digit == b'0').count();
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
            start,
            end,
        })
    }

    const fn is_zero(&self) -> bool {
        self.start == self.end
    }

    /// Number of digits that matter.
    pub(super) const fn significant(&self) -> usize {
        self.end - self.start
    }

    /// Digits after the point without trailing zeros; negative for whole tens, hundreds, ….
    fn scale(&self) -> i64 {
        let trailing = self.whole.len() + self.fraction.len() - self.end;
        signed(self.fraction.len()) - self.exponent - signed(trailing)
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole
            .iter()
            .chain(self.fraction)
            .skip(self.start)
            .take(self.significant())
            .map(|digit| digit - b'0')
    }

    /// The number in units of 10^-scale, if it has no digit beyond them and at most `precision`
    /// digits (38 or less).
    pub(super) fn scaled(&self, precision: u8, scale: i8) -> Result<i128, Problem> {
        if self.is_zero() {
            return Ok(0);
        }
        self.fits(i64::from(precision), i64::from(scale))?;
        let mut value = self.digits().fold(0i128, |value, digit| value * 10 + i128::from(digit));
        for _ in 0..i64::from(scale) - self.scale() {
            value *= 10;
        }
        Ok(if self.negative { -value } else { value })
    }

    fn fits(&self, precision: i64, scale: i64) -> Result<(), Problem> {
        if self.is_zero() {
            return Ok(());
        }
        if self.scale() > scale {
            return Err(Problem::Fraction);
        }
        if signed(self.significant()) + scale - self.scale() > precision {
            return Err(Problem::Range);
        }
        Ok(())
    }

    /// The number as a 64-bit integer.
    pub(super) fn integer(&self) -> Result<i64, Problem> {
        i64::try_from(self.scaled(19, 0)?).map_err(|_| Problem::Range)
    }

    /// Whether both have the same value, however they are spelt.
    fn equals(&self, other: &Number<'_>) -> bool {
        (self.is_zero() && other.is_zero())
            || (self.negative == other.negative && self.scale() == other.scale() && self.digits().eq(other.digits()))
    }

    /// Writes exact decimal text without exponent, fraction digits as they are spelt, after
    /// checking it against the declared limits of a `numeric`.
    pub(super) fn write_plain(&self, limits: Option<(u16, i16)>, out: &mut impl fmt::Write) -> Result<(), Problem> {
        if let Some((precision, scale)) = limits {
            self.fits(i64::from(precision), i64::from(scale))?;
        }
        let after_point = signed(self.fraction.len()) - self.exponent;
        let count = signed(self.whole.len() + self.fraction.len());
        if after_point > PLAIN_DIGITS_MAX || count - after_point > PLAIN_DIGITS_MAX {
            return Err(Problem::Range);
        }
        self.write_digits(after_point, out).map_err(|_| Problem::Range)
    }

    fn write_digits(&self, after_point: i64, out: &mut impl fmt::Write) -> fmt::Result {
        if self.negative && !self.is_zero() {
            out.write_char('-')?;
        }
        let count = signed(self.whole.len() + self.fraction.len());
        let mut begun = false;
        // Counted in places left of the point: zeros are written where there is no digit.
        for place in (-after_point.max(0)..(count - after_point).max(1)).rev() {
            let digit = usize::try_from(count - after_point - 1 - place)
                .ok()
                .and_then(|at| self.whole.iter().chain(self.fraction).nth(at))
                .copied()
                .unwrap_or(b'0');
            if place == -1 {
                out.write_char('.')?;
            }
            begun |= digit != b'0' || place <= 0;
            if begun {
                out.write_char(char::from(digit))?;
            }
        }
        Ok(())
    }
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.split_at(count)
}

fn exponent(bytes: &[u8]) -> Option<i64> {
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let (number, rest) = digits(bytes);
    if number.is_empty() || !rest.is_empty() {
        return None;
    }
    // Saturates far outside every type's range.
    let value = number
        .iter()
        .fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1 << 40));
    Some(if negative { -value } else { value })
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Text of a float on the stack.
pub(super) struct FloatText {
    bytes: [u8; 32],
    length: usize,
}

impl FloatText {
    /// Shortest digits that read back as `value`, always with exponent.
    pub(super) fn scientific(value: f64) -> Self {
        Self::of(format_args!("{value:e}"))
    }

    /// The same for a 32-bit float.
    pub(super) fn scientific_single(value: f32) -> Self {
        Self::of(format_args!("{value:e}"))
    }

    /// Shortest text that reads back as `value`, as people write it; a JSON number if finite.
    pub(super) fn plain(value: f64) -> Self {
        Self::of(format_args!("{value:?}"))
    }

    fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self {
            bytes: [0; 32],
            length: 0,
        };
        // The longest float takes 24 bytes, so that writing cannot fail.
        let written = fmt::write(&mut text, arguments);
        debug_assert!(written.is_ok(), "a float fits in 32 bytes");
        text
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for FloatText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes
            .get_mut(self.length..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Reads a float from text: up to 15 significant digits always have one, more only if they are
/// the shortest spelling of it.
pub(super) fn float(text: &str) -> Result<f64, Problem> {
    let number = Number::parse(text).ok_or(Problem::NotNumber)?;
    let value: f64 = text.parse().map_err(|_| Problem::NotNumber)?;
    if !value.is_finite() {
        return Err(Problem::Range);
    }
    if number.significant() <= 15 && (value.is_normal() || number.is_zero()) {
        return Ok(value);
    }
    let shortest = FloatText::scientific(value);
    match Number::parse(shortest.as_str()) {
        Some(shortest) if shortest.equals(&number) => Ok(value),
        _ => Err(Problem::Digits),
    }
}

/// The same for a 32-bit float, with 6 digits.
pub(super) fn single(text: &str) -> Result<f32, Problem> {
    let number = Number::parse(text).ok_or(Problem::NotNumber)?;
    let value: f32 = text.parse().map_err(|_| Problem::NotNumber)?;
    if !value.is_finite() {
        return Err(Problem::Range);
    }
    if number.significant() <= 6 && (value.is_normal() || number.is_zero()) {
        return Ok(value);
    }
    let shortest = FloatText::scientific_single(value);
    match Number::parse(shortest.as_str()) {
        Some(shortest) if shortest.equals(&number) => Ok(value),
        _ => Err(Problem::Digits),
    }
}

/// A float that is a whole number, as an integer.
pub(super) fn float_to_integer(value: f64) -> Result<i64, Problem> {
    if !value.is_finite() || value.abs() >= 9_223_372_036_854_775_808.0 {
        return Err(Problem::Range);
    }
    if value.fract() != 0.0 {
        return Err(Problem::Fraction);
    }
    if value.abs() >= EXACT_INTEGERS_END {
        return Err(Problem::BigFloat);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    Ok(value as i64)
}

/// An integer as a float, if there is one.
pub(super) fn integer_to_float(value: i64) -> Result<f64, Problem> {
    #[expect(clippy::cast_precision_loss, reason = "compared with the original right here")]
    let float = value as f64;
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^63, which fits")]
    let back = float as i128;
    if back == i128::from(value) {
        Ok(float)
    } else {
        Err(Problem::Digits)
    }
}

/// Whether a float and an integer are the same number.
pub(super) fn float_equals(float: f64, integer: i64) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "saturates far outside the range of an i64")]
    let whole = float as i128;
    float.fract() == 0.0 && whole == i128::from(integer)
}

/// A double as a 32-bit float, if there is one.
pub(super) fn narrow(value: f64) -> Result<f32, Problem> {
    #[expect(clippy::cast_possible_truncation, reason = "compared with the original right here")]
    let single = value as f32;
    if f64::from(single).to_bits() == value.to_bits() {
        Ok(single)
    } else if single.is_infinite() {
        Err(Problem::Range)
    } else {
        Err(Problem::Digits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> String {
        let mut out = String::new();
        Number::parse(text)
            .expect("a number")
            .write_plain(None, &mut out)
            .expect("within limits");
        out
    }

    #[test]
    fn only_numbers_are_numbers() {
        for text in ["0", "42", "-7", "12.50", "007", "1e3", "1.5E-2", "-0.0"] {
            assert!(Number::parse(text).is_some(), "{text}");
        }
        for text in [
            "", " 42", "42 ", "+1", "abc", "NaN", "inf", "1.", ".5", "-", "1e", "1e+", "0x1f", "1_000", "1,5", "--1", "٣",
        ] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn plain_text_keeps_every_digit() {
        for (text, expected) in [
            ("12.50", "12.50"),
            ("-0.00", "0.00"),
            ("007", "7"),
            ("0", "0"),
            ("1e3", "1000"),
            ("1.25e1", "12.5"),
            ("1.5e-3", "0.0015"),
            ("-120e-1", "-12.0"),
            (
                "123456789012345678901234567890.123456789",
                "123456789012345678901234567890.123456789",
            ),
        ] {
            assert_eq!(plain(text), expected);
        }
        let far = Number::parse("1e999999999").expect("a number");
        assert_eq!(far.write_plain(None, &mut String::new()), Err(Problem::Range));
    }

    #[test]
    fn limits_of_numeric_are_kept() {
        let scaled = |text: &str, p, s| Number::parse(text).expect("a number").scaled(p, s);
        assert_eq!(scaled("12.50", 7, 2), Ok(1250));
        assert_eq!(scaled("12.500", 7, 2), Ok(1250));
        assert_eq!(scaled("12.505", 7, 2), Err(Problem::Fraction));
        assert_eq!(scaled("99999.99", 7, 2), Ok(9_999_999));
        assert_eq!(scaled("100000", 7, 2), Err(Problem::Range));
        assert_eq!(scaled("-1e4", 7, 2), Ok(-1_000_000));
        assert_eq!(scaled("0e99", 1, 0), Ok(0));
        let wide = |text: &str| {
            Number::parse(text)
                .expect("a number")
                .write_plain(Some((3, -2)), &mut String::new())
        };
        assert_eq!(wide("12300"), Ok(()));
        assert_eq!(wide("12340"), Err(Problem::Fraction));
        assert_eq!(wide("1234500"), Err(Problem::Range));
    }

    #[test]
    fn a_float_that_would_change_is_refused() {
        assert_eq!(float("0.1"), Ok(0.1));
        assert_eq!(float("0.30000000000000004"), Ok(0.1 + 0.2));
        assert_eq!(float("0.3000000000000000444"), Err(Problem::Digits));
        assert_eq!(float("9007199254740993"), Err(Problem::Digits));
        assert_eq!(float("1e400"), Err(Problem::Range));
        assert_eq!(float("1e-400"), Err(Problem::Digits));
        assert_eq!(float_to_integer(3.0), Ok(3));
        assert_eq!(float_to_integer(3.5), Err(Problem::Fraction));
        assert_eq!(float_to_integer(1e300), Err(Problem::Range));
        assert_eq!(float_to_integer(1e17), Err(Problem::BigFloat));
        assert_eq!(integer_to_float(1 << 60), Ok(1_152_921_504_606_846_976.0));
        assert_eq!(integer_to_float((1 << 53) + 1), Err(Problem::Digits));
        assert_eq!(integer_to_float(i64::MAX), Err(Problem::Digits));
        assert_eq!(narrow(0.5), Ok(0.5));
        assert_eq!(narrow(0.1), Err(Problem::Digits));
        assert_eq!(narrow(1e300), Err(Problem::Range));
    }

    proptest! {
        #[test]
        fn shortest_text_of_a_float_reads_back(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let text = FloatText::scientific(value);
            prop_assert_eq!(float(text.as_str()).map(f64::to_bits), Ok(value.to_bits()));
            prop_assert_eq!(FloatText::plain(value).as_str().parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
        }

        #[test]
        fn integers_pass_through_every_form(value: i64) {
            let text = value.to_string();
            let number = Number::parse(&text).expect("an integer is a number");
            prop_assert_eq!(number.integer(), Ok(value));
            prop_assert_eq!(plain(&text), text);
        }
    }
}
