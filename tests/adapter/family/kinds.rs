//! Models that have several features at once: a name, and what they set.

pub(super) const KINDS: &[(&str, &str)] = &[
    (
        "IWAE of a told, normalised net with dropout and one learned scale",
        "objective.importance = 3
        model.layer-norm = true
        model.dropout = 0.3
        model.classes = 3
        model.likelihood = 'normal'
        model.scale = 'shared'",
    ),
    (
        "MIWAE 2 × 2 by DReG of a logistic mixture",
        "objective.samples = 2
        objective.importance = 2
        objective.gradient = 'dreg'
        model.likelihood = 'logistic-mixture'
        model.components = 3",
    ),
    (
        "a told, denoising, plain autoencoder with mmd",
        "model.posterior = 'point'
        model.classes = 4
        train.corruption = 'normal'
        train.corruption-level = 0.3
        objective.mmd = 20.0",
    ),
    (
        "three samples with free bits of a continuous Bernoulli",
        "objective.samples = 3
        objective.free-bits = 0.05
        model.likelihood = 'continuous-bernoulli'",
    ),
    (
        "capacity with categorical pixels",
        "objective.capacity = 3.0
        objective.beta = 4.0
        model.likelihood = 'categorical'",
    ),
    (
        "IWAE of images that are binarised once",
        "objective.importance = 5
        train.pixels = 'binarised-once'",
    ),
    (
        "averaged Adamax with normalised layers",
        "optimizer.rule = 'adamax'
        optimizer.average = 0.9
        model.layer-norm = true",
    ),
    (
        "averaged RMSprop with normalised layers and a sampled KL",
        "optimizer.rule = 'rmsprop'
        optimizer.average = 0.9
        model.layer-norm = true
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "β-TC with classes and dropout",
        "objective.total-correlation = 4.0
        model.classes = 3
        model.dropout = 0.2",
    ),
    (
        "three samples of masked images with capacity and one learned scale",
        "objective.samples = 3
        objective.capacity = 2.0
        model.likelihood = 'laplace'
        model.scale = 'shared'
        train.corruption = 'mask'
        train.corruption-level = 0.4",
    ),
    (
        "MIWAE of logistic pixels with one learned scale, the mean over the images",
        "objective.samples = 2
        objective.importance = 3
        objective.reduction = 'mean'
        model.likelihood = 'logistic'
        model.scale = 'shared'
        train.corruption = 'normal'
        train.corruption-level = 0.1",
    ),
    (
        "IWAE of counts that share a total, told, one learned dispersion",
        "objective.importance = 3
        model.likelihood = 'negative-binomial'
        model.scale = 'shared'
        model.classes = 3
        train.corruption = 'mask'
        train.corruption-level = 0.2",
    ),
    (
        "a mixture as prior, told, with dropout",
        "model.prior = 'mixture'
        model.prior-components = 6
        model.classes = 3
        model.dropout = 0.2
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "VampPrior of normalised layers, averaged, by DReG",
        "model.prior = 'vamp'
        model.prior-components = 19
        model.layer-norm = true
        optimizer.average = 0.9
        objective.samples = 2
        objective.importance = 3
        objective.gradient = 'dreg'",
    ),
    (
        "VampPrior of counts with as many components as images, by STL",
        "model.prior = 'vamp'
        model.prior-components = 7
        model.likelihood = 'poisson'
        objective.kl = 'sampled'
        objective.gradient = 'stl'",
    ),
    (
        "two levels, averaged, with dropout",
        "model.above = [{ encoder = [5], latent = 2, decoder = [6, 4] }]
        model.dropout = 0.2
        optimizer.average = 0.9
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "a ladder of three levels, with dropout and importance",
        "model.above = [{ encoder = [5], latent = 2, decoder = [6, 4] }, { encoder = [], latent = 3, decoder = [4] }]
        model.inference = 'ladder'
        model.dropout = 0.2
        objective.samples = 2
        objective.importance = 3",
    ),
    (
        "a Laplace posterior under a mixture, doubly reparameterised",
        "model.posterior = 'laplace'
        model.prior = 'mixture'
        model.prior-components = 3
        objective.importance = 3
        objective.gradient = 'dreg'",
    ),
    (
        "two levels of logistic posteriors",
        "model.posterior = 'logistic'
        model.above = [{ encoder = [5], latent = 2, decoder = [6, 4] }]
        objective.kl = 'sampled'",
    ),
    (
        "a ladder under a mixture, with bits for nothing",
        "model.above = [{ encoder = [5], latent = 4, decoder = [] }]
        model.inference = 'ladder'
        model.prior = 'mixture'
        model.prior-components = 3
        objective.free-bits = 0.3
        objective.samples = 2
        objective.kl = 'sampled'
        objective.beta = 0.7",
    ),
    (
        "MIWAE of three levels and a mixture, told, of normalised layers",
        "model.above = [{ encoder = [5], latent = 4, decoder = [] }, { encoder = [], latent = 1, decoder = [3] }]
        model.prior = 'mixture'
        model.prior-components = 3
        model.classes = 3
        model.layer-norm = true
        objective.samples = 2
        objective.importance = 3",
    ),
    (
        "three samples of free Poisson means, denoising",
        "objective.samples = 3
        model.likelihood = 'poisson'
        model.mean = 'free'
        train.corruption = 'normal'
        train.corruption-level = 0.2",
    ),
];
