//! The shipped game project: equal after its move, and what is changed then is found.

use crate::game::Game;

#[test]
fn the_game_is_equal_after_its_move_and_a_changed_player_is_named() {
    for environment in ["embedded", "development"] {
        let game = Game::new(environment);
        game.run(&["run", "--apply-schema"]).expect(4);
        let report = game.run(&["verify", "--output", "json"]).expect(0).json();
        let streams = report["streams"].as_array().expect("streams");
        assert!(
            streams.iter().any(|stream| stream["rejected"].as_u64() > Some(0)),
            "the sample has rows that cannot be moved"
        );
        assert!(streams.iter().all(|stream| stream["status"] == "equal"), "{report:#}");
        let (id, table) = changed(&game);
        let report = game.run(&["verify", "--output", "json"]).expect(5).json();
        let named: Vec<_> = report["streams"]
            .as_array()
            .expect("streams")
            .iter()
            .flat_map(|stream| stream["differences"].as_array().expect("differences"))
            .map(|difference| (difference["kind"].clone(), difference["key"][0]["value"]["text"].clone()))
            .collect();
        assert_eq!(named, [("different".into(), id.as_str().into())], "{table}: {report:#}");
    }
}

/// Changes a player; returns who it is.
pub(super) fn changed(game: &Game) -> (String, &'static str) {
    let id = game
        .query("select cast(min(cast(id as text)) as text) from players")
        .remove(0);
    let id = id.into_iter().next().flatten().expect("a player");
    game.query(&format!(
        "update players set region = coalesce(region, '') || ' ' where cast(id as text) = '{id}'"
    ));
    (id, "players")
}
