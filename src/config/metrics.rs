//! Figures of a run for a monitoring system: where they are served.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::data::document::{Marked, Reader};
use crate::data::finding::Finding;

/// Figures of a run for Prometheus, served over HTTP while it goes on: `[metrics]`. Without an
/// address nothing is served.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsEntry {
    /// Address and port to listen on; on another address than loopback whoever reaches it may read
    /// them. `--metrics` goes before this one: `address = "127.0.0.1:9187"`.
    #[schemars(example = &"127.0.0.1:9187")]
    address: Option<Marked<String>>,
}

/// Checks the table.
pub(super) fn check(reader: &mut Reader, entry: MetricsEntry) -> Option<SocketAddr> {
    let address = reader.locate(entry.address?);
    let found = address.value.parse().ok();
    if found.is_none() {
        reader.findings.push(
            Finding::error("config::bad_address", Some(address.place), "this is no address to listen on")
                .label("not usable")
                .help("an IP address with a port, such as 127.0.0.1:9187"),
        );
    }
    found
}
