//! The keys of the table `[model]`.

use super::{Table, key};

pub(super) const MODEL: Table = Table {
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
             (k - 1)/2 places beyond each side count as zero. \"transposed 32 4x4 stride 2\" spreads each place\n\
             of a map to its window of a larger one, as ConvTranspose2d of PyTorch does.\n\
             \"group-norm 8\" normalises 8 groups of a map's channels, \"pool 2\" takes means of 2 x 2 places,\n\
             \"attention 4\" has 4 heads among the places of a small map.\n\
             { residual = [...] } adds what its layers make to what they take, { residual = [...],\n\
             shortcut = [...] } to what other layers make of that.\n\
             \"map 7x7x64\" takes 3136 numbers as a map of 7 lines, 7 places and 64 channels. What follows a\n\
             map takes all its numbers, in that order.",
        ),
        key("latent", "Dimensions of z, 1 to 32768."),
        key(
            "posterior",
            "q(z | x): normal (a mean and a deviation for each dimension of z), laplace or logistic (a location\n\
             and a scale; these need `kl = \"sampled\"` or importance above 1), or point (z is what the encoder\n\
             makes: a plain autoencoder, whose loss is the reconstruction).",
        ),
        key(
            "prior",
            "p(z): normal (N(0, I)), or learned with the model: mixture (of normals, with weights, means and\n\
             deviations of their own) or vamp (of the posteriors of pseudo-inputs, which begin as training\n\
             images; Tomczak and Welling 2018). A learned prior needs `kl = \"sampled\"` or importance above 1.",
        ),
        key("prior-components", "Components of a learned prior, 1 to 8192."),
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
        key(
            "above",
            "Levels of z above that which the decoder takes, from below upwards, as [{ encoder = [100, 100],\n\
             latent = 50, decoder = [100, 100] }]: the encoder sees the z below, the decoder makes the mean and\n\
             the deviation of its prior, and p(z) is that of the highest (Burda et al. 2016). It needs\n\
             `kl = \"sampled\"` or importance above 1.",
        ),
        key(
            "inference",
            "How several levels are inferred: bottom-up (each from the z drawn below; Burda et al. 2016) or ladder\n\
             (means go up to the highest, and from there down each level is drawn from the product of what these\n\
             say and what the z above says; Sønderby et al. 2016), which keeps more levels in use.",
        ),
    ],
};
