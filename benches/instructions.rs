#![expect(clippy::expect_used, reason = "a measurement that cannot begin has failed")]
//! Carries out one step of a row's way so many times, and nothing else: scripts/instructions.sh counts
//! the instructions that the processor executes meanwhile. Without arguments it prints the names of
//! all steps, and over how many rows each goes.

use std::io::Write as _;

mod hot;

fn main() {
    // `cargo bench` adds an argument of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(name) = arguments.next() else {
        let mut out = std::io::stdout().lock();
        for (name, _) in hot::STEPS {
            writeln!(out, "{name} {}", hot::ROWS).expect("somebody reads");
        }
        return;
    };
    let times = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(1);
    let (_, make_ready) = hot::STEPS.into_iter().find(|step| step.0 == name).expect("a name of a step");
    let mut step = make_ready();
    for _ in 0..times {
        step();
    }
}
