//! `numeric` on the wire: groups of four decimal digits, aligned to the point.
//!
//! Layout: number of groups, weight of the first (in powers of 10000), sign, display scale, then
//! the groups, each 16 bits. Exact for every decimal that the type can hold.

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

    #[test]
    fn decimals_and_their_text_have_one_form() {
        let max = 10i128.pow(38) - 1;
        for value in [
            0,
            1,
            -1,
            9,
            10,
            12_345,
            -99_999,
            100_000_000,
            i128::from(u64::MAX),
            max,
            -max,
            max / 7,
        ] {
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
