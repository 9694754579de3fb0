//! The tables of a configuration file and their keys.

use super::data::DATA;
use super::model::MODEL;
use super::{Table, key, optional};

/// The tables in the order they are printed in. A test holds that no key is missing, and no choice.
pub(in crate::cli) const TABLES: &[Table] = &[
    MODEL,
    Table {
        name: "objective",
        about: "What is minimised.",
        keys: &[
            key(
                "beta",
                "The weight of the KL divergence (Higgins et al. 2017), 0 to below 1e6; 1.0 is the ELBO.",
            ),
            key(
                "reduction",
                "Over the images of a batch: sum (as the PyTorch example does) or mean. Losses are shown\n\
                 in nats per image either way.",
            ),
            key(
                "warmup-steps",
                "Steps over which beta rises linearly from 0 (Bowman et al. 2016, Sønderby et al. 2016).",
            ),
            key(
                "cycle-steps",
                "Steps of a cycle, in each of which beta rises anew from 0 (Fu et al. 2019); 0 is none.",
            ),
            key("cycle-rise", "The share of a cycle in which beta rises, above 0 and at most 1."),
            key(
                "free-bits",
                "Nats of KL, the mean over the minibatch, that each dimension of z has for nothing\n\
                 (Kingma et al. 2016), or where z has several levels, each level; 0 to below 1e6.",
            ),
            key(
                "free-bits-steps",
                "Steps after which none is free any more; with 0 they always are.",
            ),
            key(
                "capacity",
                "Nats of KL that are aimed at, by beta · |KL − capacity| (Burgess et al. 2018), below 1e6;\n\
                 0.0 aims at none.",
            ),
            key("capacity-steps", "Steps over which the capacity rises linearly from 0."),
            key(
                "total-correlation",
                "The weight of the total correlation of z (Chen et al. 2018), 0 to below 1e6; 1.0 leaves it\n\
                 its share in the KL divergence.",
            ),
            key(
                "mmd",
                "The weight of the squared maximum mean discrepancy of the codes and the prior, for each\n\
                 image (Zhao et al. 2019), 0 to below 1e9; with beta = 0.0 alone in the KL's place.",
            ),
            key(
                "mmd-scale",
                "The width of its kernel exp(−‖a − b‖² / (latent · scale)), above 0 and below 1e6. 2.0 is\n\
                 the prior's own distance (Tolstikhin et al. 2018); other than that it needs mmd.",
            ),
            key(
                "samples",
                "Estimates of the bound that are averaged for each image, 1 to 4096: L of Kingma and\n\
                 Welling 2014, eq. 7, or with importance above 1 M of MIWAE (Rainforth et al. 2018, eq. 9).",
            ),
            key(
                "importance",
                "z's under one logarithm, 1 to 4096: K of IWAE (Burda et al. 2016, eq. 8); 1 is the ELBO.\n\
                 Above 1 beta must be 1.0. An image has samples times importance z's, at most 4096.",
            ),
            key(
                "gradient",
                "The encoder's gradient: standard, stl (sticking the landing, Roeder et al. 2017; biased\n\
                 with importance above 1, and without effect with the analytic kl) or dreg (doubly\n\
                 reparameterised, Tucker et al. 2018, eq. 8; for importance above 1).",
            ),
            key(
                "kl",
                "The KL divergence: analytic (the estimator B of Kingma and Welling 2014, eq. 7) or sampled\n\
                 at each z (their A, eq. 6). With importance above 1 it is always sampled.",
            ),
        ],
    },
    Table {
        name: "optimizer",
        about: "How the parameters follow their gradients.",
        keys: &[
            key(
                "rule",
                "adam or adamax (Kingma and Ba 2015), adamw (Loshchilov and Hutter 2019), rmsprop (Tieleman\n\
                 and Hinton 2012), adagrad (Duchi et al. 2011) or sgd.",
            ),
            key("lr", "The learning rate, above 0."),
            key("beta1", "Decay of Adam's and Adamax's first moment, 0 to below 1."),
            key(
                "beta2",
                "Decay of Adam's second moment and of Adamax's largest gradient, 0 to below 1.",
            ),
            key("alpha", "Decay of the mean square of rmsprop, 0 to below 1."),
            key(
                "initial-accumulator",
                "What the sums of squares of adagrad begin with, 0 to below 1e30.",
            ),
            key(
                "epsilon",
                "What every rule but sgd adds to what it divides by, above 0 and below 1. PyTorch has\n\
                 1e-10 for adagrad.",
            ),
            key(
                "weight-decay",
                "Weight decay, 0 to below 1e6: added to the gradient, but with adamw apart from it.",
            ),
            key("momentum", "Momentum of sgd and rmsprop, 0 to below 1."),
            key(
                "nesterov",
                "Whether sgd looks ahead (Nesterov 1983): true or false; it needs momentum.",
            ),
            key(
                "clip-norm",
                "The norm of all gradients is scaled down to this, below 1e30; 0.0 leaves it as it is.",
            ),
            key(
                "normalise",
                "Whether each weight's and each bias's gradient is divided by its own norm + 1e-7, before\n\
                 weight decay: true or false (Tomczak and Welling 2018). Not with clip-norm.",
            ),
            key(
                "schedule",
                "How the learning rate changes: constant, step (times decay-factor every decay-epochs),\n\
                 cosine (down to final-lr over the epochs, Loshchilov and Hutter 2017), plateau (times\n\
                 decay-factor when the test loss has not fallen for decay-epochs) or burda (down to a tenth\n\
                 in stages of 1, 3, 9, ... epochs, Burda et al. 2016).",
            ),
            key(
                "warmup-steps",
                "Steps over which the rate rises linearly from zero, on any schedule, 0 to 1000000.",
            ),
            key(
                "decay-epochs",
                "Epochs between two falls of step, or without a lower test loss before one of plateau, 1 to\n\
                 1000000; other than 10 it needs one of them.",
            ),
            key(
                "decay-factor",
                "What a fall of step or plateau multiplies the rate by, 0 to below 1; other than 0.1 it needs\n\
                 one of them.",
            ),
            key(
                "final-lr",
                "The rate at the end of cosine, 0 to lr; other than 0.0 it needs cosine.",
            ),
            key(
                "stages",
                "Stages of burda, 1 to 8, after which the rate stays; 8 take 3280 epochs. Other than 8 it\n\
                 needs burda.",
            ),
            key(
                "average",
                "Decay a step of an average of the parameters (Polyak and Juditsky 1992), 0 to below 1. It is\n\
                 what is evaluated and exported instead of them; 0.0 keeps none.",
            ),
        ],
    },
    Table {
        name: "train",
        about: "The data and how long to train on it.",
        keys: &[
            optional(
                "data",
                "\"assets/mnist\"",
                "The images: a folder of IDX files or pictures, or a file of one of many kinds; `elbo data`\n\
                 says what is read. If there are none, MNIST is looked for.",
            ),
            optional(
                "test-data",
                "\"test-images\"",
                "The images to test on, where `data` does not hold them; else a share is drawn, as [data] says.",
            ),
            key("epochs", "Passes over the training images, 1 to 1000000."),
            key(
                "evaluate-every",
                "Evaluates, draws pictures and reports after every so many epochs, 1 to 1000000, and after\n\
                 the last.",
            ),
            key(
                "log-every",
                "Logs the losses, rates and gradient norm of each step whose number this divides; 0 logs none.",
            ),
            key(
                "batch-size",
                "Images in a minibatch, 1 to 1000000, and at most the training images.",
            ),
            key(
                "accumulate",
                "Parts that a minibatch is computed in, one after another, to take less memory: a divisor of\n\
                 batch-size. Their gradients are added before the update.",
            ),
            key("seed", "The seed of everything random, from 0 on."),
            key(
                "pixels",
                "grey (the pixel, as it is), binarised (a coin with that probability, tossed anew each time)\n\
                 or binarised-once (tossed once for the seed; the protocol of the fixed binarised MNIST,\n\
                 Larochelle and Murray 2011, not its files; whoever looks at training images later sees\n\
                 other coins). Results of different ones are not comparable.",
            ),
            key(
                "corruption",
                "What the encoder sees of a training image, whose likelihood is the whole image's (Vincent\n\
                 et al. 2008, Im et al. 2017): none (the image), mask (some pixels black) or normal (noise\n\
                 added to each pixel).",
            ),
            key(
                "corruption-level",
                "The share of black pixels, below 1, or the deviation of the noise, below 1e6.",
            ),
            key(
                "flip",
                "Whether training steps mirror every other image, in the mean: left and right change places. What is\n\
                 mirrored, shifted or changed in contrast is what the encoder sees and what the likelihood is of, as\n\
                 if the data held it; images that are tested on stay as they are.",
            ),
            key(
                "shift",
                "The most pixels that training steps shift an image in each direction, less than both sides; what\n\
                 lies beyond an edge is the pixel at the edge.",
            ),
            key(
                "jitter",
                "How far training steps change contrast and brightness, 0 or from 0.001 to below 1: v becomes a v + b,\n\
                 a drawn from 1 ± jitter and b from ± jitter for each image and channel, within [0, 1] and on\n\
                 the nearest level where the likelihood needs that. Not of binarised pixels.",
            ),
            key("max-steps", "Stops after so many steps; 0 is no limit."),
            key("limit", "Uses only the first so many training images; 0 uses them all."),
            key(
                "patience",
                "Stops after so many epochs without a lower test or validation loss (early stopping); the run\n\
                 then stands for its best epoch. 0 never does.",
            ),
            key(
                "non-finite",
                "When a loss, a gradient or a weight is not finite: stop (with an error), skip (leave the\n\
                 step out) or roll-back (to the last good state, with half the learning rate).",
            ),
        ],
    },
    DATA,
    Table {
        name: "run",
        about: "How `elbo train` runs: device, precision and tune round its numbers otherwise, the rest\n\
                changes none of them. The config.toml of a run has none of it, so that the run can go\n\
                on elsewhere; `--resume` takes a `--config` that has this table alone, and other verbs\n\
                leave it aside.",
        keys: &[
            key(
                "device",
                "auto (a hardware GPU, else the CPU), cpu, gpu, or a number or part of a name from\n\
                 `elbo devices`.",
            ),
            key(
                "precision",
                "Of products: f32, or mixed (operands in f16, sums in f32, where the adapter has\n\
                 cooperative matrices and passes a test).",
            ),
            key("threads", "Threads of the CPU session; 0 is one a core."),
            key(
                "tune",
                "When to measure which schedules of products are the fastest: auto (once for each device\n\
                 and shape), off or always.",
            ),
            key(
                "no-cache",
                "Whether nothing compiled, measured or decoded is kept for the next run: true or false.",
            ),
            key(
                "stream",
                "Whether images come through a window, a thread ahead of the steps, even if they would fit in\n\
                 memory: true or false.",
            ),
            optional(
                "memory-budget",
                "\"2GiB\"",
                "The memory that images may take, in bytes or as \"500MB\"; what needs more is streamed. Without\n\
                 it half of what is free.",
            ),
            optional(
                "steps-per-submit",
                "8",
                "Steps in one submit to a GPU, 1 to 64; without it as many as take 50 ms.",
            ),
            optional(
                "save-every",
                "1000",
                "Also saves every so many steps, 1 or more, not only at the end of each epoch.",
            ),
            key(
                "keep",
                "How many of the last checkpoints are kept, 1 to 1000000; from 2 on, under the numbers of\n\
                 their steps.",
            ),
            optional(
                "max-time",
                "\"8h\"",
                "Saves and ends after so long, such as \"90s\", \"30min\" or \"1h 30min\".",
            ),
        ],
    },
];
