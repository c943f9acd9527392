//! How long a build waits for a remote: a deadline for all its lookups together, and after a
//! failure none at all for a while.

use crate::local::{Local, State};
use std::time::{Duration, Instant};

/// How long the remote is left alone after it failed; twice as long after each further failure.
const FIRST_PAUSE: u64 = 30;

/// But no longer than this, in seconds.
const LONGEST_PAUSE: u64 = 10 * 60;

/// A build's lookups come one after the other: after so long without one, another build has
/// begun that did not say so.
const ANOTHER_BUILD: Duration = Duration::from_secs(30);

/// What is left of the patience of a build.
#[derive(Debug)]
pub(crate) struct Patience {
    deadline: Duration,
    spent: Duration,
    last: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(deadline: Duration) -> Patience {
        Patience {
            deadline,
            spent: Duration::ZERO,
            last: None,
        }
    }

    /// How long the next lookup may take; `None` if it is not to be made.
    pub(crate) fn left(&mut self, now: Instant) -> Option<Duration> {
        if self.last.is_some_and(|last| now - last > ANOTHER_BUILD) {
            self.begin_anew();
        }
        let left = self.deadline.saturating_sub(self.spent);
        (!left.is_zero()).then_some(left)
    }

    /// A lookup took so long.
    pub(crate) fn spend(&mut self, time: Duration, now: Instant) {
        self.spent += time;
        self.last = Some(now);
    }

    /// A build has ended.
    pub(crate) fn begin_anew(&mut self) {
        self.spent = Duration::ZERO;
        self.last = None;
    }
}

/// Whether the remote is to be left alone at the time `now`, in seconds since 1970. A clock that
/// was put back does not close it for longer than the longest pause.
pub(crate) fn is_closed(state: &State, now: u64) -> bool {
    now < state.closed_until && state.closed_until - now <= LONGEST_PAUSE
}

/// Leaves the remote alone for a while, and says so to others on this machine.
pub(crate) fn close(local: &Local, state: &mut State, now: u64) {
    state.closed_for = match state.closed_for {
        0 => FIRST_PAUSE,
        before => (2 * before).min(LONGEST_PAUSE),
    };
    state.closed_until = now + state.closed_for;
    local.set_state(*state);
}

/// The remote has answered: the next failure is a first one.
pub(crate) fn open(local: &Local, state: &mut State) {
    if state.closed_for != 0 {
        (state.closed_for, state.closed_until) = (0, 0);
        local.set_state(*state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_waits_no_longer_than_the_deadline() {
        let mut patience = Patience::new(Duration::from_secs(2));
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(patience.left(start), Some(2 * second));
        patience.spend(second, start + second);
        assert_eq!(patience.left(start + second), Some(second));
        patience.spend(2 * second, start + 3 * second);
        assert_eq!(patience.left(start + 3 * second), None);
        assert_eq!(patience.left(start + 40 * second), Some(2 * second));
        patience.spend(2 * second, start + 42 * second);
        patience.begin_anew();
        assert_eq!(patience.left(start + 42 * second), Some(2 * second));
    }

    #[test]
    fn a_remote_that_fails_is_left_alone_for_longer_and_longer() {
        let (local, mut state) = (Local::open(None), State::default());
        assert!(!is_closed(&state, 1000));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            close(&local, &mut state, 1000);
            assert!(is_closed(&state, 1000) && !is_closed(&state, state.closed_until));
            pauses.push(state.closed_for);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        assert!(!is_closed(&state, 0), "the clock was put back");
        open(&local, &mut state);
        assert!(!is_closed(&state, 1000));
        close(&local, &mut state, 1000);
        assert_eq!(state.closed_for, 30);
    }
}
