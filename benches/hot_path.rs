#![expect(clippy::expect_used, reason = "a benchmark that cannot begin has failed")]
//! Time of each step that every row goes through: `cargo bench --bench hot_path`. How many
//! instructions it takes is checked by scripts/instructions.sh.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod hot;

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hot_path");
    group.throughput(Throughput::Elements(hot::ROWS as u64));
    for (name, make_ready) in hot::STEPS {
        group.bench_function(name, |bencher| bencher.iter(make_ready()));
    }
    group.finish();
}

criterion_group!(benches, measure);
criterion_main!(benches);
