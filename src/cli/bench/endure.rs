//! `elbo bench --stress`: the same steps over and over, whether their bits repeat, and how their speed holds.

use std::time::{Duration, Instant};

use elbo::bench::{self, Better, Comparison, Design, Figure, Stress, Stressed, Verdict};
use elbo::{Device, Error, Result};

use crate::cli::bench::about::About;
use crate::cli::bench::output::Printer;
use crate::cli::bench::workload::Workload;
use crate::cli::bench::{Args, TOLD};

/// Steps of a round.
const ROUND: u64 = 64;

/// Intervals that the time is divided into.
const INTERVALS: u32 = 40;

/// The time that was typed, in minutes.
pub(super) fn minutes(minutes: f64) -> Result<Duration> {
    if !(minutes > 0.0 && minutes <= 1e6) {
        let what = format!("`stress` is {minutes}; it must be above 0 and at most a million");
        return Err(Error::config(what).hint("it is in minutes, and may be a fraction"));
    }
    Ok(Duration::from_secs_f64(60.0 * minutes))
}

/// Steps a second in each interval, and how hot it was where the system tells.
#[derive(Default)]
struct Course {
    began: Stressed,
    speeds: Vec<f64>,
    heat: Vec<f64>,
}

impl Course {
    /// Takes in what was done so far, if that ends an interval.
    fn hear(&mut self, done: Stressed, interval: Duration) {
        // Shaders are compiled in the first round.
        if done.rounds == 1 {
            self.began = done;
        }
        let busy = done.busy - self.began.busy;
        if done.rounds > 1 && busy >= interval {
            self.speeds.push((done.steps - self.began.steps) as f64 / busy.as_secs_f64());
            self.heat.extend(bench::temperature());
            self.began = done;
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let (Some(&first), Some(&last)) = (self.speeds.first(), self.speeds.last()) else {
            return Vec::new();
        };
        let mut figures = vec![
            Figure::new("steps", "1/s", self.speeds.clone()),
            Figure::new("steps at first", "1/s", vec![first]),
            Figure::new("steps at last", "1/s", vec![last]),
        ];
        if !self.heat.is_empty() {
            figures.push(Figure::new("temperature", "°C", self.heat.clone()));
        }
        figures
    }

    /// Whether the last quarter was slower than the first by more than they scatter, and by how much.
    fn slowed(&self) -> Option<String> {
        let quarter = self.speeds.len() / 4;
        let (first, last) = (&self.speeds[..quarter], &self.speeds[self.speeds.len() - quarter..]);
        let change = Comparison::of(first, last, Design::Apart([0.0, 0.0]))?;
        if change.verdict(Better::Higher) != Verdict::Slower {
            return None;
        }
        let [by, least] = [change.ratio, change.high].map(|ratio| 100.0 * (1.0 - ratio));
        Some(format!(
            "The last quarter of the time was slower than the first by {by:.0} %, by at least {least:.0} % for \
             sure: the device was throttled for its heat or its power, or another program ran."
        ))
    }
}

pub(super) fn stress(
    args: &Args,
    device: &Device,
    workload: &Workload,
    time: Duration,
    printer: &mut Printer,
) -> Result<u8> {
    let (mut told, mut course) = (Instant::now(), Course::default());
    let mut stress = Stress::new(device, &workload.config, workload.images, ROUND)?;
    let ended = stress.run(time, |done| {
        course.hear(done, time / INTERVALS);
        if told.elapsed() > TOLD {
            told = Instant::now();
            let speed = course.speeds.last().map_or(String::new(), |s| format!(", {s:.0} steps/s"));
            args.talk(&format!("{} steps, {} checks passed{speed}", done.steps, done.checks));
        }
    });
    let done = stress.done();
    printer.start(About::of(device))?;
    let count = |name, count: u64| Figure::new(name, "", vec![count as f64]);
    let mut figures = vec![
        count("rounds", done.rounds),
        count("steps run", done.steps),
        count("checks passed", done.checks),
    ];
    figures.extend(course.figures());
    let row = workload.row(workload.images, stress.schedules())?;
    printer.row(row, &figures, (&[], None))?;
    if let Some(slowed) = course.slowed() {
        printer.note(&slowed)?;
    }
    ended.map(|_| 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The course of so many rounds of 64 steps that take so many milliseconds.
    fn course(rounds: &[u64]) -> Course {
        let (mut course, mut done) = (Course::default(), Stressed::default());
        for &millis in rounds {
            done.rounds += 1;
            done.steps += 64;
            done.busy += Duration::from_millis(millis);
            course.hear(done, Duration::from_millis(100));
        }
        course
    }

    #[test]
    fn the_course_leaves_out_the_first_round() {
        let course = course(&[5000, 64, 64, 128, 20]);
        assert_eq!(course.speeds, [1000.0, 500.0], "of two rounds, and of one");
        let figures = course.figures();
        assert_eq!((figures[0].low(), figures[0].high()), (500.0, 1000.0), "{figures:?}");
        assert_eq!((figures[1].median(), figures[2].median()), (1000.0, 500.0), "{figures:?}");
    }

    #[test]
    fn throttling_is_told() {
        let rounds = |last: u64| -> Vec<u64> {
            let steady = (0..30).map(|i| 100 + i % 3);
            let then = (0..10).map(|i| last + i % 3);
            std::iter::once(900).chain(steady).chain(then).collect()
        };
        assert_eq!(course(&rounds(100)).slowed(), None, "steady");
        let said = course(&rounds(125)).slowed().expect("a fifth less");
        assert!(said.contains("by 20 %"), "{said}");
        assert_eq!(course(&[900, 100, 100, 200]).slowed(), None, "too short to tell");
    }
}
