//! Postgres to Postgres at its edges: what does not pass is told by the plan or is a reject that
//! shows its row, and what is computed with on the way is exact or refused.

use crate::harness::{Database, Project};

fn project(old: &Database, new: &str, streams: &str) -> Project {
    let mut project = Project::new();
    let kind = if new.starts_with("postgres") {
        "kind = \"postgres\"\nurl"
    } else {
        "kind = \"sqlite\"\npath"
    };
    project.write(
        "config/development.toml",
        &format!(
            "[connection.old]\nkind = \"postgres\"\nurl = {{ env = \"OLD\" }}\n[connection.new]\n{kind} = {{ env = \"NEW\" }}\n"
        ),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"old\"]\nsinks = [\"new\"]\nmax_rejects = 100\n",
    );
    project.write("mappings/demo/all.toml", streams);
    project.set("OLD", &old.url);
    project.set("NEW", new);
    project
}

fn stream(columns: &str) -> String {
    format!("[[stream]]\nname = \"all\"\nfrom = \"old.t\"\nto = \"new.t\"\nkey = [\"id\"]\n{columns}")
}

#[test]
fn what_cannot_pass_is_told_before_the_run() {
    let (old, new) = (Database::create(), Database::create());
    old.query(
        "create type pair as (a int, b text);
         create table t (id int primary key, pair pair, bits bit(5), ip inet, acl aclitem, class regclass, span interval, at timetz,
             amount money)",
    );
    new.query(
        "create type pair as (a int, c text);
         create table t (id int primary key, pair pair, bits bit(4), ip cidr, acl aclitem, class regclass, span interval day, at text,
             amount numeric)",
    );
    let ended = project(&old, &new.url, &stream("same_name_columns = true\n")).run(&["plan", "mappings/demo"]);
    ended.expect(2);
    for text in [
        "column `pair` is pair, and that of the same name does not fit: the two are not made of the same types, or the target's limits are narrower",
        "column `bits` is bit(4), and that of the same name does not fit: bit(5) is not interpreted and only passes into a column of the same type",
        "column `ip` is cidr, and that of the same name does not fit: inet is not interpreted and only passes into a column of the same type",
        "column `acl` is aclitem, and that of the same name does not fit: it has no binary form that means the same in another database",
        "column `class` is regclass, and that of the same name does not fit: it has no binary form that means the same in another database",
        "column `at` is text, and that of the same name does not fit: time with time zone is not interpreted",
        "column `amount` is numeric, and that of the same name does not fit: money is not interpreted",
        "convert it in a `query`, such as ip::text, or make the target column inet",
    ] {
        ended.says(text);
    }
    let computed = "where = \"ip = '1.2.3.4'\"\n[stream.columns]\nid = \"id\"\n";
    let ended = project(&old, &new.url, &stream(computed)).run(&["plan", "mappings/demo"]);
    ended
        .expect(2)
        .says("`ip` is inet and can only be taken as it is")
        .says("ip::text");
}

#[test]
fn a_value_that_the_target_refuses_is_one_reject_that_shows_its_row() {
    let (old, new) = (Database::create(), Database::create());
    let table =
        "create table t (id int primary key, moods mood[], price numeric, at timestamptz, span interval, ip inet, days date[])";
    old.query(&format!(
        "create type mood as enum ('happy', 'sad', 'new'); {table};
         insert into t select n, array['sad']::mood[], n, 'infinity', '1 day', '10.0.0.1', '{{}}' from generate_series(1, 500) n;
         update t set moods = array['sad', null, 'new']::mood[], price = 'NaN', span = '1 mon -2 days 00:00:00.5',
             days = array['2024-02-29', null, '-infinity']::date[] where id in (100, 400)"
    ));
    new.query(&format!(
        "create type taken as enum ('x'); create type mood as enum ('sad', 'happy'); {table}"
    ));
    let project = project(&old, &new.url, &stream("same_name_columns = true\n"));
    project.run(&["run", "mappings/demo"]).expect(4);
    assert_eq!(new.value("select count(*) from t"), "498");
    let rejects = new.query("select source_key, column_name, reason, detail, source_row from dbferry.reject order by id");
    assert_eq!(rejects.len(), 2);
    let texts: Vec<&str> = rejects[0].iter().flatten().map(String::as_str).collect();
    assert_eq!(texts[1..4], ["moods", "enum_label", "not a label of enum mood"]);
    assert_eq!(
        texts[4],
        r#"{"id":100,"moods":["sad",null,"new"],"price":"NaN","at":"infinity","span":"1 mon -2 days +00:00:00.5","ip":{"type":"inet","hex":"022000040a000001"},"days":["2024-02-29",null,"-infinity"]}"#
    );
    // Mended, they arrive.
    new.query("alter type mood add value 'new'");
    project.run(&["run", "mappings/demo", "--retry-rejects"]).expect(0);
    assert_eq!(
        new.value("select count(*), count(*) filter (where price = 'NaN') from t"),
        "500"
    );
    assert_eq!(new.value("select moods::text from t where id = 400"), "{sad,NULL,new}");
}

