//! Starters of the shipped projects' databases.

use std::fmt::Write as _;

use crate::bento::{SERVICES, seed};
use crate::harness::{Database, Project, file_connection, files_below, repository, text};

/// The game sample has no table of a target's name: every stream is there as a comment, and
/// `--guess` pairs tables by their columns.
#[test]
fn the_game_is_paired_by_its_columns() {
    let sample = repository("mappings/game/sample/pb_data/data.db");
    let project = Project::new();
    project.write(
        "config/development.toml",
        &[
            file_connection("pocketbase", "pocketbase", &sample.display().to_string()),
            file_connection("game", "sqlite", "game.db"),
        ]
        .concat(),
    );
    for name in ["0001_players", "0002_games", "0003_player_stats"] {
        project.sqlite(
            "game.db",
            &text(&format!("mappings/game/migrations/game.sqlite/{name}.up.sql")),
        );
    }
    let ended = project.run(&["introspect", "--from", "pocketbase", "--to", "game", "--out", "mappings/game"]);
    assert!(ended.expect(0).stdout.contains("`--guess` pairs tables"), "{}", ended.stdout);
    let commented = project.text("mappings/game/game.toml");
    assert!(
        commented.contains("\n# [[stream]]\n# name = \"players\"\n# from = \"pocketbase.users\"\n"),
        "{commented}"
    );
    project.run(&["plan", "mappings/game"]).expect(2).says("there is no stream");
    // Taking the first `#` off makes streams of them.
    let block = |line: &str| line.strip_prefix("# ").or(line.strip_prefix('#')).unwrap_or(line).to_owned();
    let mut live = String::new();
    let mut within = false;
    for line in commented.lines() {
        within |= line == "# [[stream]]";
        within &= !line.is_empty();
        writeln!(live, "{}", if within { block(line) } else { line.to_owned() }).expect("a string");
    }
    project.write("mappings/game/game.toml", &live);
    project.run(&["plan", "mappings/game"]).expect(0);

    let guess = [
        "introspect",
        "--from",
        "pocketbase",
        "--to",
        "game",
        "--out",
        "mappings/game",
        "--force",
        "--guess",
    ];
    project.run(&guess).expect(0);
    let text = project.text("mappings/game/game.toml");
    assert!(
        text.find("name = \"players\"") < text.find("name = \"game_sessions\""),
        "in the order of foreign keys: {text}"
    );
    project.run(&["plan", "mappings/game"]).expect(0);
}

/// The shared Postgres of the bento project into its seven services: the starter plans as it is.
#[test]
fn bento_plans_as_it_is_written() {
    let source = Database::create();
    seed(&source.url, &["10"]).expect(0);
    let mut project = Project::new();
    project.write("config/development.toml", &text("config/development.toml"));
    project.set("BENTO_SOCIAL_URL", &source.url);
    let mut services = Vec::new();
    for service in SERVICES {
        let database = Database::create();
        for path in files_below(&repository(&format!("mappings/bento/migrations/{service}")), "sql") {
            if path.display().to_string().ends_with(".up.sql") {
                database.query(&std::fs::read_to_string(path).expect("a migration"));
            }
        }
        project.set(&format!("{}_URL", service.to_uppercase()), &database.url);
        services.push(database);
    }
    let to = SERVICES.join(",");
    let ended = project.run(&["introspect", "--from", "bento_social", "--to", &to, "--name", "bento"]);
    insta::assert_snapshot!("bento_result", ended.expect(0).stdout);
    for service in ["auth_db", "topic_db", "comment_db"] {
        insta::assert_snapshot!(
            format!("bento_{service}"),
            project.text(&format!("mappings/bento/{service}.toml"))
        );
    }
    project.run(&["plan", "mappings/bento"]).expect(0);
    // Rows that need a decision are rejects; all others arrive.
    project.run(&["run", "mappings/bento", "--max-rejects", "1000000"]).expect(4);
    assert_eq!(
        services[2].value("select count(*) from posts"),
        source.value("select count(*) from posts")
    );
}
