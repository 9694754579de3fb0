//! `elbo info`: what a run is; or a model's plan, its buffers and their bytes, and its programs, without a
//! device.

mod run;

use std::path::PathBuf;

use clap::{Args as _, Command, Id};
use elbo::Result;
use elbo::engine::Program;
use elbo::model::{Architecture, DataSpec, Use, Vae};
use elbo::nn::{Dims, Placed};
use serde_json::json;

use crate::cli::args::ConfigArgs;
use crate::cli::import::square;
use crate::cli::print_line;
use crate::cli::run_name::run_name;

pub(super) const EXAMPLES: &str = "\
Examples:
  elbo info latest
  elbo info runs/0001 --json
  elbo info                    # the plan of the classic model
  elbo info --preset big --json";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of a run, or `latest` for the newest under runs; without it, the flags' plan is shown
    #[arg(
        value_name = "RUN",
        value_parser = run_name(),
        conflicts_with_all = of_the_plan()
    )]
    run: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Images in the training set
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    images: usize,
    /// Images in the test set
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    test_images: usize,
    /// Pixels of an image: of a square one, if that can be, unless `--set data.image-size` says
    #[arg(long, value_name = "N", default_value_t = 784)]
    image_pixels: usize,
    /// Print one JSON object on each line
    #[arg(long)]
    json: bool,
}

/// The flags that a plan is made of, which a run has chosen long ago.
fn of_the_plan() -> Vec<Id> {
    let flags = ConfigArgs::augment_args(Command::new("plan"));
    let own = ["images", "test_images", "image_pixels"].map(Id::from);
    flags.get_arguments().map(|flag| flag.get_id().clone()).chain(own).collect()
}

pub(super) fn run(args: &Args) -> Result<u8> {
    if let Some(path) = &args.run {
        return run::tell(path, args.json).map(|()| 0);
    }
    let config = args.config.config()?;
    let size = config.data.image_size.unwrap_or_else(|| square(args.image_pixels));
    let spec = |images| DataSpec { images, size, bytes: true, window: None };
    let mut vae = Vae::new(&config, spec(args.images), spec(args.test_images))?;
    let uses = Use::all(&config).into_iter();
    let programs: Vec<_> =
        uses.map(|wanted| vae.program(wanted).cloned()).collect::<Result<_>>()?;
    let lines = if args.json { json_lines(&vae, &programs) } else { text_lines(&vae, &programs) };
    lines.iter().try_for_each(|line| print_line(line)).map(|()| 0)
}

fn json_lines(vae: &Vae, programs: &[Program]) -> Vec<String> {
    let plan = json!({
        "event": "plan", "parameters": vae.parameters.count(), "bytes": vae.plan.bytes(),
    });
    let parameters = vae.parameters.list().iter().flat_map(|parameter| {
        let line = |(key, shape)| json!({"event": "parameter", "name": key, "shape": shape});
        parameter.shapes().map(line)
    });
    let sides = |dims: Dims| json!([dims.height, dims.width, dims.channels]);
    let layers = layers(vae).map(|(placed, [input, output])| {
        json!({
            "event": "layer", "name": placed.path, "layer": placed.layer.to_string(),
            "input": sides(input), "output": sides(output),
        })
    });
    let buffers = vae
        .plan
        .buffers()
        .iter()
        .map(|spec| json!({"event": "buffer", "name": spec.name, "bytes": spec.bytes()}));
    let programs = programs.iter().map(|program| {
        let kernels: Vec<_> = program.dispatches.iter().map(|d| d.kernel.name()).collect();
        json!({
            "event": "program", "name": program.name, "dispatches": kernels.len(),
            "barriers": program.barriers(), "depth": program.depth(), "kernels": kernels,
        })
    });
    std::iter::once(plan)
        .chain(layers)
        .chain(parameters)
        .chain(buffers)
        .chain(programs)
        .map(|line| line.to_string())
        .collect()
}

/// The layers of both networks, each with what it gets and makes.
fn layers(vae: &Vae) -> impl Iterator<Item = (&Placed, [Dims; 2])> {
    let Architecture { encoder, decoder, .. } = vae.networks();
    [encoder, decoder].into_iter().flat_map(|network| {
        let ends =
            network.dims().zip(network.dims().skip(1)).map(|(input, output)| [input, output]);
        network.layers().iter().zip(ends)
    })
}

fn text_lines(vae: &Vae, programs: &[Program]) -> Vec<String> {
    let (count, bytes) = (vae.parameters.count(), vae.plan.bytes());
    let mut lines = vec![format!("{count} parameters, {bytes} bytes on the device"), String::new()];
    for (Placed { path, layer, .. }, [input, output]) in layers(vae) {
        let layer = layer.to_string();
        lines.push(format!("{path:<22} {layer:<24} {input} to {output}"));
    }
    lines.push(String::new());
    lines.push(format!("{:>12}  buffer", "bytes"));
    for spec in vae.plan.buffers() {
        lines.push(format!("{:>12}  {}", spec.bytes(), spec.name));
    }
    for program in programs {
        lines.push(String::new());
        lines.push(format!(
            "program `{}`: {} dispatches, {} barriers, {} one after another at least",
            program.name,
            program.dispatches.len(),
            program.barriers(),
            program.depth()
        ));
        for dispatch in &program.dispatches {
            let uses = dispatch.bindings.iter().zip(dispatch.kernel.bindings());
            let names: Vec<_> = uses
                .filter(|(_, binding)| binding.access == elbo::engine::Access::Write)
                .map(|(&tensor, _)| vae.describe(tensor))
                .collect();
            lines.push(format!("  {:<22} writes {}", dispatch.kernel.name(), names.join(", ")));
        }
    }
    lines
}
