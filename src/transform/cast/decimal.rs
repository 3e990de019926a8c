//! Decimal numbers as text and as scaled integers: reading, writing, comparing, rounding.

use super::Problem;

/// Digits that a Postgres numeric can hold before the point, and after it.
pub(super) const WHOLE_DIGITS_MAX: i64 = 131_072;
/// See [`WHOLE_DIGITS_MAX`].
pub(super) const FRACTION_DIGITS_MAX: i64 = 16_383;

/// Stands for every exponent whose number no type holds, or that is nothing but zero.
const EXPONENT_MAX: i32 = 1_000_000_000;

/// A number as it is written: sign, digits before and after the point, exponent.
#[derive(Debug, Clone, Copy)]
pub(in crate::transform) struct Literal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

impl<'a> Literal<'a> {
    /// Reads `[+-]digits[.digits][e[+-]digits]`; nothing before or after it.
    pub(in crate::transform) fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let negative = match rest {
            [b'-', tail @ ..] => {
                rest = tail;
                true
            }
            [b'+', tail @ ..] => {
                rest = tail;
                false
            }
            _ => false,
        };
        let whole;
        (whole, rest) = digits(rest);
        let mut fraction: &[u8] = &[];
        if let [b'.', tail @ ..] = rest {
            (fraction, rest) = digits(tail);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', tail @ ..] => exponent(tail)?,
            _ => return None,
        };
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> + '_ {
        self.whole.iter().chain(self.fraction).map(|digit| digit - b'0')
    }

    fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// Number of digits without zeros at both ends, and the power of ten of the first of them;
    /// `None` for zero.
    fn significant(&self) -> Option<(usize, usize, i64)> {
        let first = self.digits().position(|digit| digit != 0)?;
        let trailing = self.digits().rev().take_while(|digit| *digit == 0).count();
        let power = i64::from(self.exponent) + length(self.whole) - 1 - i64::try_from(first).unwrap_or(i64::MAX);
        Some((first, self.len() - trailing - first, power))
    }

    /// Digits that carry the value.
    pub(super) fn significant_digits(&self) -> usize {
        self.significant().map_or(0, |(_, count, _)| count)
    }

    /// Fraction digits when written out, zeros among them.
    pub(super) fn fraction_digits(&self) -> i64 {
        (length(self.fraction) - i64::from(self.exponent)).max(0)
    }

    /// Digits before the point when written out, without leading zeros.
    pub(super) fn whole_digits(&self) -> i64 {
        self.significant().map_or(0, |(_, _, power)| (power + 1).max(0))
    }

    /// Whether two literals are the same number (`-0` is `0`).
    pub(super) fn same_number(&self, other: &Self) -> bool {
        match (self.significant(), other.significant()) {
            (None, None) => true,
            (Some((skip_a, count_a, power_a)), Some((skip_b, count_b, power_b))) => {
                self.negative == other.negative
                    && power_a == power_b
                    && count_a == count_b
                    && self
                        .digits()
                        .skip(skip_a)
                        .take(count_a)
                        .eq(other.digits().skip(skip_b).take(count_b))
            }
            _ => false,
        }
    }

    /// The number times 10^scale as an integer of at most `precision` digits.
    pub(in crate::transform) fn scaled(&self, precision: u8, scale: i8, lossy: bool) -> Result<i128, Problem> {
        let Some((first, count, power)) = self.significant() else {
            return Ok(0);
        };
        // Power of ten of the first digit once scaled; digits of negative power are excess.
        let top = power + i64::from(scale);
        if top >= i64::from(precision) {
            return Err(Problem::OutOfRange);
        }
        let keep = usize::try_from(top + 1).unwrap_or(0).min(count);
        if keep < count && !lossy {
            return Err(Problem::Inexact);
        }
        let mut value: i128 = 0;
        for digit in self.digits().skip(first).take(keep) {
            value = value * 10 + i128::from(digit);
        }
        let zeros = u32::try_from(top + 1).unwrap_or(0) - u32::try_from(keep).unwrap_or(0);
        value *= 10_i128.pow(zeros);
        // Half away from zero: the digit just below the last kept one decides.
        if keep < count && top >= -1 && self.digits().nth(first + keep).is_some_and(|digit| digit >= 5) {
            value += 1;
            if value >= 10_i128.pow(u32::from(precision)) {
                return Err(Problem::OutOfRange);
            }
        }
        Ok(if self.negative { -value } else { value })
    }

    /// Writes the number as plain decimal text within `limits` (precision and scale), or within
    /// what any numeric can hold.
    pub(super) fn plain(&self, limits: Option<(u16, i16)>, lossy: bool, out: &mut String) -> Result<(), Problem> {
        let scale_max = limits.map_or(FRACTION_DIGITS_MAX, |(_, scale)| i64::from(scale));
        // As the target spells it: so many fraction digits as were declared, else as were written.
        let scale = limits.map_or(self.fraction_digits().min(scale_max), |_| scale_max);
        let Some((first, count, power)) = self.significant() else {
            write_plain(false, |_| None, 0, scale, out);
            return Ok(());
        };
        let precision = limits.map_or(WHOLE_DIGITS_MAX, |(precision, scale)| i64::from(precision) - i64::from(scale));
        if power >= precision {
            return Err(Problem::OutOfRange);
        }
        let keep = usize::try_from(power + 1 + scale_max).unwrap_or(0);
        if keep >= count {
            let digit = |at| self.digit(first + at).filter(|_| at < count);
            write_plain(self.negative, digit, power, scale, out);
            return Ok(());
        }
        if limits.is_none() {
            return Err(Problem::OutOfRange);
        }
        if !lossy {
            return Err(Problem::Inexact);
        }
        let mut kept: Vec<u8> = self.digits().skip(first).take(keep + 1).collect();
        // Whether the first digit that goes is the one just below the last that stays.
        let carried = power + 1 + scale_max >= 0 && round(&mut kept, keep);
        let power = power + i64::from(carried);
        kept.truncate(keep + usize::from(carried));
        if kept.is_empty() {
            write_plain(false, |_| None, 0, scale, out);
            return Ok(());
        }
        if power >= precision {
            return Err(Problem::OutOfRange);
        }
        write_plain(self.negative, |at| kept.get(at).copied(), power, scale, out);
        Ok(())
    }

    fn digit(&self, at: usize) -> Option<u8> {
        let digit = match at.checked_sub(self.whole.len()) {
            None => self.whole.get(at),
            Some(at) => self.fraction.get(at),
        };
        digit.map(|digit| digit - b'0')
    }
}

