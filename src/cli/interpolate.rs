//! `elbo interpolate`: the way from one image to another.

use elbo::{Error, Result};

use crate::cli::gallery::PictureArgs;
use crate::cli::picture::{Labels, Look, check};
use crate::cli::subject::{ImageArgs, ModelArgs, decode};

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo interpolate runs/0001
  elbo interpolate runs/0001 --from 3,18 --to 7,2 --steps 12

With a conditional model each image in between has the class of the nearer end, and the middle one that of the first end.";

/// The most images of one picture.
const MOST: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// The images to start from, counted from 0 [default: 0,2,4,6,8, or as many as there are]
    #[arg(long, value_delimiter = ',', value_name = "I,…", requires = "to")]
    from: Vec<usize>,
    /// The images to end at, as many as --from has [default: 1,3,5,7,9, likewise]
    #[arg(long, value_delimiter = ',', value_name = "I,…", requires = "from")]
    to: Vec<usize>,
    /// Images in each row, both ends included
    #[arg(long, default_value_t = 9, value_name = "N")]
    steps: usize,
    #[command(flatten)]
    picture: PictureArgs,
}

pub(super) fn run(args: &Args) -> Result<u8> {
    let (mut from, mut to, steps) = (args.from.clone(), args.to.clone(), args.steps);
    if from.len() != to.len() || from.len() > MOST {
        let what = format!("`--from` names {} images and `--to` {}", from.len(), to.len());
        return Err(Error::config(format!(
            "{what}; both must have the same number, at most {MOST}"
        ))
        .hint("such as `--from 0,2 --to 1,3`"));
    }
    if !(2..=MOST).contains(&steps) {
        return Err(Error::config(format!(
            "`--steps` is {steps}; it must be between 2 and {MOST}"
        ))
        .hint("9 show both ends and seven images between"));
    }
    args.picture.check()?;
    let state = args.model.state()?;
    let data = args.images.open(&state, args.picture.manner(&args.model))?;
    let look = Look::of(&state);
    if from.is_empty() {
        from = (0..5).map(|pair| 2 * pair).filter(|i| i + 1 < data.len()).collect();
        to = from.iter().map(|i| i + 1).collect();
    }
    if from.is_empty() {
        return Err(Error::config("there is only one image; an interpolation needs two")
            .hint("give more images with `--data`"));
    }
    check((steps + 2) * from.len(), look, steps + 2)?;
    let mut model = args.model.open(&state, Some(&data))?;
    let conditional = state.config.model.classes > 0;
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for (&from, &to) in from.iter().zip(&to) {
        let mut end = |image: usize| {
            // So that the last number there is has a next one.
            let range = image..image.saturating_add(1);
            Ok::<_, Error>((model.pixels(range.clone())?, model.encode(range)?.mean))
        };
        let ((first, a), (last, b)) = (end(from)?, end(to)?);
        let place = |step: usize| {
            let share = step as f32 / (steps - 1) as f32;
            a.iter().zip(&b).map(move |(a, b)| a + share * (b - a))
        };
        let z: Vec<_> = (0..steps).flat_map(place).collect();
        let nearer = |labels: &[u8]| -> Vec<u8> {
            let near = |step| if 2 * step < steps { from } else { to };
            (0..steps).map(|step| labels[near(step)]).collect()
        };
        let classes = data.labels().filter(|_| conditional).map(nearer);
        all.extend([first, decode(&mut model, &z, classes.as_deref())?, last].concat());
        rows.push(format!("{from} to {to}"));
    }
    let mut columns = vec!["image".to_owned()];
    columns.extend((0..steps).map(|step| share(step, steps - 1)));
    columns.push("image".to_owned());
    let caption = format!(
        "Between two {} images: the decoder's means on the straight line from one μ to the other, \
         {}after step {}",
        args.images.split.name(),
        if conditional { "of the nearer image's class, " } else { "" },
        state.trained.step
    );
    let labels = Labels { caption: &caption, rows: &rows, columns: &columns, ..Labels::default() };
    args.picture.images(&args.model, "interpolate", (&all, look, steps + 2), labels)
}

/// A part of the way, as a fraction.
fn share(step: usize, all: usize) -> String {
    match step {
        0 => "0".to_owned(),
        step if step == all => "1".to_owned(),
        step => format!("{step}/{all}"),
    }
}
