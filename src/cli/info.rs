//! `elbo info`: what a run is; or a model's plan, its buffers and their bytes, and its programs, without a
//! device.

mod run;

use std::path::PathBuf;

use clap::{Args as _, Command, Id};
use elbo::Result;
use elbo::engine::Program;
use elbo::engine::plan::BufferSpec;
use elbo::model::{DataSpec, Use, Vae};
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
    /// Pixels of an image: of a square one, if that can be, unless `--set data.image-size` says [default: the
    /// preset's, or 784]
    #[arg(long, value_name = "N")]
    image_pixels: Option<usize>,
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
    let size = match (config.data.image_size, args.image_pixels) {
        (Some(size), _) => size,
        (None, Some(pixels)) => square(pixels),
        (None, None) => args.config.images()?,
    };
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
    let layers = layers(vae).map(|((placed, [input, output]), _)| {
        json!({
            "event": "layer", "name": placed.path, "layer": placed.layer.to_string(),
            "input": sides(input), "output": sides(output),
            "parameters": placed.parameters(input), "multiply_adds": placed.multiply_adds(input),
        })
    });
    let buffers = buffers(vae)
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

/// The layers of all networks, each with what it gets and makes, and the rows that are made at once.
fn layers(vae: &Vae) -> impl Iterator<Item = ((&Placed, [Dims; 2]), usize)> {
    let [of_images, of_z] = [vae.ports.x, vae.ports.z].map(|of| of.rows());
    vae.networks().all().flat_map(move |(network, takes_images)| {
        let rows = if takes_images { of_images } else { of_z };
        network.shapes().map(move |shapes| (shapes, rows))
    })
}

/// A count in millions, of which little is told by more digits.
fn mega(count: u64) -> String {
    match count {
        0 => "0".to_owned(),
        1..100_000 => format!("{:.4}", count as f64 / 1e6),
        _ => format!("{:.2}", count as f64 / 1e6),
    }
}

/// A table of the layers: what each makes of an image, its parameters, the memory of what it makes of a minibatch, and
/// the operations of a way forward of one image.
fn layer_lines(vae: &Vae) -> Vec<String> {
    let line = |name: &str, layer: &str, [makes, parameters, mib, mflop]: [String; 4]| {
        // A long layer takes of the room before what it makes.
        let room = 34_usize.saturating_sub(layer.chars().count());
        format!("{name:<20} {layer} {makes:>room$} {parameters:>9} {mib:>5} {mflop:>6}")
    };
    let head = ["makes", "parameters", "MiB", "MFLOP"].map(str::to_owned);
    let mut lines = vec![line("name", "layer", head)];
    let (mut all, mut operations) = (0, 0);
    for ((placed, [input, output]), rows) in layers(vae) {
        let [parameters, own] = [placed.parameters(input) as u64, 2 * placed.multiply_adds(input)];
        let bytes = 4.0 * (rows * output.stored()) as f64;
        let makes = match output.is_map() {
            true => output.to_string().replace(' ', ""),
            false => output.channels.to_string(),
        };
        let numbers = [
            makes,
            parameters.to_string(),
            format!("{:.1}", bytes / f64::from(1 << 20)),
            mega(own),
        ];
        lines.push(line(&placed.path, &placed.layer.to_string(), numbers));
        (all, operations) = (all + parameters, operations + own);
    }
    let numbers = [String::new(), all.to_string(), String::new(), mega(operations)];
    lines.push(line("", "", numbers));
    lines
}

/// The buffers that have room; the tensors of others lie elsewhere, or nothing needs them.
fn buffers(vae: &Vae) -> impl Iterator<Item = &BufferSpec> {
    vae.plan.buffers().iter().filter(|spec| spec.words > 0)
}

fn text_lines(vae: &Vae, programs: &[Program]) -> Vec<String> {
    let (count, bytes) = (vae.parameters.count(), vae.plan.bytes());
    let mut lines = vec![
        format!("{count} parameters, {bytes} bytes on the device for all programs below"),
        String::new(),
    ];
    lines.extend(layer_lines(vae));
    lines.push(String::new());
    lines.push(format!("{:>12}  buffer", "bytes"));
    for spec in buffers(vae) {
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
