//! What it costs to log every step: the classic model's steps with `log_every = 1` against those without, and
//! those without against one another, for how much the machine alone makes of it.
//!
//! `cargo bench --bench logged -- cpu`, or `gpu`, or another device. Three trainers take their steps in turn,
//! a few milliseconds each, so that what else the machine does meets all; each is the logged one for a third of
//! the time, since where memory lies makes a trainer faster or slower by some percent.
#![allow(clippy::print_stdout, reason = "a bench talks")]

use std::time::Instant;

use elbo::{Config, Dataset, Device, Result, Trainer};

/// Seconds of a trainer's turn, about.
const TURN: f64 = 0.1;

/// Rounds of three turns for each place of the logged one.
const ROUNDS: usize = 100;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let name = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let (device, why) = Device::choose(name.as_deref().unwrap_or("auto"), 0)?;
    println!("{} ({why})", device.name());
    let (mut logged, mut plain) = (Vec::new(), Vec::new());
    for place in 0..3 {
        for [a, b, c] in rounds(&device, place)? {
            logged.push((b + c) / 2.0 / a);
            plain.push(b / c);
        }
    }
    for (what, mut ratios) in
        [("logged, of plain steps' speed", logged), ("plain, of plain", plain)]
    {
        ratios.sort_by(f64::total_cmp);
        let at = |part: usize| ratios[part * (ratios.len() - 1) / 4];
        println!("{what}: median {:.4}, quartiles {:.4} and {:.4}", at(2), at(1), at(3));
    }
    Ok(())
}

/// The seconds of each turn, first those of the logged trainer, which was the one at this place to be made.
fn rounds(device: &Device, place: usize) -> Result<Vec<[f64; 3]>> {
    let data = Dataset::synthetic(8 * 128, [28, 28], 1)?;
    let mut trainers = Vec::new();
    for made in 0..3 {
        let mut config = Config::default();
        config.train.log_every = u64::from(made == place);
        trainers.push(Trainer::new(device, &config, &data, &data)?);
    }
    let mut turn = |at: usize, steps: u64| -> Result<f64> {
        let (start, trainer) = (Instant::now(), &mut trainers[at]);
        trainer.advance(steps)?;
        trainer.wait()?;
        let events = trainer.take_events().len() as u64;
        assert_eq!(events, if at == place { steps } else { 0 }, "every step of one is logged");
        Ok(start.elapsed().as_secs_f64())
    };
    let mut steps = 1;
    // Pipelines are made, and steps come to share submits.
    for at in [0, 1, 2, 0, 1, 2] {
        let seconds = turn(at, 2 * steps)? / 2.0;
        steps = ((TURN / seconds * steps as f64) as u64).clamp(1, 1000);
    }
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let mut seconds = [0.0; 3];
        for turns in 0..3 {
            let at = (round + turns) % 3;
            seconds[(at + 3 - place) % 3] = turn(at, steps)?;
        }
        all.push(seconds);
    }
    Ok(all)
}
