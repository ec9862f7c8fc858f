use super::*;

/// Gossip of 400 kB/s, and a node that has all it needs.
fn well() -> Standing<'static> {
    Standing {
        gossip: 400e3,
        budget: BudgetConfig::default(),
        overdrawn: [false; 2],
        target: 24,
        peers: 24,
        subnets: &[],
    }
}

fn limits(down: Option<u64>, up: Option<u64>) -> BudgetConfig {
    BudgetConfig { download: down, upload: up, data_cap: None }
}

/// What is said when things stand so for so many seconds, each line with its second; a look every ten.
fn said(lacks: &mut Lacks, from: Instant, seconds: u64, standing: &Standing) -> Vec<(u64, Line)> {
    let looks = (0..seconds).step_by(10);
    looks
        .flat_map(|at| {
            let lines = lacks.look(from + Duration::from_secs(at), standing);
            lines.into_iter().map(move |line| (at, line))
        })
        .collect()
}

/// The one warning, and when it came.
fn warning(said: &[(u64, Line)]) -> (u64, &str) {
    match said {
        [(at, Line::Warning(text))] => (*at, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_has_all_hears_nothing() {
    let enough = Standing { budget: limits(Some(500_000), Some(500_000)), ..well() };
    for standing in [well(), enough, Standing { peers: NEEDED_PEERS, ..well() }] {
        assert_eq!(said(&mut Lacks::default(), Instant::now(), 86_400, &standing), []);
    }
}

#[test]
fn a_limit_below_what_gossip_takes_is_said_at_once_and_seldom_after() {
    let now = Instant::now();
    let standing = Standing { budget: limits(None, Some(125_000)), ..well() };
    let day = said(&mut Lacks::default(), now, 86_400, &standing);
    let times: Vec<u64> = day.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 21_600, 43_200, 64_800]);
    let (_, text) = warning(&day[..1]);
    for part in ["3.2 mbit/s each way", "1.0 mbit/s up (--max-bandwidth or --max-upload)", "allow 4mbit"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("down"), "{text}");
    let both = Standing { budget: limits(Some(125_000), Some(250_000)), ..well() };
    let both = Lacks::default().look(now, &both);
    let [Line::Warning(text)] = &both[..] else { panic!("{both:?}") };
    assert!(text.contains("1.0 mbit/s down (") && text.contains(" and 2.0 mbit/s up ("), "{text}");
}

#[test]
fn gossip_that_owes_for_ten_minutes_is_told_of() {
    let now = Instant::now();
    let mut lacks = Lacks::default();
    let owes = Standing { budget: limits(Some(500_000), Some(500_000)), overdrawn: [true, false], ..well() };
    let (at, text) = said(&mut lacks, now, 3600, &owes).first().map(|(at, line)| (*at, line.clone())).unwrap();
    assert_eq!(at, LASTING.as_secs());
    assert!(matches!(&text, Line::Warning(text) if text.contains("more down") && text.contains("--max-download")));
    // An hour later it has come down, which counts when it has lasted.
    let paid = Standing { overdrawn: [false; 2], ..owes };
    let over = said(&mut lacks, now + Duration::from_secs(3600), 3600, &paid);
    assert_eq!(over.len(), 1);
    assert!(over[0].0 == LASTING.as_secs() && matches!(over[0].1, Line::Over(_)), "{over:?}");
    // A debt that is paid again and again is none.
    let mut lacks = Lacks::default();
    for turn in 0..200 {
        let begin = now + Duration::from_secs(600) * turn;
        assert_eq!(said(&mut lacks, begin, 590, &owes), []);
        assert_eq!(said(&mut lacks, begin + Duration::from_secs(590), 10, &paid), []);
    }
}

#[test]
fn a_debt_that_the_limit_explains_is_not_said_beside_it() {
    let standing = Standing { budget: limits(Some(125_000), None), overdrawn: [true, false], ..well() };
    warning(&said(&mut Lacks::default(), Instant::now(), 7200, &standing));
}

#[test]
fn a_target_below_need_is_said_at_once() {
    let standing = Standing { target: 3, peers: 0, ..well() };
    let said = said(&mut Lacks::default(), Instant::now(), 7200, &standing);
    let (at, text) = warning(&said);
    assert!(at == 0 && text.contains("--target-peers 3 is less than the 8"), "{text}");
}

#[test]
fn few_peers_are_told_of_when_they_stay_few() {
    let now = Instant::now();
    let mut lacks = Lacks::default();
    let few = Standing { peers: 5, ..well() };
    // As every start has it.
    assert_eq!(said(&mut lacks, now, LASTING.as_secs(), &few), []);
    let later = now + LASTING;
    let first = said(&mut lacks, later, 3600, &few);
    let (at, text) = warning(&first);
    assert!(at == 0 && text.contains("now 5") && text.contains("the 8 peers"), "{text}");
    // One more for a moment, and then enough.
    let later = later + Duration::from_secs(3600);
    assert_eq!(said(&mut lacks, later, 300, &well()), []);
    assert_eq!(said(&mut lacks, later + Duration::from_secs(300), 300, &few), []);
    let over = said(&mut lacks, later + Duration::from_secs(600), 3600, &well());
    assert!(matches!(over[..], [(600, Line::Over(_))]), "{over:?}");
}

#[test]
fn subnets_of_nobody_are_named() {
    let on = |peers: usize| move |subnet| SubnetPeers { topic: Topic::DataColumnSidecar(subnet), peers };
    let subnets: Vec<SubnetPeers> = (0..6).map(on(0)).chain((6..9).map(on(1))).collect();
    let standing = Standing { subnets: &subnets, ..well() };
    let said_of = |standing: &Standing| said(&mut Lacks::default(), Instant::now(), 3600, standing);
    let all = said_of(&standing);
    let (at, text) = warning(&all);
    assert_eq!(at, LASTING.as_secs());
    assert!(text.contains("data_column_sidecar_0, ") && text.contains("data_column_sidecar_3, 2 more:"), "{text}");
    let thin: Vec<SubnetPeers> = (0..6).map(on(1)).collect();
    assert_eq!(said_of(&Standing { subnets: &thin, ..well() }), []);
    // Who has no peers at all hears that only.
    let alone = said_of(&Standing { peers: 0, subnets: &subnets, ..well() });
    assert!(warning(&alone).1.contains("now 0"));
}
