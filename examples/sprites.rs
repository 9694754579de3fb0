//! Draws a set of white shapes on black whose factors are known, to measure disentanglement by: as dSprites (Matthey
//! et al. 2017), smaller. Each of 4,608 images of 32 × 32 has a combination of its own of shape (square, ellipse,
//! heart), size (4), angle (6 from 0 to below 90 degrees, so that a square's differ), and place (8 × 8).
//!
//! `cargo run --release --example sprites -- FOLDER` writes `images.npy` and `factors.csv` there. Then:
//! `elbo train --data FOLDER/images.npy --beta 4` and `elbo quality latest --factors FOLDER/factors.csv`.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::fmt::Write;
use std::path::PathBuf;

use elbo::checkpoint::write_whole;
use elbo::data::formats::npy;

const SIDE: usize = 32;

/// Shapes, sizes, angles, columns and rows.
const STEPS: [usize; 5] = [3, 4, 6, 8, 8];

/// Points of a pixel, along either side, by which its edge is smooth.
const POINTS: usize = 3;

/// Whether a point lies in a shape of size 1 round the origin.
fn inside(shape: usize, [u, v]: [f64; 2]) -> bool {
    match shape {
        0 => u.abs().max(v.abs()) <= 0.8,
        1 => u * u + 4.0 * v * v <= 1.0,
        _ => {
            let (u, v) = (1.2 * u, 1.2 * v);
            (u * u + v * v - 1.0).powi(3) <= u * u * v * v * v
        }
    }
}

/// The pixels of a combination of factors.
fn draw([shape, size, angle, column, row]: [usize; 5]) -> Vec<f32> {
    let size = 3.5 + size as f64;
    let (sin, cos) = (angle as f64 * 15.0).to_radians().sin_cos();
    let [x, y] = [column, row].map(|step| 9.0 + 2.0 * step as f64);
    let point = |i: usize, j: usize| {
        let at = |pixel: usize| (pixel as f64 + 0.5) / POINTS as f64;
        let (dx, dy) = ((at(j) - x) / size, (y - at(i)) / size);
        f64::from(u8::from(inside(shape, [cos * dx + sin * dy, cos * dy - sin * dx])))
    };
    let pixel = |at: usize| {
        let (i, j) = (at / SIDE * POINTS, at % SIDE * POINTS);
        let sum: f64 = (0..POINTS * POINTS).map(|k| point(i + k / POINTS, j + k % POINTS)).sum();
        (sum / (POINTS * POINTS) as f64) as f32
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

fn main() -> Result<(), elbo::Error> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let count: usize = STEPS.iter().product();
    let (mut images, mut factors) = (Vec::new(), "shape,size,angle,x,y\n".to_owned());
    for mut number in 0..count {
        let mut combination = [0; 5];
        for (factor, steps) in combination.iter_mut().zip(STEPS).rev() {
            (*factor, number) = (number % steps, number / steps);
        }
        images.extend(draw(combination));
        let words = combination.map(|factor| factor.to_string());
        let _ = writeln!(factors, "{}", words.join(","));
    }
    write_whole(&folder.join("images.npy"), &npy::to_bytes(&[count, SIDE, SIDE], &images)?)?;
    write_whole(&folder.join("factors.csv"), factors.as_bytes())?;
    println!("{count} images of {SIDE}×{SIDE} and their factors: {}", folder.display());
    Ok(())
}
