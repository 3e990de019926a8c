//! `numeric` on the wire: groups of four decimal digits, aligned to the point.
//!
//! Layout: number of groups, weight of the first (in powers of 10000), sign, display scale, then
//! the groups, each 16 bits. Exact for every decimal that the type can hold.

use std::fmt;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// Most digits before and after the point that the type holds.
const WHOLE_DIGITS_MAX: usize = 131_072;
const FRACTION_DIGITS_MAX: usize = 16_383;
/// Most groups that 38 digits (of an `i128`) can touch.
const GROUPS_MAX: usize = 12;

/// Why a decimal text has no wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not a decimal number.
    Malformed,
    /// More digits than the type holds.
    OutOfRange,
}

/// Appends a field (length and value) for `value` × 10^-`scale`.
pub(crate) fn put_decimal(value: i128, scale: u8, out: &mut Vec<u8>) {
    let sign = if value < 0 { NEGATIVE } else { POSITIVE };
    let digits = value.unsigned_abs();
    // Align the fraction to whole groups; 38 digits and three more may not fit 128 bits.
    let pad = (4 - scale % 4) % 4;
    let fraction_groups = scale.div_ceil(4);
    let mut groups = [0u16; GROUPS_MAX];
    let count = if let Ok(small) = u64::try_from(digits)
        && let Some(mut rest) = small.checked_mul([1, 10, 100, 1000][usize::from(pad)])
    {
        let mut count = 0;
        while rest > 0 {
            groups[count] = group(rest % 10_000);
            rest /= 10_000;
            count += 1;
        }
        count
    } else {
        let lowest = [10_000, 1_000, 100, 10][usize::from(pad)];
        let mut rest = digits;
        groups[0] = group(low(rest % lowest)) * [1, 10, 100, 1000][usize::from(pad)];
        rest /= lowest;
        let mut count = 1;
        while rest > 0 {
            groups[count] = group(low(rest % 10_000));
            rest /= 10_000;
            count += 1;
        }
        count
    };
    // Lowest group first so far. Zero groups at either end are not sent.
    let first = groups[..count].iter().position(|group| *group != 0).unwrap_or(count);
    let sent = &groups[first..count];
    let weight = i16::try_from(count).unwrap_or(0) - i16::from(fraction_groups) - 1;
    let weight = if sent.is_empty() { 0 } else { weight };
    put_header(sent.len(), weight, sign, u16::from(scale), out);
    for group in sent.iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Appends a field for exact decimal text: `-12.50`, `1e-7`, `NaN`, `Infinity`, `-Infinity`.
///
/// # Errors
/// Without having appended anything.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let special = match text {
        "NaN" => Some(NAN),
        "Infinity" => Some(INFINITY),
        "-Infinity" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        put_header(0, 0, sign, 0, out);
        return Ok(());
    }
    let (sign, rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (NEGATIVE, rest),
        [b'+', rest @ ..] | rest => (POSITIVE, rest),
    };
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        None => (rest, 0),
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        None => (mantissa, &[][..]),
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
    };
    if whole.is_empty() && fraction.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(Fault::Malformed);
    }
    put_digits(sign, whole, fraction, exponent, out)
}

fn exponent(text: &[u8]) -> Result<i64, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::Malformed)?;
    let value: i64 = text.parse().map_err(|_| Fault::Malformed)?;
    if value.unsigned_abs() > (WHOLE_DIGITS_MAX + FRACTION_DIGITS_MAX) as u64 {
        return Err(Fault::OutOfRange);
    }
    Ok(value)
}

