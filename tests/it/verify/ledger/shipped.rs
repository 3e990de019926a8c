//! The shipped projects: unchanged after their move, or not comparable for a named reason.

use serde_json::Value;

use crate::game::Game;

/// Batches changed or gone, and the reasons why others cannot be compared.
pub(crate) fn told(report: &Value) -> (u64, Vec<String>) {
    let streams = report["streams"].as_array().expect("streams");
    let count = |name: &str| -> u64 { streams.iter().filter_map(|stream| stream[name].as_u64()).sum() };
    assert!(count("batches") > 0);
    let findings = streams
        .iter()
        .flat_map(|stream| stream["findings"].as_array().expect("findings"));
    let reasons = findings.filter(|finding| finding["outcome"] == "not_comparable");
    let reasons = reasons.map(|finding| finding["reason"].as_str().expect("a reason").to_owned());
    (count("changed") + count("gone"), reasons.collect())
}

#[test]
fn the_game_is_unchanged_after_its_move_and_a_changed_player_is_seen() {
    for environment in ["embedded", "development"] {
        let game = Game::new(environment);
        game.run(&["run", "--apply-schema"]).expect(4);
        let check = ["verify", "--ledger", "--output", "json"];
        let report = game.run(&check).expect(0).json();
        assert_eq!(told(&report), (0, Vec::new()), "{report:#}");
        super::super::projects::changed(&game);
        let report = game.run(&check).expect(5).json();
        assert_eq!(told(&report).0, 1, "{report:#}");
    }
}
