//! What a program reports: numbers under names, and the guard's status.
//!
//! Who records a program names the numbers; a session only brings them back, and knows no name.

use std::collections::VecDeque;

use crate::engine::Tensor;

/// The most numbers that a program reports.
pub const VALUES: usize = 15;

/// Floats of a slot: the guard's status as the steps before left it, then the numbers.
pub const SLOT: usize = VALUES + 1;

/// What one run of a program reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The tick of the run, as the session counted it.
    pub tick: u32,
    /// The numbers, at the places of their names in [`ReportSpec::names`]; those that no name has
    /// are zero.
    pub values: [f64; VALUES],
    /// The guard's status: not zero once something was not finite.
    pub status: u32,
}

/// Where the programs of a plan leave what they report.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// A slot of [`SLOT`] floats for each run of a submit.
    pub values: Tensor,
    /// The guard's words: what one says or the other is the status.
    pub guard: Tensor,
}

/// What the programs of a plan report, and where.
#[derive(Clone, Debug)]
pub struct ReportSpec {
    /// The names of the numbers, in their order.
    pub names: Vec<String>,
    /// Where they lie.
    pub slots: Slots,
}

impl ReportSpec {
    /// The place of a name among the numbers of a [`Report`], if they are reported under it.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }
}

/// The most reports that a session keeps for nobody.
pub const UNTAKEN: usize = 1024;

/// The reports of a session that were not taken yet, in the order of their ticks.
#[derive(Debug, Default)]
pub(crate) struct Untaken {
    reports: VecDeque<(Report, bool)>,
    /// How many of them nobody awaits.
    unawaited: usize,
}

impl Untaken {
    /// Keeps a report. One that is `awaited` stays until it is taken; of the others the newest
    /// [`UNTAKEN`] do.
    pub(crate) fn keep(&mut self, report: Report, awaited: bool) {
        self.reports.push_back((report, awaited));
        self.unawaited += usize::from(!awaited);
        if self.unawaited > UNTAKEN {
            let oldest = self.reports.iter().position(|&(_, awaited)| !awaited);
            self.reports.remove(oldest.expect("some are counted"));
            self.unawaited -= 1;
        }
    }

    /// Takes the oldest.
    pub(crate) fn take(&mut self) -> Option<Report> {
        let (report, awaited) = self.reports.pop_front()?;
        self.unawaited -= usize::from(!awaited);
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_that_nobody_awaits_are_few_and_the_newest() {
        let report = |tick| Report { tick, values: [0.0; VALUES], status: 0 };
        let mut untaken = Untaken::default();
        // Before those that nobody awaits, and among them.
        let awaited = |tick: u32| tick < 5 || tick == 100_000;
        (0..200_000).for_each(|tick| untaken.keep(report(tick), awaited(tick)));
        let ticks: Vec<_> = std::iter::from_fn(|| untaken.take()).map(|r| r.tick).collect();
        let newest = 200_000 - UNTAKEN as u32..200_000;
        let expected: Vec<_> = (0..5).chain([100_000]).chain(newest).collect();
        assert_eq!(ticks, expected, "the awaited ones, then the newest");
        untaken.keep(report(7), false);
        assert_eq!(untaken.take().map(|r| r.tick), Some(7), "what is taken counts no more");
    }
}