/// Digits of `whole.fraction` × 10^`exponent`, grouped by their distance from the point.
fn put_digits(sign: u16, whole: &[u8], fraction: &[u8], exponent: i64, out: &mut Vec<u8>) -> Result<(), Fault> {
    let length = |slice: &[u8]| i64::try_from(slice.len()).map_err(|_| Fault::OutOfRange);
    let scale = usize::try_from((length(fraction)? - exponent).max(0)).map_err(|_| Fault::OutOfRange)?;
    if scale > FRACTION_DIGITS_MAX {
        return Err(Fault::OutOfRange);
    }
    let display_scale = u16::try_from(scale).map_err(|_| Fault::OutOfRange)?;
    let digits = whole.iter().chain(fraction);
    let leading = digits.clone().take_while(|digit| **digit == b'0').count();
    let significant = whole.len() + fraction.len() - leading;
    if significant == 0 {
        put_header(0, 0, POSITIVE, display_scale, out);
        return Ok(());
    }
    // Power of ten of the first significant digit, and of the last.
    let first = length(whole)? + exponent - i64::try_from(leading).map_err(|_| Fault::OutOfRange)? - 1;
    if first >= i64::try_from(WHOLE_DIGITS_MAX).unwrap_or(i64::MAX) {
        return Err(Fault::OutOfRange);
    }
    let weight = first.div_euclid(4);
    let mut groups: Vec<u16> = Vec::with_capacity(significant / 4 + 2);
    let mut power = first;
    for digit in digits.skip(leading) {
        let index = usize::try_from(weight - power.div_euclid(4)).map_err(|_| Fault::OutOfRange)?;
        if groups.len() <= index {
            groups.resize(index + 1, 0);
        }
        let place = usize::try_from(power.rem_euclid(4)).map_err(|_| Fault::OutOfRange)?;
        groups[index] += u16::from(digit - b'0') * [1, 10, 100, 1000][place];
        power -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let weight = i16::try_from(weight).map_err(|_| Fault::OutOfRange)?;
    put_header(groups.len(), weight, sign, display_scale, out);
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Ok(())
}

/// Length of the field, then the four words that precede the groups.
fn put_header(groups: usize, weight: i16, sign: u16, scale: u16, out: &mut Vec<u8>) {
    let groups = u16::try_from(groups).unwrap_or(u16::MAX);
    let mut header = [0; 12];
    header[..4].copy_from_slice(&(8 + 2 * u32::from(groups)).to_be_bytes());
    header[4..6].copy_from_slice(&groups.to_be_bytes());
    header[6..8].copy_from_slice(&weight.to_be_bytes());
    header[8..10].copy_from_slice(&sign.to_be_bytes());
    header[10..].copy_from_slice(&scale.to_be_bytes());
    out.extend_from_slice(&header);
}

/// A `numeric` as it was sent, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    /// Two bytes for each group, the highest first.
    groups: &'a [u8],
    /// Power of 10000 of the first group.
    weight: i16,
    sign: u16,
    /// Digits shown after the point.
    scale: u16,
}

