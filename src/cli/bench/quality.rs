//! `elbo bench --to-loss`: the time that training takes to reach a test loss.

use elbo::bench::{self, Figure, Quality};
use elbo::data::{Opened, Sources};
use elbo::{Device, Result};

use crate::cli::bench::Args;
use crate::cli::bench::about::About;
use crate::cli::bench::output::Printer;
use crate::cli::bench::workload::Workload;
use crate::cli::find::data_folder;

pub(super) fn to_loss(
    args: &Args,
    device: &Device,
    workload: &Workload,
    target: f64,
    printer: &mut Printer,
) -> Result<u8> {
    let mut config = workload.config.clone();
    config.train.epochs = args.epochs;
    config.validate()?;
    let given = args.data.as_deref().or(config.train.data.as_deref());
    // Test images that a configuration names belong to the data that it names.
    let tests = config.train.test_data.as_deref().filter(|_| args.data.is_none());
    let data = data_folder(given)?;
    let Opened { train, test, .. } =
        Sources { test: tests, ..Sources::new(&data, &config) }.open()?;
    let train = train.limited(config.train.limit);
    let Quality { reached, epochs, loss, training, total } =
        bench::to_loss(device, &config, (&train, &test), target, |epoch, loss| {
            args.talk(&format!("epoch {epoch}: test loss {loss:.2}"));
        })?;
    printer.start(About::of(device))?;
    let figures = [
        Figure::new("target", "nats", vec![target]),
        Figure::new("test loss", "nats", vec![loss]),
        Figure::new("epochs", "", vec![epochs as f64]),
        Figure::new("training", "s", vec![training.as_secs_f64()]),
        Figure::new("with load and evaluation", "s", vec![total.as_secs_f64()]),
        Figure::new("reached", "", vec![f64::from(u8::from(reached))]),
    ];
    printer.row(workload.row(train.size(), "")?, &figures, (&[], None))?;
    if !reached {
        args.talk(&format!("the test loss did not come to {target} in {epochs} epochs"));
    }
    Ok(u8::from(!reached))
}
