//! Writes the messages of benches/scylla/database.sql into a keyspace with a loop of the driver alone:
//! what scripts/bench.sh compares dbferry with.
//!
//! ```sh
//! cargo run --example cql-bare -- 127.0.0.1:9042 user password keyspace messages.db 256
//! ```
//!
//! All rows are read and made ready before the clock starts. Then each is a request of its own, to the
//! node that has it, so many of them on their way at once; the last line tells how long that took.

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use rusqlite::{Connection, OpenFlags};
use scylla::client::session_builder::SessionBuilder;
use scylla::frame::types::Consistency;
use scylla::value::CqlTimestamp;
use uuid::Uuid;

type Failure = Box<dyn Error + Send + Sync>;
type Row = (Uuid, i32, i64, Uuid, i16, String, Vec<u8>, CqlTimestamp);

/// Milliseconds of ten days.
const BUCKET: i64 = 10 * 86_400_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, user, password, keyspace, file, in_flight] = arguments.as_slice() else {
        return Err("wanted: HOST:PORT USER PASSWORD KEYSPACE FILE REQUESTS".into());
    };
    let in_flight: usize = in_flight.parse()?;
    let rows = read(file)?;
    let session = SessionBuilder::new().known_node(node).user(user, password).build().await?;
    let text = format!(
        "INSERT INTO {keyspace}.messages (conv_id, bucket, message_id, sender_user_id, message_type, content, iv, sent_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    );
    let mut insert = session.prepare(text).await?;
    insert.set_consistency(Consistency::LocalQuorum);
    insert.set_is_idempotent(true);
    let (session, insert) = (&session, &insert);
    let began = Instant::now();
    let written = futures::stream::iter(&rows)
        .map(|row| async move { session.execute_unpaged(insert, row).await })
        .buffer_unordered(in_flight)
        .try_fold(0_u64, |sum, _| async move { Ok(sum + 1) })
        .await?;
    writeln!(
        std::io::stdout(),
        "{written} rows in {:.3} seconds",
        began.elapsed().as_secs_f64()
    )?;
    Ok(())
}

fn read(file: &str) -> Result<Vec<Row>, Failure> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let text = "select conv_id, message_id, sender_user_id, message_type, content, iv, \
                unixepoch(sent_at) * 1000 + message_id % 1000 from messages order by message_id";
    let mut statement = database.prepare(text)?;
    let mut rows = statement.query([])?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let sent_at: i64 = row.get(6)?;
        read.push((
            row.get::<_, String>(0)?.parse()?,
            i32::try_from(sent_at.div_euclid(BUCKET))?,
            row.get(1)?,
            row.get::<_, String>(2)?.parse()?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
            CqlTimestamp(sent_at),
        ));
    }
    Ok(read)
}
