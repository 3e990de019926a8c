//! That nodes of the tests do what tests rely on.

use scylla::frame::types::Consistency;

use super::node::{Node, Setup};
use super::{Cql, Keyspace};

#[test]
fn what_a_node_confirmed_is_there_after_it_was_killed() {
    let node = Node::start();
    let keyspace = Keyspace::fresh_on(&node.url(), 1);
    keyspace.run(["CREATE TABLE t (id int PRIMARY KEY, note text)"]);
    for id in 0..50 {
        keyspace.run([format!("INSERT INTO t (id, note) VALUES ({id}, 'x')").as_str()]);
    }
    node.kill();
    node.restart();
    let client = Cql::connect(&node.url());
    assert_eq!(client.count(&format!("{}.t", keyspace.name)), 50);
}

#[test]
fn a_second_node_holds_the_rows_too() {
    let first = Node::start();
    let second = Node::start_as(&Setup {
        beside: Some(&first),
        ..Setup::default()
    });
    let keyspace = Keyspace::fresh_on(&first.url(), 2);
    keyspace.run(["CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t (id) VALUES (1)"]);
    let name = format!("{}.t", keyspace.name);
    let client = Cql::connect_to_any(&second.url());
    assert_eq!(client.count(&name), 1);
    first.kill();
    assert_eq!(client.count(&name), 1);
    let refused = Cql::connect(&second.url()).try_rows(&format!("INSERT INTO {name} (id) VALUES (2)"));
    assert!(refused.is_err(), "one of two replicas is a quorum");
}

#[test]
fn a_node_may_speak_tls_alone() {
    let node = Node::start_as(&Setup {
        tls: true,
        passwords: true,
        ..Setup::default()
    });
    assert!(Cql::try_connect(&node.url(), Consistency::One).is_err());
    let script = format!(
        "openssl s_client -connect {}:9042 -CAfile {} -verify_ip {} -verify_return_error </dev/null",
        node.address(),
        node.ca_file().display(),
        node.address()
    );
    let spoken = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh");
    let told = String::from_utf8_lossy(&spoken.stdout).into_owned();
    assert!(told.contains("Verify return code: 0 (ok)"), "{told}\n{}", node.log());
}
