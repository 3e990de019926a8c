//! `varint` and `decimal`: integers of any size in two's complement, and as digits.

use num_bigint::{BigInt, Sign};

/// Most digits of a number that are taken.
pub(crate) const DIGITS_MAX: usize = 1_000;
/// Bytes in which so many digits fit, with their sign.
const BYTES_MAX: usize = 416;
/// Zeros that are written out behind or before the digits; a decimal with more gets an exponent.
const ZEROS_MAX: usize = 1_000;

/// A number has more digits than are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Appends the digits of an integer in two's complement, the highest byte first. There is at least
/// one.
///
/// # Errors
/// [`TooLong`], without having appended anything.
pub(crate) fn digits(bytes: &[u8], out: &mut String) -> Result<(), TooLong> {
    if let Some(spare) = 16_usize.checked_sub(bytes.len()) {
        let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) {
            0xff
        } else {
            0
        };
        let mut whole = [sign; 16];
        whole[spare..].copy_from_slice(bytes);
        out.push_str(&i128::from_be_bytes(whole).to_string());
        return Ok(());
    }
    if bytes.len() > BYTES_MAX {
        return Err(TooLong);
    }
    let text = BigInt::from_signed_bytes_be(bytes).to_string();
    if text.trim_start_matches('-').len() > DIGITS_MAX {
        return Err(TooLong);
    }
    out.push_str(&text);
    Ok(())
}

/// Appends the text of an unscaled integer with `scale` digits after the point.
///
/// # Errors
/// [`TooLong`], without having appended anything.
pub(crate) fn scaled(unscaled: &[u8], scale: i32, out: &mut String) -> Result<(), TooLong> {
    let start = out.len();
    digits(unscaled, out)?;
    let first = start + usize::from(out[start..].starts_with('-'));
    let count = out.len() - first;
    if scale == 0 || (scale < 0 && &out[first..] == "0") {
        return Ok(());
    }
    let shift = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
    if shift > ZEROS_MAX {
        out.push('e');
        out.push_str(&(-i64::from(scale)).to_string());
    } else if scale < 0 {
        out.extend(std::iter::repeat_n('0', shift));
    } else {
        if count <= shift {
            let zeros = "0".repeat(shift + 1 - count);
            out.insert_str(first, &zeros);
        }
        out.insert(out.len() - shift, '.');
    }
    Ok(())
}

/// A decimal number as it is written: `-12.50`, `1e-7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// In two's complement, as short as it can be.
    pub(crate) unscaled: Vec<u8>,
    /// Digits after the point.
    pub(crate) scale: i32,
}

/// Why a text is no number that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no decimal number.
    Malformed,
    /// It has more than [`DIGITS_MAX`] digits, or an exponent beyond all use.
    TooLong,
}

/// Reads a decimal number.
///
/// # Errors
/// See [`Fault`].
pub(crate) fn decimal(text: &str) -> Result<Decimal, Fault> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        None => (rest, 0),
        Some(at) => {
            let exponent = std::str::from_utf8(&rest[at + 1..]).map_err(|_| Fault::Malformed)?;
            let digits = exponent.trim_start_matches(['+', '-']);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Fault::Malformed);
            }
            (&rest[..at], exponent.parse::<i32>().map_err(|_| Fault::TooLong)?)
        }
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(Fault::Malformed);
    }
    let all = || whole.iter().chain(fraction);
    let significant: Vec<u8> = all().map(|digit| digit - b'0').skip_while(|digit| *digit == 0).collect();
    if significant.len() > DIGITS_MAX {
        return Err(Fault::TooLong);
    }
    let scale = i64::try_from(fraction.len()).map_err(|_| Fault::TooLong)? - i64::from(exponent);
    Ok(Decimal {
        unscaled: BigInt::from_radix_be(if negative { Sign::Minus } else { Sign::Plus }, &significant, 10)
            .unwrap_or_default()
            .to_signed_bytes_be(),
        scale: i32::try_from(scale).map_err(|_| Fault::TooLong)?,
    })
}

/// Reads an integer: a number whose digits after the point, if there are any, are zeros.
///
/// # Errors
/// [`Fault::Malformed`] where it is no number or has a fraction.
pub(crate) fn integer(text: &str) -> Result<Vec<u8>, Fault> {
    let read = decimal(text)?;
    if read.scale == 0 || read.unscaled == [0] {
        return Ok(read.unscaled);
    }
    let mut plain = String::new();
    scaled(&read.unscaled, read.scale, &mut plain).map_err(|_| Fault::TooLong)?;
    let whole = match plain.split_once('.') {
        _ if plain.contains('e') => return Err(Fault::TooLong),
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return Err(Fault::Malformed),
        None => &plain,
    };
    decimal(whole).map(|number| number.unscaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = String::new();
        digits(bytes, &mut out).expect("short enough");
        out
    }

    #[test]
    fn integers_of_any_size_come_back() {
        for (number, bytes) in [
            ("0", vec![0]),
            ("-1", vec![0xff]),
            ("127", vec![0x7f]),
            ("128", vec![0, 0x80]),
            ("-128", vec![0x80]),
            ("-129", vec![0xff, 0x7f]),
            ("9223372036854775808", vec![0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("-340282366920938463463374607431768211456", [vec![0xff], vec![0; 16]].concat()),
        ] {
            assert_eq!(integer(number).as_deref(), Ok(&bytes[..]), "{number}");
            assert_eq!(text(&bytes), number);
        }
        assert_eq!(text(&[0xff, 0xff, 0x80]), "-128", "more bytes than it needs");
        for length in [38, 39, 40, 41, 100, 999, 1_000] {
            for sign in ["", "-"] {
                for digit in ["9", "1"] {
                    let number = format!("{sign}{}", digit.repeat(length));
                    assert_eq!(text(&integer(&number).expect("a number")), number);
                }
            }
        }
        let long = "9".repeat(DIGITS_MAX + 1);
        assert_eq!(integer(&long), Err(Fault::TooLong));
        let mut out = String::new();
        assert_eq!(digits(&[1; BYTES_MAX + 1], &mut out), Err(TooLong));
        assert!(out.is_empty());
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (number, scale, plain) in [
            ("0", 0, "0"),
            ("0.00", 2, "0.00"),
            ("-12.50", 2, "-12.50"),
            ("1e3", -3, "1000"),
            ("5e-7", 7, "0.0000005"),
            ("-.5", 1, "-0.5"),
            ("1e-2000", 2000, "1e-2000"),
            ("12e2000", -2000, "12e2000"),
        ] {
            let read = decimal(number).expect("a number");
            assert_eq!(read.scale, scale, "{number}");
            let mut out = String::new();
            scaled(&read.unscaled, read.scale, &mut out).expect("short enough");
            assert_eq!(out, plain);
        }
        for wrong in ["", "-", ".", "1e", "1e+", "NaN", "1 ", "0x1", "1e--1", "1e99999999999"] {
            assert!(decimal(wrong).is_err(), "{wrong}");
        }
        assert_eq!(integer("12.00").as_deref(), Ok(&[12][..]));
        assert_eq!(integer("1e2").as_deref(), Ok(&[100][..]));
        assert_eq!(integer("12.01"), Err(Fault::Malformed));
    }
}
