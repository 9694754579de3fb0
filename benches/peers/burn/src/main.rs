//! Training steps per second of burn on wgpu, with its defaults: kernel fusion and autotune.
//!
//! `cargo run --release -- --model classic --device software` prints one JSON object; `../run.py` runs
//! it beside ours. Steps are not read back; the device is waited for at the end of a repetition.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig, InterpolateMode};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, DeviceKind, Distribution, Int, Tensor, TensorData};
use flate2::read::GzDecoder;
use serde_json::json;

const PIXELS: usize = 784;

/// As f32 they fit into 128 MiB, the most that some adapters bind at once.
const IMAGES: usize = 40_000;

/// What stands before the pixels of an IDX file of images: a magic number and three sizes.
const HEADER: usize = 16;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What was typed; the Python peers take the same.
struct Args {
    model: String,
    batch: usize,
    steps: usize,
    repetitions: usize,
    warmup: usize,
    device: String,
    data: PathBuf,
}

impl Args {
    fn parse() -> Result<Self> {
        let mut args = Self {
            model: "classic".into(),
            batch: 0,
            steps: 20,
            repetitions: 5,
            warmup: 5,
            device: "gpu".into(),
            data: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets/mnist"),
        };
        let mut words = std::env::args().skip(1);
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{flag}` takes a value"))?;
            match flag.as_str() {
                "--model" => args.model = value,
                "--batch" => args.batch = value.parse()?,
                "--steps" => args.steps = value.parse()?,
                "--repetitions" => args.repetitions = value.parse()?,
                "--warmup" => args.warmup = value.parse()?,
                "--device" => args.device = value,
                "--data" => args.data = value.into(),
                _ => return Err(format!("there is no flag `{flag}`").into()),
            }
        }
        Ok(args)
    }
}

/// What is trained.
struct Sizes {
    /// Units of the hidden layers.
    hidden: &'static [usize],
    latent: usize,
    /// Images in a batch.
    batch: usize,
    /// Whether the layers of preset conv-28 come before them, and behind them on the way back.
    convolutional: bool,
}

impl Sizes {
    fn of(model: &str) -> Result<Self> {
        let (hidden, latent, batch, convolutional): (&[usize], _, _, _) = match model {
            "classic" => (&[400], 20, 128, false),
            "big" => (&[2048, 2048], 64, 512, false),
            "conv-28" => (&[256], 32, 64, true),
            _ => {
                let what = format!("there is no model `{model}`; take classic, big or conv-28");
                return Err(what.into());
            }
        };
        Ok(Self { hidden, latent, batch, convolutional })
    }
}

/// Channels and sides of the smallest map of conv-28.
const MAP: [usize; 3] = [64, 7, 7];

#[derive(Module, Debug)]
struct Vae {
    down: Vec<Conv2d>,
    encoder: Vec<Linear>,
    mu: Linear,
    log_var: Linear,
    decoder: Vec<Linear>,
    /// To logits, or to the smallest map.
    last: Linear,
    up: Vec<Conv2d>,
    twice: Interpolate2d,
}

impl Vae {
    fn new(sizes: &Sizes, device: &Device) -> Self {
        let &Sizes { hidden, latent, convolutional, .. } = sizes;
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let chain = |units: &[usize]| units.windows(2).map(|w| linear(w[0], w[1])).collect();
        let convolution = |channels, side, stride| {
            Conv2dConfig::new(channels, [side, side])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        let (down, up) = match convolutional {
            true => (vec![[1, 32], [32, 64]], vec![[64, 32], [32, 16], [16, 1]]),
            false => (vec![], vec![]),
        };
        let numbers = if convolutional { MAP.iter().product() } else { PIXELS };
        let mut units = vec![numbers];
        units.extend(hidden);
        let encoder = chain(&units);
        let top = units[units.len() - 1];
        units[0] = latent;
        units[1..].reverse();
        Self {
            down: down.into_iter().map(|channels| convolution(channels, 4, 2)).collect(),
            encoder,
            mu: linear(top, latent),
            log_var: linear(top, latent),
            decoder: chain(&units),
            last: linear(units[units.len() - 1], numbers),
            up: up.into_iter().map(|channels| convolution(channels, 3, 1)).collect(),
            twice: Interpolate2dConfig::new()
                .with_scale_factor(Some([2.0, 2.0]))
                .with_mode(InterpolateMode::Nearest)
                .init(),
        }
    }

    /// What the fully connected layers take.
    fn down(&self, x: Tensor<2>) -> Tensor<2> {
        if self.down.is_empty() {
            return x;
        }
        let [rows, _] = x.dims();
        let x = x.reshape([rows, 1, 28, 28]);
        self.down.iter().fold(x, |x, layer| relu(layer.forward(x))).flatten(1, 3)
    }

    /// Logits from what the fully connected layers made: each convolution but the last sees every place twice.
    fn up(&self, made: Tensor<2>) -> Tensor<2> {
        let [layers @ .., last] = &self.up[..] else { return made };
        let [rows, _] = made.dims();
        let [channels, height, width] = MAP;
        let map = relu(made).reshape([rows, channels, height, width]);
        let map = layers.iter().fold(map, |x, layer| relu(layer.forward(self.twice.forward(x))));
        last.forward(map).flatten(1, 3)
    }

    /// The negative ELBO, summed over the batch: Bernoulli from logits, and the analytic KL.
    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let through = |layers: &[Linear], x: Tensor<2>| {
            layers.iter().fold(x, |x, layer| relu(layer.forward(x)))
        };
        let h = through(&self.encoder, self.down(x.clone()));
        let mu = self.mu.forward(h.clone());
        let log_var = self.log_var.forward(h);
        let noise = mu.random_like(Distribution::Normal(0.0, 1.0));
        let z = mu.clone() + noise * log_var.clone().mul_scalar(0.5).exp();
        let logits = self.up(self.last.forward(through(&self.decoder, z)));
        // log(1 + exp l) - x l, in the form that does not overflow.
        let soft = relu(logits.clone()) + logits.clone().abs().neg().exp().log1p();
        let recon = (soft - logits * x).sum();
        let kl = (log_var.clone().exp() + mu.clone() * mu - log_var).sub_scalar(1.0).sum();
        recon + kl.mul_scalar(0.5)
    }
}

/// Gray images as bytes / 255, on the device.
fn images(folder: &Path, device: &Device) -> Result<(Tensor<2>, usize)> {
    let path = folder.join("train-images-idx3-ubyte.gz");
    let file = File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    let bytes = bytes.iter().skip(HEADER).take(IMAGES * PIXELS);
    let pixels: Vec<f32> = bytes.map(|&byte| f32::from(byte) / 255.0).collect();
    let count = pixels.len() / PIXELS;
    Ok((Tensor::from_data(TensorData::new(pixels, [count, PIXELS]), device), count))
}

/// An order of the images that is the same in every run: a multiplier without a common factor with
/// their number visits each once.
fn order(count: usize, device: &Device) -> Tensor<1, Int> {
    let order: Vec<i32> = (0..count).map(|i| (i * 48_271 % count) as i32).collect();
    Tensor::from_data(TensorData::new(order, [count]), device)
}

/// A software adapter, the best adapter there is, or a discrete one by number.
fn device(word: &str) -> Result<Device> {
    let kind = match word {
        "software" => DeviceKind::Cpu,
        "gpu" => DeviceKind::DefaultDevice,
        number => DeviceKind::DiscreteGpu(
            number.parse().map_err(|_| format!("`{number}` is not software, gpu or a number"))?,
        ),
    };
    Ok(Device::wgpu(kind).autodiff())
}

/// The version of burn that the lock file names.
fn version() -> Option<&'static str> {
    let (_, rest) = include_str!("../Cargo.lock").split_once("name = \"burn\"\nversion = \"")?;
    rest.split('"').next()
}

/// Since the process was started, if who started it said when; else since `main`.
fn since_start(main: SystemTime) -> f64 {
    let told = std::env::var("PEER_START").ok().and_then(|text| text.parse().ok());
    let start = told.map_or(main, |seconds| UNIX_EPOCH + Duration::from_secs_f64(seconds));
    start.elapsed().unwrap_or_default().as_secs_f64()
}

/// The most memory that the process held, where Linux tells it.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

/// The middle one, or the mean of the two.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, half) = (sorted.len(), sorted.len() / 2);
    if n % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

fn main() -> Result<()> {
    let main = SystemTime::now();
    let args = Args::parse()?;
    let sizes = Sizes::of(&args.model)?;
    let batch = if args.batch == 0 { sizes.batch } else { args.batch };
    let device = device(&args.device)?;
    device.seed(1);
    let (images, count) = images(&args.data, &device)?;
    let order = order(count, &device);
    let batches = count / batch;
    let mut model = Some(Vae::new(&sizes, &device));
    // The epsilon of the others; burn's own default is 1e-5.
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let (mut taken, mut last) = (0, None);
    let mut advance = |steps: usize| -> Result<()> {
        for _ in 0..steps {
            let from = taken % batches * batch;
            let rows = order.clone().slice([from..from + batch]);
            // Moved, not cloned: burn updates in place what has one owner.
            let now = model.take().ok_or("the last step failed")?;
            let loss = now.loss(images.clone().select(0, rows));
            let gradients = GradientsParams::from_grads(loss.backward(), &now);
            model = Some(optimizer.step(1e-3, now, gradients));
            last = Some(loss);
            taken += 1;
        }
        device.sync().map_err(|e| format!("{e:?}").into())
    };
    advance(1)?;
    let first = since_start(main);
    advance(args.warmup)?;
    let mut samples = Vec::new();
    for _ in 0..args.repetitions {
        let start = Instant::now();
        advance(args.steps)?;
        samples.push(args.steps as f64 / start.elapsed().as_secs_f64());
    }
    let loss = last.ok_or("no step was taken")?.into_data().try_to_vec::<f32>();
    let identity = device.identity();
    let shaders = if cfg!(feature = "spirv") { "SPIR-V" } else { "WGSL" };
    println!(
        "{}",
        json!({
            "event": "peer", "framework": "burn-wgpu", "version": version(),
            "device": identity.map(|identity| identity.name), "model": args.model, "batch": batch,
            "variant": format!("{shaders}, fusion, autotune"), "first_step_s": first,
            "steps": args.steps, "samples": samples, "steps_per_s": median(&samples),
            "peak_rss_mb": peak_rss_mb(), "loss": loss.map_err(|e| format!("{e:?}"))?[0] / batch as f32,
        })
    );
    Ok(())
}
