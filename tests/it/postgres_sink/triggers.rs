//! Triggers: off for the rows that are moved unless they are wanted.

use dbferry::data::reject::Reason;
use dbferry::data::stream::{OnConflict, StreamTarget, Triggers};

use super::{all, commit, lease, move_rows, opened, pairs, refusal, with_pairs, written};

const TRIGGERS: &str = "
create table log (what text);
create function stamp() returns trigger language plpgsql as $$ begin new.name = new.name || '!'; return new; end $$;
create function note() returns trigger language plpgsql as $$ begin insert into log values (tg_name); return null; end $$;
create function drop_row() returns trigger language plpgsql as $$ begin if new.name = 'drop' then return null; end if;
    if new.name = 'raise' then raise exception 'canary %', new.name; end if; return new; end $$;
create trigger b_stamp before insert or update on pairs for each row execute function stamp();
create trigger \"C Note\" after insert on pairs for each statement execute function note();
alter table pairs enable always trigger \"C Note\";
create trigger d_off before insert on pairs for each row execute function stamp();
alter table pairs disable trigger d_off;
";

const STATES: &str =
    "select string_agg(tgname || ' ' || tgenabled::text, ' ' order by tgname) from pg_trigger where not tgisinternal";

#[tokio::test]
async fn triggers_are_off_for_the_batch_and_on_for_everybody_else() {
    for on_conflict in [OnConflict::Error, OnConflict::Update] {
        let (database, sink, target) = with_pairs(on_conflict).await;
        database.query(TRIGGERS);
        let before = database.value(STATES);
        let lease = lease("demo");
        let mut session = opened(sink.as_ref(), &lease, &target).await;
        move_rows(session.as_mut(), &lease, &target, 1, &pairs(&target, &[(1, "a")])).await;
        assert_eq!(all(&database), "1a");
        assert_eq!(database.value(STATES), before);
        session.begin(1, false).await.expect("begun");
        session.write(&pairs(&target, &[(2, "b")])).await.expect("written");
        drop(session);
        assert_eq!(database.value("select count(*) from log"), "0");
        database.query("insert into pairs values (3, 'c')");
        assert_eq!(all(&database), "1a 3c!", "a batch that was cut off leaves them on");
        assert_eq!(database.value(STATES), before);
    }
}

#[tokio::test]
async fn triggers_that_are_wanted_fire_and_a_dropped_row_is_a_refusal() {
    for on_conflict in [OnConflict::Error, OnConflict::Skip, OnConflict::Update] {
        let (database, sink, target) = with_pairs(on_conflict).await;
        database.query(TRIGGERS);
        database.query("create trigger a_drop before insert or update on pairs for each row execute function drop_row()");
        let target = StreamTarget {
            triggers: Triggers::On,
            ..target
        };
        let lease = lease("demo");
        let mut session = opened(sink.as_ref(), &lease, &target).await;
        session.begin(0, false).await.expect("begun");
        for (name, word) in [("drop", "dropped"), ("raise", "P0001")] {
            let refused = refusal(session.write(&pairs(&target, &[(1, "a"), (2, name)])).await);
            assert_eq!(refused.reason, Reason::Trigger, "{on_conflict:?}");
            assert!(
                refused.detail.contains(word) && !refused.detail.contains("canary"),
                "{}",
                refused.detail
            );
        }
        assert_eq!(
            session.write(&pairs(&target, &[(1, "a")])).await.expect("fired"),
            written(1, 0, 0)
        );
        commit(session.as_mut(), &lease, &target, 1, 1).await;
        assert_eq!(all(&database), "1a!");
        assert_ne!(database.value("select count(*) from log"), "0");
    }
}
