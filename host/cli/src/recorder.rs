//! The recorder of what `floret serve` counts, and how it is written for Prometheus.

use std::time::Duration;

use anyhow::Result;
use floret_server::Exposition;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Edges of what a request or a call takes, in seconds.
const SHORT: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 60.0,
];
/// Edges of what a cascade and its steps take, in seconds.
const LONG: [f64; 12] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_200.0];
/// What was timed is put into its buckets so often, whether anybody asks or not: until then each time takes 8 bytes.
const SORT_EVERY: Duration = Duration::from_secs(5);

/// What was counted since it was installed.
pub(crate) struct Recorder(PrometheusHandle);

impl Recorder {
    /// Install it for the whole process.
    ///
    /// # Errors
    /// Where there is one already.
    pub(crate) fn install() -> Result<Self> {
        let of = |name: &str| Matcher::Prefix(name.to_owned());
        let handle = PrometheusBuilder::new()
            .set_buckets(&SHORT)?
            .set_buckets_for_metric(of("floret_cascade_"), &LONG)?
            .set_buckets_for_metric(of("floret_step_"), &LONG)?
            .install_recorder()?;
        Ok(Self(handle))
    }

    /// What writes it.
    pub(crate) fn exposition(&self) -> Exposition {
        let handle = self.0.clone();
        Exposition::new(move || handle.render())
    }

    /// Keep it small, for as long as it is in use.
    pub(crate) async fn tend(&self) {
        loop {
            tokio::time::sleep(SORT_EVERY).await;
            self.0.run_upkeep();
        }
    }
}