impl<'a> Sent<'a> {
    /// Reads a value (without its length); `None` where it is none.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, groups) = bytes.split_first_chunk::<8>()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let sent = Self {
            groups,
            weight: i16::from_be_bytes([header[2], header[3]]),
            sign: word(4),
            scale: word(6),
        };
        let known = matches!(sent.sign, POSITIVE | NEGATIVE | NAN | INFINITY | NEGATIVE_INFINITY);
        (known && groups.len() == 2 * usize::from(word(0)) && sent.digits().all(|group| group < 10_000)).then_some(sent)
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u16> + ExactSizeIterator + 'a {
        self.groups.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// The group of this power of 10000.
    fn group(&self, power: i32) -> u16 {
        usize::try_from(i32::from(self.weight) - power)
            .ok()
            .and_then(|index| self.groups.get(2 * index..2 * index + 2))
            .map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// Writes it as the server does, with all digits that it shows.
    pub(crate) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.sign {
            NAN => return out.write_str("NaN"),
            INFINITY => return out.write_str("Infinity"),
            NEGATIVE_INFINITY => return out.write_str("-Infinity"),
            NEGATIVE => out.write_char('-')?,
            _ => {}
        }
        let highest = i32::from(self.weight);
        if highest < 0 {
            out.write_char('0')?;
        } else {
            write!(out, "{}", self.group(highest))?;
            for power in (0..highest).rev() {
                write!(out, "{:04}", self.group(power))?;
            }
        }
        if self.scale > 0 {
            out.write_char('.')?;
        }
        let (mut left, mut power) = (usize::from(self.scale), -1);
        while left > 0 {
            let group = self.group(power);
            let four = [group / 1_000, group / 100 % 10, group / 10 % 10, group % 10];
            for digit in &four[..left.min(4)] {
                out.write_char(char::from(b'0' + u8::try_from(*digit).unwrap_or(0)))?;
            }
            left = left.saturating_sub(4);
            power -= 1;
        }
        Ok(())
    }

    /// The value × 10^`scale`, if it is a whole number of at most `precision` digits.
    ///
    /// # Errors
    /// [`Unscaled`] says what it is instead.
    pub(crate) fn unscaled(&self, precision: u8, scale: i8) -> Result<i128, Unscaled> {
        if !matches!(self.sign, POSITIVE | NEGATIVE) {
            return Err(Unscaled::Special);
        }
        // Zero groups at the end say nothing.
        let count = self.digits().rposition(|group| group != 0).map_or(0, |last| last + 1);
        if count == 0 {
            return Ok(0);
        }
        let lowest = i32::from(self.weight) - i32::try_from(count).map_err(|_| Unscaled::OutOfRange)? + 1;
        let shift = lowest * 4 + i32::from(scale);
        let (mut digits, mut last) = (self.digits(), 0);
        let mut value = 0i128;
        for (index, group) in digits.by_ref().take(count).enumerate() {
            if index + 1 == count {
                last = group;
            } else {
                value = value.checked_mul(10_000).ok_or(Unscaled::OutOfRange)? + i128::from(group);
            }
        }
        // The last group may reach beyond the scale: what is cut off it must be zeros, and is cut
        // first, for 38 digits and three more may not fit 128 bits.
        let cut = u32::try_from(-shift).unwrap_or(0);
        if cut > 3 || last % 10u16.pow(cut.min(3)) != 0 {
            return Err(Unscaled::Inexact);
        }
        value = value
            .checked_mul(10i128.pow(4 - cut))
            .and_then(|value| value.checked_add(i128::from(last / 10u16.pow(cut))))
            .ok_or(Unscaled::OutOfRange)?;
        let zeros = u32::try_from(shift).unwrap_or(0);
        value = 10i128
            .checked_pow(zeros)
            .and_then(|zeros| value.checked_mul(zeros))
            .filter(|value| *value < 10i128.pow(u32::from(precision.min(38))))
            .ok_or(Unscaled::OutOfRange)?;
        Ok(if self.sign == NEGATIVE { -value } else { value })
    }
}

/// Why a `numeric` is no whole number of so many digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unscaled {
    /// Not a number, or infinite.
    Special,
    /// More digits after the point.
    Inexact,
    /// More digits in all.
    OutOfRange,
}

