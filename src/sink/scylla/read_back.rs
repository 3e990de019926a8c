//! Reading back: rows that were confirmed are looked for by their keys and compared, byte by byte,
//! before their batch counts as written.

use super::portion::Portion;
use super::stream::OpenStream;
use super::{Shared, decide, look};
use crate::cql::bound::UNSET;
use crate::{Error, ErrorKind, Result};

/// A row that lives no longer than this may be gone before it is looked for, in seconds.
const BRIEF_SECONDS: i32 = 60;

/// Looks for the rows of a portion that were written.
///
/// # Errors
/// [`ErrorKind::Validation`] where one of them is not there, or holds something else that was not
/// written later by somebody else.
pub(super) async fn check(shared: &Shared, open: &OpenStream, portion: &Portion, wanted: &[usize], stamp: i64) -> Result<()> {
    let found = look::rows(shared, &open.statements, portion, wanted).await?;
    let mut missing = 0_u64;
    let mut different = 0_u64;
    let mut column = None;
    for (row, found) in wanted.iter().zip(&found) {
        let Some(found) = found else {
            missing += u64::from(portion.seconds(*row).is_none_or(|seconds| seconds > BRIEF_SECONDS));
            continue;
        };
        let columns = &open.layout.columns[open.layout.key..];
        let mut values = portion.values(*row).zip(columns).enumerate();
        let differs = values.find(|(at, ((length, cell), column))| {
            let wanted = (*length >= 0).then_some(*cell);
            let there = found.cells.get(*at).and_then(Option::as_deref);
            let later = found
                .stamps
                .get(*at)
                .copied()
                .flatten()
                .is_some_and(|written| written > stamp);
            *length != UNSET && !later && !decide::same(&column.ty, wanted, there)
        });
        if let Some((_, (_, found))) = differs {
            different += 1;
            column.get_or_insert(&found.name);
        }
    }
    if missing == 0 && different == 0 {
        return Ok(());
    }
    let (stream, table) = (&open.target.stream, &open.target.table);
    let at = column
        .map(|column| format!(", the first in column `{column}`"))
        .unwrap_or_default();
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "stream `{stream}`: of {} rows that were confirmed, {missing} are not in table `{table}` and {different} hold something else{at}",
            wanted.len()
        ),
    )
    .hint(
        "rows that were deleted or written there at a later moment than this stream's hide it: compare the clocks of servers and applications, or begin anew with `--restart`",
    ))
}

/// Fewer rows were confirmed than sent.
pub(super) fn unconfirmed(open: &OpenStream, sent: u64, confirmed: u64) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!(
            "stream `{}`: {sent} rows were sent, but {confirmed} confirmed",
            open.target.stream
        ),
    )
}
