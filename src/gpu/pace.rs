//! How many steps a submit may hold: as many as the device has shown to do within a budget.

use std::time::{Duration, Instant};

use crate::engine::record::SLOTS;

/// The longest that a submit is to keep the device: a host still draws its frames, and no driver
/// takes the device for hung.
pub const SUBMIT_BUDGET: Duration = Duration::from_millis(50);

/// A submit under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Submit {
    /// The program, by its place in the session.
    pub(super) program: usize,
    /// How many steps it holds.
    pub(super) steps: usize,
    /// When it was queued.
    pub(super) at: Instant,
}

/// What the reports' arrival says of the time that each program's steps take.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Steps that may share a submit, for each program that was measured.
    steps: Vec<usize>,
    /// When the last report was seen, and whether that is when its submit ended.
    last: Option<(Instant, bool)>,
}

impl Pace {
    /// How many of a program's steps may share the next submit; one until its first report.
    pub(super) fn steps(&self, program: usize) -> usize {
        self.steps.get(program).copied().unwrap_or(1)
    }

    /// Takes in that a submit's report was seen, after all those before. It was `awaited` if someone
    /// was waiting for it, so that it is seen when it comes; else it may have come long ago.
    ///
    /// The time since the submit was queued, or since the one before was seen to end, is never less
    /// than what the device took. So it may always raise the number, but lowers it only when both
    /// ends are known.
    pub(super) fn arrived(&mut self, submit: Submit, now: Instant, awaited: bool) {
        let (start, known) = match self.last {
            Some((end, _)) if submit.at >= end => (submit.at, true),
            Some((end, true)) => (end, true),
            Some((_, false)) => (submit.at, false),
            None => (submit.at, true),
        };
        self.last = Some((now, awaited));
        let step = now.saturating_duration_since(start).as_secs_f64() / submit.steps.max(1) as f64;
        // The cast saturates, also where the clock did not move.
        let fit = ((SUBMIT_BUDGET.as_secs_f64() / step) as usize).clamp(1, SLOTS);
        if self.steps.len() <= submit.program {
            self.steps.resize(submit.program + 1, 1);
        }
        let steps = &mut self.steps[submit.program];
        // The first submits may be slower than what follows, but may also be of another kind: it
        // grows to no more than twice of what was seen.
        let most = (*steps).max(2 * submit.steps);
        *steps = if awaited && known { fit.min(most) } else { fit.min(most).max(*steps) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that takes some time a step, and a clock that only the test moves.
    struct Clock {
        start: Instant,
        pace: Pace,
    }

    impl Clock {
        fn new() -> Self {
            Self { start: Instant::now(), pace: Pace::default() }
        }

        /// A submit queued at one millisecond and seen at another.
        fn seen(&mut self, steps: usize, queued: u64, seen: u64, awaited: bool) -> usize {
            let at = |ms| self.start + Duration::from_millis(ms);
            let submit = Submit { program: 0, steps, at: at(queued) };
            self.pace.arrived(submit, at(seen), awaited);
            self.pace.steps(0)
        }
    }

    #[test]
    fn it_grows_twofold_to_the_budget() {
        // 4 ms a step, back to back: each submit is queued before the last one ends.
        let (mut clock, mut now, mut steps) = (Clock::new(), 0, vec![1]);
        for _ in 0..6 {
            let count = *steps.last().expect("one");
            now += 4 * count as u64;
            steps.push(clock.seen(count, 0, now, true));
        }
        assert_eq!(steps, [1, 2, 4, 8, 12, 12, 12], "12 steps of 4 ms fit 50 ms");
    }

    #[test]
    fn a_submit_of_old_size_does_not_double_again() {
        let mut clock = Clock::new();
        for seen in 1..=3 {
            assert_eq!(clock.seen(1, 0, seen, true), 2, "three submits of one step were in flight");
        }
    }

    #[test]
    fn slow_steps_go_alone_and_fast_ones_fill_the_slots() {
        let mut clock = Clock::new();
        assert_eq!(clock.seen(8, 0, 8_000, true), 1, "a second a step");
        for _ in 0..8 {
            let steps = clock.pace.steps(0);
            clock.seen(steps, 8_000, 8_000, true);
        }
        assert_eq!(clock.pace.steps(0), SLOTS, "no time at all");
        assert_eq!(clock.seen(SLOTS, 8_000, 9_280, true), 2, "20 ms a step: it shrinks at once");
    }

    #[test]
    fn what_was_seen_late_never_lowers_and_never_counts_too_little() {
        let mut clock = Clock::new();
        clock.seen(8, 0, 8, true);
        assert_eq!(clock.pace.steps(0), 16, "1 ms a step");
        assert_eq!(clock.seen(16, 8, 5_000, false), 16, "nobody looked for five seconds");
        // Queued before the last was seen, which may have ended long before that: from 20 on.
        assert_eq!(clock.seen(16, 20, 5_001, true), 16, "it is not known when it began");
        // From here the start is known again, and the time is what it seems.
        assert_eq!(clock.seen(16, 21, 5_161, true), 5, "10 ms a step");
        // Seen at once with the one before: it took at most the time since it was queued.
        clock.seen(5, 5_200, 6_000, false);
        assert_eq!(clock.seen(5, 5_250, 6_000, false), 5, "750 ms, not none");
    }

    #[test]
    fn programs_have_their_own_pace() {
        let mut clock = Clock::new();
        let start = clock.start;
        let submit = Submit { program: 2, steps: 4, at: start };
        clock.pace.arrived(submit, start + Duration::from_millis(20), true);
        let steps: Vec<_> = (0..4).map(|program| clock.pace.steps(program)).collect();
        assert_eq!(steps, [1, 1, 8, 1], "5 ms a step of the third program");
    }
}
