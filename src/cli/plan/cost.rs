//! What a run will cost, of sources that are paid for by what is asked of them, for people.

use crate::cli::figures;
use crate::cli::output::visible;
use crate::pipeline::passes::Pass;
use crate::pipeline::plan::Plan;

/// Per how many rows a cost is told whose rows nobody knows.
pub(super) const ROWS: u64 = 1000;

/// A line for each reading and for what planning itself has cost, with a blank line behind them;
/// nothing where nothing is paid for.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.passes.iter().map(pass).collect();
    lines.extend(plan.spent().iter().map(|spent| {
        let requests = figures::counted(spent.requests, "request");
        format!(
            "cost of this plan: {} of {} in {requests}",
            figures::units(spent.request_units),
            spent.connection
        )
    }));
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.iter().map(|line| visible(line)).collect()
}

fn pass(pass: &Pass) -> String {
    let streams = u64::try_from(pass.streams.len()).unwrap_or(u64::MAX);
    let read = format!(
        "cost of {}, read once for {}",
        pass.source,
        figures::counted(streams, "stream")
    );
    let basis = format!("measured on {}", figures::counted(pass.sample.rows, "document"));
    match (pass.request_units(), pass.rows_estimate, pass.sample.of_rows(ROWS)) {
        (Some(units), Some(rows), _) => {
            let rows = figures::counted(rows, "document");
            format!("{read}: about {} for about {rows} ({basis})", figures::units(units))
        }
        (_, _, Some(units)) => format!(
            "{read}: about {} for each {} documents ({basis}; how many there are is not known)",
            figures::units(units),
            figures::count(ROWS)
        ),
        _ => format!("{read}: there is no document to measure it on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::spent::Sample;

    #[test]
    fn a_cost_is_told_with_what_it_is_based_on() {
        let mut one = Pass {
            connection: "cosmos".to_owned(),
            source: "cosmos.documents".to_owned(),
            streams: vec!["a".to_owned(), "b".to_owned()],
            rows_estimate: Some(100_000),
            sample: Sample {
                rows: 100,
                milli_units: 2_830,
            },
        };
        let begin = "cost of cosmos.documents, read once for 2 streams: ";
        assert_eq!(
            pass(&one),
            format!("{begin}about 2,830 RU for about 100,000 documents (measured on 100 documents)")
        );
        one.rows_estimate = None;
        assert_eq!(
            pass(&one),
            format!("{begin}about 28.3 RU for each 1,000 documents (measured on 100 documents; how many there are is not known)")
        );
        one.sample.rows = 0;
        assert_eq!(pass(&one), format!("{begin}there is no document to measure it on"));
    }
}
