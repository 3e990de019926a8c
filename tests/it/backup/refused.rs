//! What is damaged is found, and what cannot be done is told in words that help.

use std::os::unix::fs::PermissionsExt as _;

use super::{Tenant, backed_up, flip, moved, text, url_of};
use crate::harness::{Ended, postgres_url, query};

#[test]
fn a_flipped_byte_a_cut_and_a_changed_manifest_are_found() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let before = tenant.rows();
    let (folder, _) = backed_up(&project, &[]);
    for file in ["game/database.dump", "app/database.sqlite"] {
        let path = folder.join(file);
        let whole = std::fs::read(&path).expect("a file");
        for damage in ["flipped", "cut", "gone"] {
            match damage {
                "flipped" => flip(&path),
                "cut" => std::fs::write(&path, &whole[..whole.len() / 2]).expect("written"),
                _ => std::fs::remove_file(&path).expect("removed"),
            }
            let ended = project.run(&["backup", "verify", text(&folder)]);
            assert!(ended.expect(5).stdout.contains(file), "{damage}: {}", ended.stdout);
            let connection = &file[..file.find('/').expect("a folder")];
            let restore = ["restore", text(&folder), "--replace", "--yes", "--only", connection];
            project.run(&restore).expect(1).says("the backup is damaged").says(file);
            std::fs::write(&path, &whole).expect("written");
        }
    }
    let manifest = folder.join("manifest.json");
    let text_of = std::fs::read_to_string(&manifest).expect("text");
    std::fs::write(&manifest, text_of.replace("3000", "3001")).expect("written");
    project
        .run(&["backup", "verify", text(&folder)])
        .expect(1)
        .says("was changed");
    project
        .run(&["restore", text(&folder), "--replace", "--yes"])
        .expect(1)
        .says("was changed");
    // Somebody who changes the checksum, too, is found out by counting.
    let sum = std::process::Command::new("sha256sum")
        .arg("manifest.json")
        .current_dir(&folder)
        .output()
        .expect("sha256sum");
    std::fs::write(folder.join("manifest.json.sha256"), sum.stdout).expect("written");
    let ended = project.run(&["backup", "verify", text(&folder)]);
    assert!(
        ended.expect(5).stdout.contains("public.items has 3000 rows instead of 3001"),
        "{}",
        ended.stdout
    );
    project
        .run(&["restore", text(&folder), "--replace", "--yes", "--only", "game"])
        .expect(1)
        .says("public.items has 3000 rows instead of 3001")
        .says("nothing was changed");
    assert_eq!(tenant.rows(), before);
    assert_eq!(tenant.databases(), [tenant.name.as_str()]);
    let nothing = project.run(&["backup", "verify", "config"]);
    nothing.expect(2).says("is not a backup");
}

#[test]
fn programs_that_are_missing_or_too_old_are_told_before_anything_is_done() {
    let tenant = Tenant::create();
    let mut project = moved(&tenant);
    project.write("none/readme", "");
    project
        .run(&["backup", "mappings/demo", "--pg-tools", "none"])
        .expect(3)
        .says("pg_dump and pg_restore were not found in none")
        .says("DBFERRY_PG_TOOLS");
    for program in ["pg_dump", "pg_restore"] {
        let path = format!("old/{program}");
        project.write(&path, &format!("#!/bin/sh\necho '{program} (PostgreSQL) 12.22'\n"));
        std::fs::set_permissions(project.path(&path), std::fs::Permissions::from_mode(0o755)).expect("set");
    }
    project.set("DBFERRY_PG_TOOLS", "old");
    project
        .run(&["backup", "mappings/demo"])
        .expect(3)
        .says("of version 12, and the server of version");
    assert!(
        super::names(&project.path("backups/demo")).is_empty(),
        "nothing is left of it"
    );
    // Packages' own folders are looked through where PATH has none, or an older one.
    project.set("DBFERRY_PG_TOOLS", "");
    project.set("PATH", text(&project.path("old")).to_owned().as_str());
    backed_up(&project, &[]);
}

#[test]
fn what_the_role_may_not_read_is_no_half_backup() {
    let tenant = Tenant::create();
    let mut project = moved(&tenant);
    let reader = format!("{}_reader", tenant.name);
    query(
        &postgres_url(),
        &format!("drop role if exists {reader}; create role {reader} login password 'secret'"),
    );
    project.set("GAME_URL", &url_of(&reader, &tenant.name));
    let backup = ["backup", "mappings/demo"];
    project
        .run(&backup)
        .expect(3)
        .says("permission denied")
        .says("pg_read_all_data");
    query(&postgres_url(), &format!("grant pg_read_all_data to {reader}"));
    backed_up(&project, &[]);
    tenant.query("alter table items enable row level security; create policy few on items using (id < 10)");
    let hidden = project.run(&backup);
    hidden.expect(3).says("public.items").says("row level security hides rows");
    assert_eq!(super::names(&project.path("backups/demo")).len(), 1);

    project.set("GAME_URL", &tenant.url.replace("secret", "canary"));
    let ended = project.run(&backup);
    ended.expect(3).says("user or password is refused");
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("canary"));
    query(&postgres_url(), &format!("drop owned by {reader}; drop role {reader}"));
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    // No file may be larger than a few blocks, which a write is told as it is told of a full disk.
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" backup mappings/demo";
    let output = std::process::Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_dbferry")])
        .current_dir(project.path(""))
        .envs(project.variables().iter().map(|(name, value)| (name, value)))
        .output()
        .expect("sh starts");
    Ended::of(output).expect(3).says("no room is left");
    assert!(super::names(&project.path("backups/demo")).is_empty());
}
