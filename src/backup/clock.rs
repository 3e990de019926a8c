//! Moments as a backup writes them: in UTC, by this machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::data::text;

/// RFC 3339, to the second.
pub(super) fn now() -> String {
    text_of(seconds_now())
}

/// As it stands in the name of a folder, `20260131T235959Z`.
pub(super) fn name_of(moment: &str) -> String {
    moment.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// Whether a text is such a name.
pub(super) fn is_name(text: &str) -> bool {
    let form = "00000000T000000Z";
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            letter => byte == letter,
        })
}

/// Seconds since 1970.
pub(super) fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// RFC 3339 of seconds since 1970. Texts of this form sort as the moments do.
pub(super) fn text_of(seconds: i64) -> String {
    let mut out = String::new();
    if !text::timestamp(&mut out, seconds.saturating_mul(1_000_000), false) {
        out.clear();
    }
    format!("{}Z", out.replace(' ', "T"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_and_sort() {
        assert_eq!(text_of(0), "1970-01-01T00:00:00Z");
        assert_eq!(name_of(&text_of(1_767_225_599)), "20251231T235959Z");
        assert!(is_name("20251231T235959Z"));
        assert!(!is_name("20251231T235959") && !is_name("2025-231T235959Z") && !is_name("20251231T235959Z0"));
        assert!(text_of(999_999_999) < text_of(1_000_000_000));
        assert!(now() > text_of(1_700_000_000));
    }
}
