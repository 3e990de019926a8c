//! Decimal numbers as text, by their value: `1.0`, `1.00`, `1` and `10e-1` are one number.

/// Writes a form that is the same for the same number: sign, place of the first digit, digits.
/// What is no number (`NaN`, `Infinity`) is itself.
pub(super) fn canonical(text: &str, out: &mut Vec<u8>) {
    out.clear();
    if parts(text.as_bytes(), out).is_none() {
        out.clear();
        out.push(b'w');
        out.extend_from_slice(text.as_bytes());
    }
}

fn parts(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        None => (rest, 0),
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    // Room for the sign and the place.
    out.resize(9, 0);
    out.extend(whole.iter().chain(fraction).skip_while(|digit| **digit == b'0'));
    let leading = whole.len() + fraction.len() - (out.len() - 9);
    let last = out[9..].iter().rposition(|digit| *digit != b'0');
    let Some(last) = last else {
        // Zero has no sign and no place.
        out.clear();
        out.push(b'0');
        return Some(());
    };
    out.truncate(10 + last);
    let place = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
    out[0] = if negative { b'-' } else { b'+' };
    out[1..9].copy_from_slice(&place.checked_add(exponent)?.to_le_bytes());
    Some(())
}

fn exponent(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        canonical(text, &mut out);
        out
    }

    #[test]
    fn one_number_has_one_form_however_it_is_spelt() {
        for same in [
            &["1", "1.0", "1.00", "10e-1", "0.1e1", "1E0", "+1", "01"][..],
            &["0", "-0", "0.000", "0e9", "-0.0"],
            &["-12.5", "-12.50", "-125e-1", "-0.125E2"],
            &["1000", "1e3", "1.0e+3", "10e2"],
            &["0.001", "1e-3", ".001"],
            &["9007199254740993", "9007199254740993.0"],
        ] {
            for text in same {
                assert_eq!(form(text), form(same[0]), "{text}");
            }
        }
        let others = [
            "1",
            "-1",
            "10",
            "0.1",
            "0",
            "9007199254740992",
            "9007199254740993",
            "NaN",
            "Infinity",
            "-Infinity",
        ];
        for (i, one) in others.iter().enumerate() {
            for other in &others[i + 1..] {
                assert_ne!(form(one), form(other), "{one} {other}");
            }
        }
    }
}
