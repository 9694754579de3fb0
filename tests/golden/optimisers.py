"""What PyTorch's optimisers and schedulers make of the small net of `golden.py`, in float64.

Writes optimisers.safetensors beside this script, or into the folder that is given:

    <rule>/after100.<param>     weights after 100 steps by torch.optim's Adamax, RMSprop and Adagrad
    average/after100.<param>    averages of the weights after 100 steps of Adam
    schedule/<name>             the learning rate of each step, or of each epoch, by torch.optim.lr_scheduler

README.md says what each is of.
"""

import pathlib
import sys

import numpy as np
import torch

import golden

optim, scheduler = torch.optim, torch.optim.lr_scheduler


def rules():
    yield "adamax", lambda p: optim.Adamax(p, lr=2e-3)
    yield "adamax_decay", lambda p: optim.Adamax(p, lr=2e-3, betas=(0.8, 0.99), weight_decay=0.01)
    yield "rmsprop", lambda p: optim.RMSprop(p, lr=1e-3)
    yield "rmsprop_momentum", lambda p: optim.RMSprop(
        p, lr=1e-3, alpha=0.9, momentum=0.9, weight_decay=0.01)
    yield "adagrad", lambda p: optim.Adagrad(p, lr=1e-2, eps=1e-8)
    yield "adagrad_begun", lambda p: optim.Adagrad(
        p, lr=1e-2, eps=1e-8, initial_accumulator_value=0.1, weight_decay=0.01)


def trained(optimizer=lambda p: optim.Adam(p, lr=1e-3), after=lambda run: None):
    run = golden.Run(37, 19, 3, batch=7, scale=2.0**-1, optimizer=optimizer)
    for _ in range(100):
        run.backward()
        run.update()
        after(run)
    return run


def averages(decay):
    """Exponential averages of the weights after each step, from the first weights on."""
    means = {name: p.detach().clone() for name, p in
             golden.make_weights(37, 19, 3, 2.0**-1).items()}

    def after(run):
        d = min(decay, (1 + run.done) / (10 + run.done))
        for name, value in run.values().items():
            means[name] = d * means[name] + (1 - d) * value

    trained(after=after)
    return means


def rates(schedule, steps, losses=None):
    """The learning rate of each step, which starts at 1e-3."""
    optimizer = optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=1e-3)
    schedule = schedule(optimizer)
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step() if losses is None else schedule.step(losses[step])
    return np.array(found)


# Falls, rests, falls by a little, rises, rests for long.
LOSSES = [200.0, 150.0, 150.0, 151.0, 149.9999, 149.9999, 160.0, 155.0, 150.0, 140.0,
          140.0, 140.0, 140.0, 140.0, 140.0, 140.0, 139.0, 139.5, 139.5, 139.5]


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    folder = folder.parent if folder.is_file() else folder
    out = {}
    for name, optimizer in rules():
        golden.put_whole(out, f"{name}/after100", trained(optimizer).values())
    golden.put_whole(out, "average/after100", averages(0.95))
    out["schedule/cosine"] = rates(
        lambda o: scheduler.CosineAnnealingLR(o, T_max=40, eta_min=1e-5), 40)
    out["schedule/step"] = rates(lambda o: scheduler.StepLR(o, step_size=3, gamma=0.5), 20)
    # PyTorch waits for one epoch more than its patience.
    out["schedule/plateau"] = rates(lambda o: scheduler.ReduceLROnPlateau(
        o, factor=0.2, patience=2, threshold=0.0, eps=0.0), len(LOSSES), LOSSES)
    out["schedule/plateau_losses"] = np.array(LOSSES)
    golden.write(folder / "optimisers.safetensors", out)


if __name__ == "__main__":
    main()
