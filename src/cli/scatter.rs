//! `elbo scatter`: where the encoder puts images.

use elbo::{Error, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::picture::Axes;
use crate::cli::subject::{ImageArgs, ModelArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo scatter runs/0001
  elbo scatter runs/0001 --dimensions 3,11 --out two.png";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// Use only the first N images [default: all]
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    limit: usize,
    /// Two dimensions of z, counted from 0 [default: both, or the two principal components]
    #[arg(long, value_delimiter = ',', num_args = 1, value_name = "J,J")]
    dimensions: Vec<usize>,
    #[command(flatten)]
    picture: PictureArgs,
}

/// After so many, two directions have so nearly one variance that either will do.
const MOST_ITERATIONS: usize = 300;

/// A direction in the space of codes, and how it is called.
struct Direction {
    weights: Vec<f64>,
    name: String,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    args.picture.check()?;
    let state = args.model.state()?;
    let latent = state.config.model.latent;
    if !args.dimensions.is_empty() {
        let fit = args.dimensions.len() == 2 && args.dimensions.iter().all(|&j| j < latent);
        if !fit {
            let typed: Vec<_> = args.dimensions.iter().map(ToString::to_string).collect();
            let most = latent - 1;
            let what = format!(
                "`--dimensions` is {}; it must be two numbers from 0 to {most}",
                typed.join(",")
            );
            return Err(Error::config(what).hint("such as `--dimensions 0,1`"));
        }
    }
    if latent < 2 {
        return Err(Error::config("a plane needs two dimensions of z; this model has one")
            .hint("`elbo encode` writes the codes"));
    }
    let data = args.images.open(&state, args.picture.manner(&args.model))?.limited(args.limit);
    let mut model = args.model.open(&state, Some(&data))?;
    let codes = model.encode(0..model.images())?.mean;
    let [x, y] = directions(args, &codes, latent);
    let project = |z: &[f32], direction: &Direction| {
        let product = z.iter().zip(&direction.weights).map(|(&z, w)| f64::from(z) * w);
        product.sum::<f64>() as f32
    };
    let points: Vec<_> = codes.chunks(latent).map(|z| [project(z, &x), project(z, &y)]).collect();
    let colours = if data.labels().is_some() { ", coloured by label" } else { "" };
    let caption = format!(
        "The encoder's means of {} {} images{colours}, after step {}",
        points.len(),
        args.images.split.name(),
        state.trained.step
    );
    let names = data.class_names().unwrap_or_default();
    let axes = Axes { caption: &caption, x: &x.name, y: &y.name, names };
    args.picture.points(&args.model, "scatter", (&points, data.labels()), axes)
}

fn directions(args: &Args, codes: &[f32], latent: usize) -> [Direction; 2] {
    let chosen = match args.dimensions.as_slice() {
        &[a, b] => Some([a, b]),
        _ => (latent == 2).then_some([0, 1]),
    };
    match chosen {
        Some(chosen) => chosen.map(|j| Direction {
            weights: (0..latent).map(|i| f64::from(u8::from(i == j))).collect(),
            name: format!("z{j}"),
        }),
        None => principal(codes, latent),
    }
}

/// The two directions of the largest variance (Pearson 1901).
fn principal(codes: &[f32], latent: usize) -> [Direction; 2] {
    let count = (codes.len() / latent) as f64;
    let mean: Vec<f64> = (0..latent)
        .map(|j| codes.iter().skip(j).step_by(latent).map(|&z| f64::from(z)).sum::<f64>() / count)
        .collect();
    let off = |z: &[f32]| -> Vec<f64> {
        z.iter().zip(&mean).map(|(&z, mean)| f64::from(z) - mean).collect()
    };
    let squares = |z: &[f32]| off(z).iter().map(|v| v * v).sum::<f64>();
    let total = codes.chunks(latent).map(squares).sum::<f64>() / count;
    // The covariance times a vector, without the matrix, which may be large.
    let times = |vector: &[f64]| {
        let mut product = vec![0.0; latent];
        for z in codes.chunks(latent) {
            let off = off(z);
            let along: f64 = off.iter().zip(vector).map(|(a, b)| a * b).sum();
            product.iter_mut().zip(&off).for_each(|(sum, a)| *sum += along * a / count);
        }
        product
    };
    let (first, variance) = leading(times, latent, None);
    let (second, less) = leading(times, latent, Some(&first));
    let named = |number: usize, weights: Vec<f64>, variance: f64| {
        let share = if total > 0.0 { 100.0 * variance / total } else { 0.0 };
        let name = format!("principal component {number} ({share:.0} % of the variance)");
        Direction { weights, name }
    };
    [named(1, first, variance), named(2, second, less)]
}

/// The eigenvector of the largest eigenvalue of a symmetric product, orthogonal to another one, and that
/// value, by power iteration; the sign is such that its largest element is positive.
fn leading(
    times: impl Fn(&[f64]) -> Vec<f64>,
    size: usize,
    other: Option<&[f64]>,
) -> (Vec<f64>, f64) {
    let unit = |mut vector: Vec<f64>| {
        if let Some(other) = other {
            let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|v| *v /= norm.max(f64::MIN_POSITIVE));
        (vector, norm)
    };
    // Orthogonal to no eigenvector but by chance.
    let (mut vector, _) = unit((0..size).map(|i| 1.0 + 0.1 * (i as f64).sin()).collect());
    let mut value = 0.0;
    for _ in 0..MOST_ITERATIONS {
        let (next, norm) = unit(times(&vector));
        if norm < 1e-12 * value || norm == 0.0 {
            break;
        }
        let change: f64 = next.iter().zip(&vector).map(|(a, b)| (a - b).powi(2)).sum();
        (vector, value) = (next, norm);
        if change < 1e-16 {
            break;
        }
    }
    let largest = vector.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let sign = largest.unwrap_or(1.0).signum();
    vector.iter_mut().for_each(|v| *v *= sign);
    (vector, value)
}

#[cfg(test)]
mod tests {
    use super::principal;

    /// Points on a line through a plane, with a little across: the axes are known.
    #[test]
    fn principal_axes_are_found() {
        let codes: Vec<f32> = (0..400)
            .flat_map(|i| {
                let (along, across) = ((i as f32 * 0.37).sin(), 0.1 * (i as f32 * 1.91).cos());
                [5.0 + 0.6 * along - 0.8 * across, 0.8 * along + 0.6 * across, 7.0]
            })
            .collect();
        let [first, second] = principal(&codes, 3);
        let near = |found: &[f64], expected: [f64; 3]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.02)
        };
        assert!(near(&first.weights, [0.6, 0.8, 0.0]), "{:?}", first.weights);
        assert!(near(&second.weights, [0.8, -0.6, 0.0]), "{:?}", second.weights);
        assert!(first.name.contains("(99 %"), "{}", first.name);
        let still = principal(&[1.0, 2.0, 1.0, 2.0], 2);
        assert!(still[0].name.contains("(0 %"), "no variance: {}", still[0].name);
    }
}
