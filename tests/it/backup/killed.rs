//! Killed at random moments, a backup is none, and a restore has left the old or the new.

use std::path::Path;
use std::time::Instant;

use super::{Tenant, backed_up, moved, names, text};
use crate::harness::{KillTimes, Project, sqlite_rows, until};

const KILLS: u32 = 10;

/// Starts it often and kills it; looks at what is left each time.
fn kill_often(project: &Project, arguments: &[&str], mut prepare: impl FnMut(), mut look: impl FnMut()) {
    prepare();
    let began = Instant::now();
    project.run(arguments).expect(0);
    let mut times = KillTimes::within(u64::try_from(began.elapsed().as_millis()).expect("short"));
    let mut killed = 0;
    for _ in 0..KILLS * 3 {
        if killed == KILLS {
            break;
        }
        prepare();
        let mut child = project.start_unheard(arguments);
        times.wait();
        if child.try_wait().expect("its state").is_some() {
            times.too_late();
        } else {
            child.kill().expect("SIGKILL");
            killed += 1;
        }
        child.wait().expect("an end");
        look();
    }
    assert_eq!(killed, KILLS, "killed often enough");
}

fn good(folder: &Path) -> Vec<String> {
    let mut names = names(folder);
    names.retain(|name| !name.ends_with(".partial"));
    names
}

#[test]
fn a_killed_backup_is_none_and_the_next_removes_what_it_left() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let parent = project.path("backups/demo");
    kill_often(
        &project,
        &["backup", "mappings/demo"],
        || (),
        || {
            for name in good(&parent) {
                // Whatever has the name of a backup is one.
                let folder = parent.join(&name);
                project.run(&["restore", text(&folder), "--yes"]).expect(1).says("not empty");
                std::fs::remove_dir_all(folder).expect("removed");
            }
            let partial = names(&parent).len();
            assert!(partial <= 1, "each removes what the one before left: {:?}", names(&parent));
        },
    );
    let (folder, _) = backed_up(&project, &[]);
    assert_eq!(names(&parent).len(), 1, "{:?}", names(&parent));
    project.run(&["backup", "verify", text(&folder)]).expect(0);
}

#[test]
fn a_killed_restore_leaves_the_old_database_or_the_new() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let new = tenant.rows();
    let (folder, _) = backed_up(&project, &[]);
    tenant.query("delete from items where id % 2 = 0");
    let old = tenant.rows();
    kill_often(
        &project,
        &["restore", text(&folder), "--yes", "--replace"],
        || {
            tenant.query("delete from items where id % 2 = 0");
        },
        || {
            // While a database changes its name nobody can connect to it by either.
            until("the server has done with what was killed", || tenant.sessions() == "0");
            let found = tenant.rows();
            assert!(found == old || found == new, "{} rows", found.len());
        },
    );
    // A killed one's server process may be at work for a while, and keeps its database until then.
    until("what was left is gone", || {
        project.run(&["restore", text(&folder), "--yes", "--replace"]).expect(0);
        assert_eq!(tenant.rows(), new);
        tenant.databases() == [tenant.name.as_str()]
    });
}

#[test]
fn a_verification_that_was_killed_leaves_nothing_after_the_next() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let (folder, _) = backed_up(&project, &[]);
    let verify = ["backup", "verify", text(&folder)];
    let mut left = 0;
    kill_often(&project, &verify, || (), || left += usize::from(tenant.databases().len() > 1));
    until("what was left is gone", || {
        project.run(&verify).expect(0);
        tenant.databases() == [tenant.name.as_str()]
    });
    eprintln!("{left} killed verifications left a database");
}

#[test]
fn a_killed_restore_leaves_the_old_files_or_the_new() {
    let project = super::files::project();
    let (folder, _) = backed_up(&project, &[]);
    let (data, shop) = (project.path("pb_data/data.db"), project.path("shop.db"));
    let state = || {
        let users = sqlite_rows(&data, "select count(*) from users");
        let items = sqlite_rows(&shop, "select count(*) from items");
        (users, project.text("pb_data/storage/c1/r1/b.txt"), items)
    };
    let change = || {
        project.sqlite("pb_data/data.db", "delete from users");
        project.write("pb_data/storage/c1/r1/b.txt", "changed");
        project.sqlite("shop.db", "delete from items where id > 7");
    };
    let new = state();
    change();
    let old = state();
    assert!(old.0 != new.0 && old.1 != new.1 && old.2 != new.2);
    let restore = ["restore", text(&folder), "--yes", "--replace", "--only", "pocketbase,shop"];
    kill_often(&project, &restore, change, || {
        let (users, file, items) = state();
        assert!(
            (&users, &file) == (&old.0, &old.1) || (&users, &file) == (&new.0, &new.1),
            "{users:?} {file}"
        );
        assert!(items == old.2 || items == new.2, "{items:?}");
    });
    project.run(&restore).expect(0);
    assert_eq!(state(), new);
    let left: Vec<String> = names(&project.path(""))
        .into_iter()
        .filter(|name| name.contains("dbferry"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
