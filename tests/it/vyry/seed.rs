//! The seed script itself.

use super::tables::TABLES;
use super::{Vyry, seed_at};
use crate::harness::{query, value};

#[test]
fn the_same_sizes_seed_the_same_rows_and_nothing_is_replaced_unasked() {
    let vyry = Vyry::seeded(3);
    let url = vyry.url("source");
    let rows = || {
        let tables = TABLES
            .iter()
            .map(|table| table.name)
            .chain(["messages", "message_deliveries"]);
        tables
            .map(|table| {
                value(
                    &url,
                    &format!("select md5(string_agg(t::text, '|' order by t::text)) from {table} t"),
                )
            })
            .collect::<Vec<_>>()
    };
    let first = rows();
    query(&url, "update users set bio = 'mine' where username = 'trap.user'");
    let mine = rows();
    seed_at(&url, &["5"]).expect(1).says("--replace");
    assert_eq!(rows(), mine, "something was changed");
    seed_at(&url, &["3", "--wide", "100", "--replace"]).expect(0);
    assert_eq!(rows(), first);
    for wrong in [
        &[][..],
        &["none"],
        &["0"],
        &["3", "--wide"],
        &["3", "--each", "0"],
        &["3", "4"],
    ] {
        seed_at(&url, wrong).expect(2);
    }
}

#[test]
fn the_wide_conversation_has_as_many_messages_as_asked_and_most_of_them_in_one_bucket() {
    let vyry = Vyry::seeded(1);
    let url = vyry.url("source");
    seed_at(&url, &["10", "--wide", "3000", "--each", "2", "--replace"]).expect(0);
    let messages = |what: &str| {
        value(
            &url,
            &format!(
                "select string_agg(count::text, ' ' order by count desc) from (
                     select count(*) from messages where message_id > 1000 group by {what} order by 1 desc limit 2) as most"
            ),
        )
    };
    assert_eq!(messages("conv_id"), "3000 2");
    let buckets = messages("conv_id, floor(extract(epoch from sent_at) / 864000)");
    let most: u32 = buckets.split(' ').next().and_then(|most| most.parse().ok()).expect("a count");
    assert!(most >= 1800, "{buckets}");
    // Foreign keys and numbers are those of the application.
    query(&url, "insert into devices (user_id, device_uuid, platform, identity_key_public, registration_id, signed_prekey_id, signed_prekey_public, signed_prekey_signature)
        select user_id, gen_random_uuid(), 1, '', 1, 1, '', '' from users limit 1");
    let refused =
        "select count(*) from pg_constraint where contype = 'f' and convalidated and connamespace = 'public'::regnamespace";
    assert_eq!(value(&url, refused), "4");
}
