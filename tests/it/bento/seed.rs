//! The seed script itself.

use super::{Bento, seed};
use crate::harness::{query, value};

#[test]
fn the_same_number_seeds_the_same_rows_and_nothing_is_replaced_unasked() {
    let bento = Bento::seeded(3);
    let url = bento.url("source");
    let rows = || {
        [
            "users",
            "topics",
            "posts",
            "comments",
            "comment_likes",
            "followers",
            "notifications",
            "post_likes",
            "post_saves",
        ]
        .map(|table| {
            value(
                &url,
                &format!("select md5(string_agg(t::text, '|' order by t::text)) from {table} t"),
            )
        })
    };
    let first = rows();
    query(&url, "update users set bio = 'mine' where id = 'trap-user'");
    let mine = rows();
    seed(&url, &["5"]).expect(1).says("--replace");
    assert_eq!(rows(), mine, "something was changed");
    seed(&url, &["3", "--replace"]).expect(0);
    assert_eq!(rows(), first);
    seed(&url, &["none"]).expect(2);
    seed(&url, &[]).expect(2);
}
