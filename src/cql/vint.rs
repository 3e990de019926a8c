//! Variable-length integers: durations are made of them, and they stand before the elements of some
//! vectors.

/// Appends a signed number: small ones, of either sign, take little room.
pub(crate) fn put(number: i64, out: &mut Vec<u8>) {
    put_unsigned((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned(), out);
}

/// Appends a number without sign.
pub(crate) fn put_unsigned(number: u64, out: &mut Vec<u8>) {
    // So many bytes follow the first, which begins with as many ones; each costs one bit of it.
    let bits = (64 - number.leading_zeros()).max(1);
    let more = ((bits - 1) / 7).min(8);
    let bytes = number.to_be_bytes();
    if more == 8 {
        out.push(0xff);
        out.extend_from_slice(&bytes);
        return;
    }
    let from = 7 - more as usize;
    let marks = !(0xff_u8 >> more);
    out.push(marks | bytes[from]);
    out.extend_from_slice(&bytes[from + 1..]);
}

/// Takes a signed number off the front; `None` where there is none.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<i64> {
    let number = take_unsigned(bytes)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

/// Takes a number without sign off the front; `None` where there is none.
pub(crate) fn take_unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    let more = first.leading_ones() as usize;
    let (following, rest) = rest.split_at_checked(more)?;
    let mask = if more >= 8 { 0 } else { 0xff_u8 >> more };
    let mut number = u64::from(first & mask);
    for byte in following {
        number = (number << 8) | u64::from(*byte);
    }
    *bytes = rest;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_the_protocol_says() {
        for (number, bytes) in [
            (0, vec![0_u8]),
            (-1, vec![1]),
            (63, vec![0x7e]),
            (64, vec![0x80, 0x80]),
            (-64, vec![0x7f]),
            (8_191, vec![0xbf, 0xfe]),
            (8_192, vec![0xc0, 0x40, 0x00]),
        ] {
            let mut out = Vec::new();
            put(number, &mut out);
            assert_eq!(out, bytes, "{number}");
        }
    }

    #[test]
    fn every_number_comes_back() {
        let powers = (0..63).map(|shift| 1_i64 << shift);
        let all = powers
            .flat_map(|power| [power - 1, power, -power, -power - 1])
            .chain([i64::MIN, i64::MAX]);
        for number in all {
            let mut out = Vec::new();
            put(number, &mut out);
            let mut bytes = out.as_slice();
            assert_eq!((take(&mut bytes), bytes.len()), (Some(number), 0), "{number}");
        }
        assert_eq!(take(&mut [0x80].as_slice()), None);
        assert_eq!(take(&mut [].as_slice()), None);
    }
}
