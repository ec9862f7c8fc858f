//! Where the time of a block goes, from the metrics of a node.

use super::node::Node;

/// The stages of a block, in their order.
const STAGES: [&str; 7] = ["queue", "gossip", "transition", "payload", "db", "data", "store"];
/// What is shown of calls to the execution client.
const CALLS: [&str; 5] = [
    "engine_newPayloadV4",
    "engine_forkchoiceUpdatedV3",
    "engine_getPayloadV5",
    "engine_getBlobsV2",
    "engine_getPayloadBodiesByHashV1",
];

/// Observations of a histogram.
struct Times {
    count: f64,
    sum: f64,
    /// The upper bound of the bucket in which the 95th of a hundred is.
    most: f64,
}

/// Prints how long blocks were in each stage, and how long calls to the execution client took.
pub fn print(node: &Node) {
    let metrics = node.metrics();
    println!("| {} | times | mean ms | 95 of 100 within ms |\n|---|---|---|---|", node.name);
    let mut total = 0.0;
    for (name, label, metric) in STAGES
        .map(|stage| (stage, format!("stage=\"{stage}\""), "hornero_block_stage_seconds"))
        .into_iter()
        .chain(CALLS.map(|call| (call, format!("method=\"{call}\""), "hornero_execution_request_seconds")))
    {
        let Some(times) = times(&metrics, metric, &label) else { continue };
        let mean = times.sum / times.count * 1e3;
        total += if metric.contains("stage") { mean } else { 0.0 };
        println!("| {name} | {} | {mean:.1} | {:.0} |", times.count, times.most * 1e3);
    }
    println!("| all stages | | {total:.1} | |");
    assert!(total > 0.0, "no block was timed");
}

fn times(metrics: &str, name: &str, label: &str) -> Option<Times> {
    let of = |suffix: &str| {
        let name = format!("{name}_{suffix}{{");
        let lines = metrics.lines().filter(move |line| line.starts_with(&name) && line.contains(label));
        lines.filter_map(|line| Some((line, line.rsplit(' ').next()?.parse::<f64>().ok()?)))
    };
    let count = of("count").next()?.1;
    let sum = of("sum").next()?.1;
    let bucket = |line: &str| line.split("le=\"").nth(1)?.split('"').next()?.parse::<f64>().ok();
    let most = of("bucket").find(|(_, here)| *here >= count * 0.95).and_then(|(line, _)| bucket(line))?;
    (count > 0.0).then_some(Times { count, sum, most })
}
