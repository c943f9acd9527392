//! All machines begin at once: what the limit of requests a second does to them.

use super::objects::{Request, Stage};
use super::parameters::Store;
use super::random::Random;
use ibid_remote::model::PAUSES;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Morning {
    /// Requests in the busiest second, with those that were refused.
    pub most_in_a_second: u64,
    /// Of all machines, the share whose lookup failed: a request was refused four times.
    pub failed: f64,
    /// The share whose lookups took longer than a build waits.
    pub late: f64,
}

/// How long the server takes to refuse, in milliseconds.
const REFUSAL: f64 = 10.0;

/// A machine in the middle of its lookups.
struct Client<'t> {
    stages: &'t [Stage],
    began: f64,
    stage: usize,
    unanswered: usize,
    answered_at: f64,
    has_failed: bool,
}

/// So many `machines` begin within `seconds`, each with one of `plans`; the server answers `limit`
/// requests a second. A build waits for `deadline` milliseconds.
pub(super) fn begin(
    plans: &[&[Stage]],
    machines: u64,
    seconds: f64,
    limit: u64,
    deadline: f64,
    store: &Store,
) -> Morning {
    let mut random = Random::new(3);
    let plans: Vec<&[Stage]> = plans
        .iter()
        .copied()
        .filter(|plan| !plan.is_empty())
        .collect();
    if plans.is_empty() {
        return Morning::default();
    }
    // When, in microseconds, which client, which request of its stage, asked how often before.
    let mut queue: BinaryHeap<Reverse<(u64, usize, usize, usize)>> = BinaryHeap::new();
    let micros = |milliseconds: f64| (milliseconds * 1e3) as u64;
    let mut clients: Vec<Client<'_>> = Vec::new();
    for number in 0..machines as usize {
        let began = random.between(0.0, seconds * 1e3);
        let stages = plans[random.below(plans.len())];
        for request in 0..stages[0].len() {
            queue.push(Reverse((micros(began), number, request, 0)));
        }
        clients.push(Client {
            stages,
            began,
            stage: 0,
            unanswered: stages[0].len(),
            answered_at: began,
            has_failed: false,
        });
    }
    // What was asked and what was answered in each second.
    let (mut asked, mut answered): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
    while let Some(Reverse((at, number, request, before))) = queue.pop() {
        let client = &mut clients[number];
        let second = (at / 1_000_000) as usize;
        if asked.len() <= second {
            asked.resize(second + 1, 0);
            answered.resize(second + 1, 0);
        }
        asked[second] += 1;
        let mut done_at = at as f64 / 1e3;
        if answered[second] < limit {
            answered[second] += 1;
            let asked: Request = client.stages[client.stage][request];
            done_at += asked.milliseconds(store, &mut random);
        } else if let Some(pause) = PAUSES.get(before) {
            let again = done_at + REFUSAL + pause.as_secs_f64() * 1e3;
            queue.push(Reverse((micros(again), number, request, before + 1)));
            continue;
        } else {
            client.has_failed = true;
        }
        client.answered_at = client.answered_at.max(done_at);
        client.unanswered -= 1;
        if client.unanswered > 0 || client.has_failed {
            continue;
        }
        client.stage += 1;
        // Who has waited too long asks no more.
        if client.answered_at - client.began < deadline
            && let Some(stage) = client.stages.get(client.stage)
        {
            client.unanswered = stage.len();
            for request in 0..stage.len() {
                queue.push(Reverse((micros(client.answered_at), number, request, 0)));
            }
        }
    }
    let share = |is_so: &dyn Fn(&Client<'_>) -> bool| {
        clients.iter().filter(|client| is_so(client)).count() as f64 / clients.len() as f64
    };
    Morning {
        most_in_a_second: asked.into_iter().max().unwrap_or(0),
        failed: share(&|client| client.has_failed),
        late: share(&|client| !client.has_failed && client.answered_at - client.began >= deadline),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Parameters;
    use super::*;

    #[test]
    fn what_is_within_the_limit_is_answered_and_the_rest_asks_again() {
        let mut store = Parameters::default().store;
        store.get_ms = (20.0, 20.0);
        let stages = vec![vec![Request::Get(0); 2], vec![Request::Get(0)]];
        let begin = |limit| begin(&[&stages], 100, 0.001, limit, 2000.0, &store);
        let easy = Morning {
            most_in_a_second: 300,
            failed: 0.0,
            late: 0.0,
        };
        assert_eq!(begin(1000), easy);
        // Of 200 at once 100 are answered; the others ask again after 50, 200 and 500 ms, all
        // within the first second, and fail.
        let hard = begin(100);
        assert!(hard.failed >= 0.5, "{hard:?}");
        assert_eq!(hard.late, 0.0);
        let begin_slowly = super::begin(&[&stages], 100, 10.0, 100, 2000.0, &store);
        assert_eq!(begin_slowly.failed, 0.0);
        assert!(super::begin(&[], 5, 1.0, 1, 1.0, &store) == Morning::default());
    }
}
