//! One user of the game that the repository comes with.

use crate::game::{Game, sqlite_query, uuid};

use super::figures;

#[test]
fn one_user_of_the_game_moves_alone_and_a_second_call_changes_nothing() {
    for environment in ["embedded", "development"] {
        let game = Game::new(environment);
        game.run(&["schema", "apply"]).expect(0);
        let source = rusqlite::Connection::open(game.project.path("mappings/game/sample/pb_data/data.db")).expect("the sample");
        let user = sqlite_query(
            &source,
            "select user_id from participants p where user_id in (select user_id from user_stats)
             and not exists (select 1 from participants t where t.user_id = p.user_id and t.id like 'trap%')
             and not exists (select 1 from user_stats t where t.user_id = p.user_id and t.id like 'trap%')
             and not exists (select 1 from matches m join participants t on t.match_id = m.id where t.user_id = p.user_id and m.id like 'trap%')
             and user_id not like 'trap%' and exists (select 1 from users u where u.id = p.user_id) group by user_id having count(*) > 2",
        )[0][0]
            .clone()
            .expect("a user");
        let count = |sql: &str| -> u64 {
            let row = source.query_row(sql, [&user], |row| row.get::<_, i64>(0));
            row.expect("a count").unsigned_abs()
        };
        let wanted = format!("user={user}");

        let rehearsed = game
            .run(&["run", "--for", &wanted, "--dry-run", "--output", "json"])
            .expect(0)
            .json();
        assert!(game.rows().is_empty(), "a dry run writes nothing");
        let report = game.run(&["run", "--for", &wanted, "--output", "json"]).expect(0).json();
        assert_eq!(report["for"]["subject"], "user");
        assert_eq!(report["for"]["key"].as_str(), Some(user.as_str()));
        let order: Vec<_> = report["streams"]
            .as_array()
            .expect("streams")
            .iter()
            .map(|stream| stream["name"].clone())
            .collect();
        assert_eq!(order, ["games", "players", "game_sessions", "player_stats"]);
        for (stream, sql) in [
            ("players", "select count(*) from users where id = ?"),
            ("games", "select count(distinct match_id) from participants where user_id = ?"),
            ("game_sessions", "select count(*) from participants where user_id = ?"),
            ("player_stats", "select count(*) from user_stats where user_id = ?"),
        ] {
            let rows = count(sql);
            assert!(rows > 0, "{stream}: a user with rows everywhere");
            assert_eq!(figures(&report, stream), [rows, rows, 0, 0, 0], "{stream}");
            assert_eq!(figures(&rehearsed, stream), [rows, rows, 0, 0, 0], "{stream}");
            assert_eq!(game.query(&format!("select 1 from {stream}")).len() as u64, rows, "{stream}");
        }
        let id = uuid("users", &user);
        assert_eq!(game.query("select cast(id as text) from players"), [[Some(id.clone())]]);
        for table in ["game_sessions", "player_stats"] {
            let others = format!("select 1 from {table} where cast(player_id as text) <> '{id}'");
            assert!(game.query(&others).is_empty(), "{table}");
        }

        let before = game.rows();
        let again = game.run(&["run", "--for", &wanted, "--output", "json"]).expect(0).json();
        for stream in ["players", "games", "game_sessions", "player_stats"] {
            let [read, inserted, updated, skipped, rejected] = figures(&again, stream);
            assert_eq!([inserted, updated, skipped, rejected], [0, 0, read, 0], "{stream}");
        }
        assert!(before == game.rows(), "a second call changes nothing");
        game.run(&["run", "--for", &wanted]).expect(0).says("one user");

        // A run of everything finds the rows there, and counts them as they are.
        game.run(&["run", "--output", "json"]).expect(4);
        assert!(before.iter().all(|(key, row)| game.rows().get(key) == Some(row)));
        let whole = Game::new(environment);
        whole.run(&["run", "--apply-schema"]).expect(4);
        assert!(whole.rows() == game.rows(), "the same rows as without the user moved before");
    }
}

#[test]
fn every_stream_of_the_game_finds_one_user_by_an_index() {
    let game = Game::new("embedded");
    game.run(&["schema", "apply"]).expect(0);
    let notes = |game: &Game| {
        game.run(&["plan", "--output", "json"])
            .expect(0)
            .stdout
            .matches("no index finds")
            .count()
    };
    assert_eq!(notes(&game), 0);
    game.project
        .sqlite("mappings/game/sample/pb_data/data.db", "drop index idx_participants_user");
    assert_eq!(notes(&game), 2, "games and game_sessions look through participants");
}
