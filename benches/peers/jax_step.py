"""Training steps per second of JAX, to stand beside ours: one jitted step a call, or many by `lax.scan`.

    python jax_step.py --model classic --device cpu --variant step

Needs jax and numpy (measured with jax 0.10.2, numpy 2.4.6). `run.py` runs it beside ours.
Adam is written out, so that nothing but JAX is needed; XLA fuses it either way.
"""

import functools

import jax
import jax.numpy as jnp

import peer

RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8


def initial(key, hidden, latent):
    """Weights and biases, uniform within 1/sqrt(inputs) as PyTorch's are."""
    sizes = [784, *hidden]
    back = [latent, *reversed(hidden)]
    shapes = {
        "encoder": list(zip(sizes, sizes[1:])), "mu": [(sizes[-1], latent)],
        "log_var": [(sizes[-1], latent)], "decoder": list(zip(back, back[1:])),
        "logits": [(back[-1], 784)],
    }
    parameters = {}
    for name, layers in shapes.items():
        parameters[name] = []
        for inputs, outputs in layers:
            key, w, b = jax.random.split(key, 3)
            bound = inputs**-0.5
            parameters[name].append((
                jax.random.uniform(w, (inputs, outputs), minval=-bound, maxval=bound),
                jax.random.uniform(b, (outputs,), minval=-bound, maxval=bound),
            ))
    return parameters


def loss(parameters, x, key):
    """The negative ELBO, summed over the batch."""
    def through(name, x):
        for w, b in parameters[name]:
            x = jax.nn.relu(x @ w + b)
        return x

    def linear(name, x):
        ((w, b),) = parameters[name]
        return x @ w + b

    h = through("encoder", x)
    mu, log_var = linear("mu", h), linear("log_var", h)
    z = mu + jax.random.normal(key, mu.shape) * jnp.exp(0.5 * log_var)
    logits = linear("logits", through("decoder", z))
    recon = jnp.sum(jax.nn.softplus(logits) - x * logits)
    return recon - 0.5 * jnp.sum(1 + log_var - mu**2 - jnp.exp(log_var))


def step(images, rows, state):
    """One training step; the state carries the number of steps taken, the weights and Adam's moments."""
    taken, key, parameters, first, second, _ = state
    x = images[rows[taken % len(rows)]]
    value, gradients = jax.value_and_grad(loss)(parameters, x, jax.random.fold_in(key, taken))
    taken = taken + 1
    time = taken.astype(jnp.float32)
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
    scale1, scale2 = 1 / (1 - BETA1**time), 1 / (1 - BETA2**time)
    parameters = jax.tree.map(
        lambda p, m, v: p - RATE * m * scale1 / (jnp.sqrt(v * scale2) + EPSILON),
        parameters, first, second,
    )
    return taken, key, parameters, first, second, value


def main():
    args = peer.parse("JAX", ["step", "scan"])
    if args.device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    # Whole f32 products, as ours are; on NVIDIA the default is TF32.
    jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices()[0]
    if args.device != "cpu" and device.platform == "cpu":
        raise SystemExit("this JAX finds no device but the CPU")
    images, rows = (jax.device_put(array) for array in peer.images(args))
    key, start = jax.random.split(jax.random.key(1))
    parameters = initial(start, args.hidden, args.latent)
    zeros = functools.partial(jax.tree.map, jnp.zeros_like)
    state = (jnp.int32(0), key, parameters, zeros(parameters), zeros(parameters), jnp.float32(0))

    # The images are arguments: as constants they would be compiled into the program.
    one = jax.jit(step, donate_argnums=2)

    @functools.partial(jax.jit, static_argnums=3, donate_argnums=2)
    def scan(images, rows, state, count):
        return jax.lax.scan(lambda s, _: (step(images, rows, s), None), state, length=count)[0]

    def advance(steps):
        nonlocal state
        if args.variant == "scan":
            state = scan(images, rows, state, steps)
        else:
            for _ in range(steps):
                state = one(images, rows, state)
        jax.block_until_ready(state)

    if args.variant == "scan":
        # A scan is compiled for its length, which must not happen in a repetition.
        args.warmup = args.steps
    name = peer.processor() if device.platform == "cpu" else device.device_kind
    peer.measure(
        args, advance, lambda: state[-1], framework="jax", version=jax.__version__,
        device=f"{name}, {device.platform.upper()}", variant=args.variant,
    )


if __name__ == "__main__":
    main()