#[expect(clippy::cast_possible_truncation, reason = "a group is below 10000")]
const fn group(value: u64) -> u16 {
    value as u16
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of at most 10000")]
const fn low(value: u128) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(text, &mut out).expect(text);
        out
    }

    fn of_decimal(value: i128, scale: u8) -> Vec<u8> {
        let mut out = Vec::new();
        put_decimal(value, scale, &mut out);
        out
    }

    #[test]
    fn the_layout_is_that_of_the_server() {
        // `select numeric_send(12345.678)`
        assert_eq!(hex::encode(&of_text("12345.678")[4..]), "0003000100000003000109291a7c");
        // `select numeric_send(-0.00010)`
        assert_eq!(hex::encode(&of_text("-0.00010")[4..]), "0001ffff400000050001");
        assert_eq!(hex::encode(&of_text("0.00")[4..]), "0000000000000002");
        assert_eq!(hex::encode(&of_text("NaN")[4..]), "00000000c0000000");
        assert_eq!(of_text("10000"), [0, 0, 0, 10, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1]);
    }

    const MAX: i128 = 10i128.pow(38) - 1;
    const DECIMALS: [i128; 12] = [
        0,
        1,
        -1,
        9,
        10,
        12_345,
        -99_999,
        100_000_000,
        18_446_744_073_709_551_615,
        MAX,
        -MAX,
        MAX / 7,
    ];

    #[test]
    fn decimals_and_their_text_have_one_form() {
        for value in DECIMALS {
            for scale in 0..=38u8 {
                let mut digits = value.unsigned_abs().to_string();
                while digits.len() <= usize::from(scale) {
                    digits.insert(0, '0');
                }
                if scale > 0 {
                    digits.insert(digits.len() - usize::from(scale), '.');
                }
                let text = format!("{}{digits}", if value < 0 { "-" } else { "" });
                assert_eq!(of_decimal(value, scale), of_text(&text), "{text}");
            }
        }
    }

    #[test]
    fn what_was_written_reads_back_with_all_digits_that_it_shows() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "10000",
            "12345.678",
            "-0.00010",
            "0.5",
            "100000000.00000001",
            "1e-16383",
            "NaN",
            "Infinity",
            "-Infinity",
        ] {
            let field = of_text(text);
            let mut out = String::new();
            Sent::read(&field[4..])
                .expect(text)
                .write(&mut out)
                .expect("a String takes all");
            if text.contains('e') {
                assert_eq!(of_text(&out), field);
            } else {
                assert_eq!(out, text);
            }
        }
        for value in DECIMALS {
            for scale in 0..=38i8 {
                let field = of_decimal(value, u8::try_from(scale).expect("positive"));
                let sent = Sent::read(&field[4..]).expect("a numeric");
                assert_eq!(sent.unscaled(38, scale), Ok(value), "{value} {scale}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_a_decimal_says_why() {
        let unscaled = |text: &str| {
            let field = of_text(text);
            Sent::read(&field[4..]).expect("a numeric").unscaled(5, 2)
        };
        assert_eq!(unscaled("999.99"), Ok(99_999));
        assert_eq!(unscaled("-1.50000000"), Ok(-150));
        assert_eq!(unscaled("1000"), Err(Unscaled::OutOfRange));
        assert_eq!(unscaled("1e90"), Err(Unscaled::OutOfRange));
        assert_eq!(unscaled("1.234"), Err(Unscaled::Inexact));
        assert_eq!(unscaled("0.00000001"), Err(Unscaled::Inexact));
        assert_eq!(unscaled("NaN"), Err(Unscaled::Special));
        for broken in [
            &[][..],
            &[0; 7],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ] {
            assert!(Sent::read(broken).is_none());
        }
    }

    #[test]
    fn exponents_move_the_point() {
        assert_eq!(of_text("1.5e3"), of_text("1500"));
        assert_eq!(of_text("15e-4"), of_text("0.0015"));
        assert_eq!(of_text("1E0"), of_text("+1"));
        assert_eq!(of_text(".5"), of_text("0.5"));
    }

    #[test]
    fn what_is_no_number_is_refused_and_leaves_nothing_behind() {
        let mut out = Vec::new();
        for text in ["", "-", ".", "abc", "1.2.3", "1e", "1e+", "--1", "nan", "0x10", "1 "] {
            assert_eq!(put_text(text, &mut out), Err(Fault::Malformed), "{text}");
        }
        assert_eq!(put_text("1e200000", &mut out), Err(Fault::OutOfRange));
        assert_eq!(put_text("1e-20000", &mut out), Err(Fault::OutOfRange));
        assert_eq!(put_text(&"9".repeat(131_073), &mut out), Err(Fault::OutOfRange));
        assert!(out.is_empty());
    }
}
