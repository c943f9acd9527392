//! Requests to the object store: how many, what they cost, how long they take.

use super::parameters::{Parameters, Store};
use super::random::Random;
use serde::Serialize;
use std::ops::AddAssign;

/// A request to the object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Get(u64),
    Put(u64),
    List,
}

/// Requests at once; when all are answered come the next ones.
pub(super) type Stage = Vec<Request>;

impl Request {
    pub(super) fn milliseconds(self, store: &Store, random: &mut Random) -> f64 {
        let (first, bytes) = match self {
            Request::Get(bytes) => (store.get_ms, bytes),
            Request::Put(bytes) => (store.put_ms, bytes),
            Request::List => (store.list_ms, 0),
        };
        random.lognormal(first) + 1e3 * bytes as f64 / store.bytes_per_second
    }
}

/// How long all of `stages` take, one after the other.
pub(super) fn milliseconds(stages: &[Stage], store: &Store, random: &mut Random) -> f64 {
    let stage = |stage: &Stage| {
        let times = stage
            .iter()
            .map(|request| request.milliseconds(store, random));
        times.fold(0.0, f64::max)
    };
    stages.iter().map(stage).sum()
}

/// How many requests there were, and how many bytes went to and fro.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Traffic {
    /// GET.
    pub gets: f64,
    /// PUT.
    pub puts: f64,
    /// LIST.
    pub lists: f64,
    /// DELETE, which is free.
    pub deletes: f64,
    /// Bytes that were read.
    pub down: f64,
    /// Bytes that were written.
    pub up: f64,
}

impl Traffic {
    pub(super) fn of(stages: &[Stage]) -> Traffic {
        let mut traffic = Traffic::default();
        stages
            .iter()
            .flatten()
            .for_each(|request| traffic.add(*request));
        traffic
    }

    pub(super) fn add(&mut self, request: Request) {
        match request {
            Request::Get(bytes) => {
                (self.gets, self.down) = (self.gets + 1.0, self.down + bytes as f64)
            }
            Request::Put(bytes) => (self.puts, self.up) = (self.puts + 1.0, self.up + bytes as f64),
            Request::List => self.lists += 1.0,
        }
    }

    pub(super) fn times(self, factor: f64) -> Traffic {
        Traffic {
            gets: self.gets * factor,
            puts: self.puts * factor,
            lists: self.lists * factor,
            deletes: self.deletes * factor,
            down: self.down * factor,
            up: self.up * factor,
        }
    }

    /// GETs and LISTs, for which there is one limit.
    pub fn reads(&self) -> f64 {
        self.gets + self.lists
    }

    /// What the requests cost, in dollars.
    pub fn dollars(&self, parameters: &Parameters) -> f64 {
        let Store {
            thousand_gets,
            thousand_puts,
            ..
        } = parameters.store;
        (self.gets * thousand_gets + (self.puts + self.lists) * thousand_puts) / 1e3
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Traffic) {
        self.gets += other.gets;
        self.puts += other.puts;
        self.lists += other.lists;
        self.deletes += other.deletes;
        self.down += other.down;
        self.up += other.up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_and_paid() {
        let stages = [
            vec![Request::List, Request::Get(100)],
            vec![Request::Get(1000), Request::Get(10), Request::Put(5)],
        ];
        let traffic = Traffic::of(&stages);
        let expected = Traffic {
            gets: 3.0,
            puts: 1.0,
            lists: 1.0,
            deletes: 0.0,
            down: 1110.0,
            up: 5.0,
        };
        assert_eq!(traffic, expected);
        // Two at 5 and three at 0.4 millionths.
        let dollars = traffic.times(1e6).dollars(&Parameters::default());
        assert!((dollars - 11.2).abs() < 1e-9, "{dollars}");
    }

    #[test]
    fn a_stage_takes_as_long_as_its_slowest_request() {
        let mut store = Parameters::default().store;
        store.get_ms = (20.0, 20.0);
        let stages = [
            vec![Request::Get(8_000_000), Request::Get(80_000_000)],
            vec![Request::Get(0)],
        ];
        let took = milliseconds(&stages, &store, &mut Random::new(1));
        assert!((took - (1020.0 + 20.0)).abs() < 1e-6, "{took}");
    }
}
