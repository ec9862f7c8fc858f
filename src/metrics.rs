//! Every metric that the node exports, the small functions that set them, and the text that Prometheus reads.
//!
//! One registry per process: the nodes of a `devnet` share it, and for a gauge the last one to write is seen. A metric is
//! a constant in the [`names`] table; only those in [`ALL`] are described, and the Grafana dashboard may use only those.

mod names;
mod process;

pub use names::*;
pub use process::{peak_resident_bytes, processor_seconds, resident_bytes};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

/// What a metric is, for Prometheus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations; the upper bounds of its buckets, in the metric's unit, ascending.
    Histogram(&'static [f64]),
}

/// One exported metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name that Prometheus sees; starts with `hornero_`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// One sentence for the person who reads it, with the unit.
    pub help: &'static str,
    /// The labels that every use of it gives, in this order.
    pub labels: &'static [&'static str],
}

impl Metric {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help, labels: &[] }
    }

    const fn by(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    fn check_use(&self, labels: Labels) {
        debug_assert!(labels.iter().map(|(key, _)| key).eq(self.labels), "labels of {}: {labels:?}", self.name);
    }
}

/// Label names with their values. A value is a constant of the program, so nothing that a peer sends can become one and
/// the number of series has a bound.
pub type Labels<'a> = &'a [(&'static str, &'static str)];

/// Adds one to a counter.
pub fn inc(metric: &Metric, labels: Labels) {
    add(metric, labels, 1);
}

/// Adds `amount` to a counter.
pub fn add(metric: &Metric, labels: Labels, amount: u64) {
    metric.check_use(labels);
    debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
    metrics::counter!(metric.name, labels).increment(amount);
}

/// Sets a gauge.
pub fn set(metric: &Metric, labels: Labels, value: f64) {
    metric.check_use(labels);
    debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
    metrics::gauge!(metric.name, labels).set(value);
}

/// Records one observation in a histogram.
pub fn observe(metric: &Metric, labels: Labels, value: f64) {
    metric.check_use(labels);
    debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
    metrics::histogram!(metric.name, labels).record(value);
}

/// The registry as Prometheus reads it. Clones share the one registry of the process.
#[derive(Clone)]
pub struct Exporter(PrometheusHandle);

impl Exporter {
    /// The body of `/metrics`: text format 0.0.4, with the process's memory and processor time read now.
    pub fn render(&self) -> String {
        process::update();
        self.0.render()
    }

    /// Folds recent observations into their buckets. To be called every few seconds: without it, and without a scraper,
    /// the observations of histograms would pile up.
    pub fn run_upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Installs the process's registry on the first call; every call returns the same one. What is counted before the first
/// call is lost.
pub fn install() -> Exporter {
    static INSTALLED: OnceLock<Exporter> = OnceLock::new();
    INSTALLED.get_or_init(build).clone()
}

fn build() -> Exporter {
    let recorder = ALL.iter().fold(PrometheusBuilder::new(), with_buckets).build_recorder();
    let exporter = Exporter(recorder.handle());
    // A program that embeds the library may have its own recorder: the metrics then go there.
    let _ = metrics::set_global_recorder(recorder);
    ALL.iter().for_each(|metric| describe(metric));
    process::set_start_time();
    exporter
}

fn with_buckets(builder: PrometheusBuilder, metric: &&Metric) -> PrometheusBuilder {
    let Kind::Histogram(buckets) = metric.kind else { return builder };
    let matcher = Matcher::Full(metric.name.to_string());
    builder.set_buckets_for_metric(matcher, buckets).expect("a test checks that no histogram is without buckets")
}

/// Gives the metric its help text. One without labels also begins at zero, so that "nothing yet" is not "not exported".
fn describe(metric: &Metric) {
    let unlabelled = metric.labels.is_empty();
    match metric.kind {
        Kind::Counter => {
            metrics::describe_counter!(metric.name, metric.help);
            unlabelled.then(|| metrics::counter!(metric.name).absolute(0));
        }
        Kind::Gauge => {
            metrics::describe_gauge!(metric.name, metric.help);
            unlabelled.then(|| metrics::gauge!(metric.name).set(0.0));
        }
        Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
    }
}

#[cfg(test)]
mod tests;