/// Writes digits, the first of which counts 10^`power`, with `scale` of them after the point.
fn write_plain(negative: bool, digit: impl Fn(usize) -> Option<u8>, power: i64, scale: i64, out: &mut String) {
    if negative {
        out.push('-');
    }
    let spelt = |at: i64| {
        let digit = usize::try_from(power - at).ok().and_then(&digit);
        char::from(b'0' + digit.unwrap_or(0))
    };
    out.extend((0..=power.max(0)).rev().map(spelt));
    if scale > 0 {
        out.push('.');
        out.extend((1..=scale).map(|at| spelt(-at)));
    }
}

/// Cuts to `keep` digits, half away from zero; true where a digit was carried out at the front.
fn round(digits: &mut Vec<u8>, keep: usize) -> bool {
    let up = digits[keep] >= 5;
    digits.truncate(keep);
    if !up {
        return false;
    }
    for digit in digits.iter_mut().rev() {
        if *digit == 9 {
            *digit = 0;
        } else {
            *digit += 1;
            return false;
        }
    }
    digits.insert(0, 1);
    true
}

/// `[+-]digits`; what is beyond all limits is only that.
fn exponent(text: &[u8]) -> Option<i32> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let (written, after) = digits(rest);
    if written.is_empty() || !after.is_empty() {
        return None;
    }
    let size = written.iter().fold(0_i32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'))
            .min(EXPONENT_MAX)
    });
    Some(if negative { -size } else { size })
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

/// Writes a scaled integer as decimal text with exactly `scale` fraction digits.
pub(in crate::transform) fn write_scaled(value: i128, scale: i8, out: &mut String) {
    let scale = usize::try_from(scale).unwrap_or(0);
    if value < 0 {
        out.push('-');
    }
    let magnitude = value.unsigned_abs();
    let mut buffer = [b'0'; 40];
    let mut at = buffer.len();
    let mut rest = magnitude;
    while rest > 0 || buffer.len() - at <= scale {
        at -= 1;
        buffer[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let point = buffer.len() - scale;
    for (index, digit) in buffer.iter().enumerate().skip(at) {
        if index == point {
            out.push('.');
        }
        out.push(char::from(*digit));
    }
}

/// Writes a float as its shortest text that reads back the same, in the spelling that Postgres
/// gives it (`1e+20`, `0.1`, `-0`, `NaN`, `Infinity`).
pub(in crate::transform) fn write_float(value: f64, shortest: std::fmt::Arguments<'_>, digits_max: i32, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
        return;
    }
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
        return;
    }
    let start = out.len();
    // `{:e}`: one digit before the point, the shortest digits, and always an exponent.
    super::kernel::put(out, shortest);
    let Some(mark) = out[start..].find('e').map(|at| start + at) else {
        return;
    };
    let exponent: i32 = out[mark + 1..].parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits_max {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.truncate(mark + 1);
        super::kernel::put(out, format_args!("{sign}{:02}", exponent.abs()));
        return;
    }
    out.truncate(mark);
    let digits_from = start + usize::from(value.is_sign_negative());
    if out.as_bytes().get(digits_from + 1) == Some(&b'.') {
        out.remove(digits_from + 1);
    }
    let count = i32::try_from(out.len() - digits_from).unwrap_or(i32::MAX);
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        out.insert_str(digits_from, &"0.0000"[..2 + zeros]);
    } else if count <= exponent + 1 {
        out.extend(std::iter::repeat_n('0', usize::try_from(exponent + 1 - count).unwrap_or(0)));
    } else {
        out.insert(digits_from + 1 + usize::try_from(exponent).unwrap_or(0), '.');
    }
}

/// [`write_float`] for double precision.
pub(in crate::transform) fn write_f64(value: f64, out: &mut String) {
    write_float(value, format_args!("{value:e}"), 15, out);
}

/// [`write_float`] for single precision.
pub(in crate::transform) fn write_f32(value: f32, out: &mut String) {
    write_float(f64::from(value), format_args!("{value:e}"), 6, out);
}
