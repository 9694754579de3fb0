//! The tables of a configuration file and their keys.

use super::data::DATA;
use super::{Table, key, optional};

/// The tables in the order they are printed in. A test holds that no key is missing, and no choice.
pub(in crate::cli) const TABLES: &[Table] = &[
    Table {
        name: "model",
        about: "The network and its distributions.",
        keys: &[
            key(
                "encoder",
                "Units of the encoder's hidden layers, from the image on: at most 32 layers, each of\n\
                 1 to 1000000; [] is a linear encoder. `--hidden` sets the decoder's too, mirrored.\n\
                 A number is followed by what layer-norm, activation and dropout say. A layer in quotes\n\
                 stands for itself alone: \"linear 400\" (fully connected), \"norm\" (layer normalisation),\n\
                 \"dropout 0.1\", or an activation, as [\"linear 400\", \"norm\", \"gelu\", \"dropout 0.1\", 200].\n\
                 \"conv 32 3x3\" convolves the image, or a map, to 32 channels; \" stride 2\", \" upsample 2\" (each\n\
                 place is repeated before that) and \" pad 0\" may follow, else windows lie place by place, and\n\
                 (k - 1)/2 places beyond each side count as zero.\n\
                 \"map 7x7x64\" takes 3136 numbers as a map of 7 lines, 7 places and 64 channels. What follows a\n\
                 map takes all its numbers, in that order.",
            ),
            key("latent", "Dimensions of z, 1 to 32768."),
            key(
                "posterior",
                "q(z | x): normal (a mean and a deviation for each dimension of z) or point (z is what the\n\
                 encoder makes: a plain autoencoder, whose loss is the reconstruction).",
            ),
            key(
                "decoder",
                "The decoder's layers, from z on; as for the encoder. Where they end in a map of the images'\n\
                 sides, a convolution 3x3 makes what the likelihood takes, else a fully connected layer.",
            ),
            key(
                "activation",
                "The activation of the hidden layers: identity, relu, leaky-relu (0.01 below zero),\n\
                 tanh, sigmoid, softplus, silu or gelu (Hendrycks and Gimpel 2016).",
            ),
            key(
                "init",
                "The first values of weights, of n inputs and m outputs: pytorch (uniform in ±1/√n, the\n\
                 biases too), glorot (uniform in ±√(6/(n + m)), biases 0; Glorot and Bengio 2010), he\n\
                 (N(0, 2/n), biases 0; He et al. 2015) or normal (N(0, init-deviation²), biases 0).",
            ),
            key(
                "init-deviation",
                "The deviation of normal first values, above 0 and below 1e6; other than 0.01 (Kingma and\n\
                 Welling 2014) it needs `init = \"normal\"`.",
            ),
            key(
                "output-bias",
                "The decoder's last bias starts as init says, or at data-mean: what makes the mean of the\n\
                 training images, as in the code of Burda et al. 2016 (logits of means in [0.001, 0.999]).",
            ),
            key(
                "layer-norm",
                "Whether hidden layers are normalised before their activation (Ba et al. 2016): true or\n\
                 false; it needs a hidden layer that is given as a number.",
            ),
            key(
                "dropout",
                "The share of each hidden layer's outputs that a training step leaves out, 0 to below 1\n\
                 (Srivastava et al. 2014); the others are scaled up, and nothing is left out elsewhere.",
            ),
            key(
                "likelihood",
                "p(x | z): bernoulli (each pixel a coin; grey pixels are soft targets), continuous-bernoulli\n\
                 (a density on [0, 1]; Loaiza-Ganem and Cunningham 2019), normal or laplace (densities round\n\
                 a location, in units of a pixel's range: the NLL may be negative), logistic (the pixel's\n\
                 level is where a logistic number falls; Salimans et al. 2017), logistic-mixture, colour-mixture\n\
                 (of which the channels of a place share the component, and green follows red, and blue\n\
                 both), categorical (a logit for each level), or of counts 0, 1, 2, … as they are, of which the\n\
                 encoder sees log(1 + x), poisson or negative-binomial (Lopez et al. 2018).",
            ),
            key(
                "mean",
                "The means of poisson and negative-binomial: softmax (what the decoder makes says which share\n\
                 each pixel has in the image's own total: the loss is of how counts divide, given how many\n\
                 there are; Lopez et al. 2018) or free (it makes their logarithms).",
            ),
            key(
                "scale",
                "Of normal, laplace, logistic and negative-binomial: fixed (sigma), shared (one, learned;\n\
                 Rybkin et al. 2021) or pixel (one for each pixel, which the decoder makes). Learned ones stay\n\
                 from 3e-4 to 3e3. That of negative-binomial is the inverse dispersion r: the variance is\n\
                 μ + μ²/r.",
            ),
            key(
                "sigma",
                "The fixed scale: the deviation of normal, b of laplace, s of logistic, above 0 and below\n\
                 1e6, in units of a pixel's range from 0 to 1; r of negative-binomial.",
            ),
            key(
                "classes",
                "The classes of a conditional model p(x | y), 2 to 256: encoder and decoder are told each\n\
                 image's label, which is below this, as a one-hot vector (Kingma et al. 2014, Sohn et al.\n\
                 2015). 0 is a model of images alone, for which labels are not needed.",
            ),
            key(
                "levels",
                "Levels of a pixel, 2 to 256, for logistic, both mixtures and categorical: pixels are\n\
                 k / (levels - 1). The decoder of categorical makes so many numbers for each pixel.",
            ),
            key("components", "Components of logistic-mixture or colour-mixture, 1 to 32."),
        ],
    },
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
                 (Kingma et al. 2016), 0 to below 1e6.",
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