#[test]
fn what_is_computed_with_is_exact_or_refused() {
    let (old, new) = (Database::create(), Database::create());
    old.query(
        "create table t (id int primary key, at timestamptz(3), day date, tags text[], price numeric(60, 4));
         insert into t values
             (1, 'infinity', '-infinity', '{a,NULL}', 1.5), (2, '2024-02-29 23:59:59.999+00', '2024-02-29', '{}', 'NaN'),
             (3, '294276-12-31 23:59:59', '2024-01-01', null, 0), (4, '-infinity', null, '{{a},{b}}', 1),
             (5, '4714-11-24 00:00:00+00 BC', '5874897-12-31', '[0:1]={a,b}', -1)",
    );
    new.query(
        "create table t (id int primary key, at timestamp, at_second timestamp(0), at_text text, at_day date, day text, tags jsonb,
             price numeric, year text)",
    );
    let project = project(
        &old,
        &new.url,
        &stream(
            "where = \"at > '-infinity' or id = 4\"\nallow_precision_loss = [\"at_second\", \"at_day\"]\n[stream.columns]\nid = \"id\"\nat = \"at\"
at_second = \"at\"\nat_text = \"at::text\"\nat_day = \"at\"\nday = \"day\"\ntags = \"to_json(tags)\"\nprice = \"price\"\n",
        ),
    );
    project.run(&["run", "mappings/demo"]).expect(4);
    let rows: Vec<String> = new
        .query("select row(t.*)::text from t order by id")
        .into_iter()
        .map(|mut row| row.remove(0).expect("a row"))
        .collect();
    assert_eq!(
        rows,
        [
            "(1,infinity,infinity,infinity,infinity,-infinity,\"[\"\"a\"\", null]\",1.5000,)",
            "(2,\"2024-02-29 23:59:59.999\",\"2024-03-01 00:00:00\",\"2024-02-29 23:59:59.999Z\",2024-02-29,2024-02-29,[],NaN,)",
        ]
    );
    let rejects = new.query("select source_key, column_name, reason, detail from dbferry.reject order by id");
    let texts: Vec<Vec<&str>> = rejects
        .iter()
        .map(|row| row.iter().flatten().map(String::as_str).collect())
        .collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    for (row, (column, reason, detail)) in texts.iter().zip([
        ("at", "out_of_range", "the timestamp is beyond the year 294246"),
        ("tags", "inexact", "the array has 2 dimensions"),
        ("tags", "inexact", "the array does not begin at index 1"),
    ]) {
        assert_eq!(row[1..3], [column, reason]);
        assert!(row[3].starts_with(detail), "{row:?}");
    }
}

#[test]
fn infinity_is_no_date_in_sqlite() {
    let old = Database::create();
    old.query(
        "create table t (id int primary key, at timestamptz, day date);
         insert into t values (1, 'infinity', null), (2, null, '-infinity'), (3, '2024-02-29 00:00:00+00', '2024-02-29')",
    );
    let project = project(&old, "new.db", &stream("same_name_columns = true\n"));
    project.sqlite("new.db", "create table t (id integer primary key, at timestamptz, day date)");
    project.run(&["run", "mappings/demo"]).expect(4);
    let rows = crate::harness::sqlite_rows(&project.path("new.db"), "select id, at, day from t");
    assert_eq!(rows.len(), 1, "{rows:?}");
    let rejects = crate::harness::sqlite_rows(
        &project.path("new.db"),
        "select count(*) from dbferry_reject where reason = 'out_of_range' and detail like 'infinity, %'",
    );
    assert_eq!(rejects, ["Integer(2)|"]);
}
