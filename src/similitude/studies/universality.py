"""Compare wide nets with kernel gradient descent from their own start, architecture by architecture (paper 21)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import GridError
from similitude.core.seeding import derive, seeded
from similitude.kernels.entry import kernel
from similitude.landscape.ntk import ntk_gram
from similitude.runs.engine import Engine, InProcess
from similitude.scaling.centred import Centred
from similitude.scaling.plan import Plan, Planner
from similitude.scaling.sizes import Factory
from similitude.studies.grid_checks import check_runs
from similitude.studies.jobs import Progress
from similitude.studies.universality_records import Universality, UniversalityWidth
from similitude.studies.universality_runs import Task, batches_of, deviation, expected, net_descent
from similitude.studies.universality_verdict import architecture, overall
from similitude.training.build import build_model

DRAWS = 128
"""Nets of the smallest width in which variances of initial values are measured: to 1 % with 200 entries or more."""

RICHNESS = 4.0
"""Gamma of the contrast, at which what is learned outweighs by how much the kernels of small nets move at random."""


@dataclass(frozen=True)
class Job:
    """One net that is trained beside its kernel."""

    name: str
    make: Callable[[int], nn.Module]
    plan: Plan
    contrast: Plan | None
    width: int
    seed: int
    rates: Mapping[str, float]
    limit: Tensor
    lr: float

    def __str__(self) -> str:
        return f"{self.name} width {self.width} seed {self.seed}"


@cites(21, "the main theorem and its rate of convergence")
def universality(
    makes: Mapping[str, Factory],
    task: Task,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    steps: int = 100,
    batch_size: int | None = None,
    step_size: float = 1.0,
    seeds: Sequence[int] = (0, 1, 2, 3),
    contrast: str | None = "mup",
    limits: Mapping[str, Tensor] | None = None,
    weight_variance: float | None = None,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Universality:
    """Train nets in the NTK parametrization, and say how far they are from kernel gradient descent at every width.

    The theorem: whatever the architecture, a wide net moves through the space of functions as gradient descent with the
    limit of its tangent kernel does, from wherever it starts. Here both take the same steps on the same examples from
    the same start. Their difference falls with about the square root of the width.

    Args:
        makes: Functions of the width that return a model, by the name that it is shown under. Outputs have shape (P, C).
        task: The examples, and the targets of those that are trained on.
        widths: At least two widths.
        steps: Steps of gradient descent on half the sum of squared errors.
        batch_size: Examples of a step; None for all of them.
        step_size: Learning rate in units of 1 / the largest eigenvalue of the limit on the training examples, below 2.
        seeds: Seeds; each is one net per width, and one order of the examples.
        contrast: A parametrization in which kernels change at any width, trained beside at `RICHNESS` with the initial
            output taken off; None for none.
        limits: Limits of the tangent kernels on all examples by name; those missing are computed by
            `similitude.kernel`.
        weight_variance: Variance of weights times their fan-in, where all have the same; measured where None.
        engine: Where nets are trained: `InProcess()` by default, `ProcessPool(workers=...)` or `RayEngine()`.
        on_progress: Called with a `Progress` after every net.

    Returns:
        Per architecture the deviations, errors and changes of the kernel at every width with their exponents, and the
        verdict: consistent where the deviation falls with a power of the width between -0.3 and -0.7.

    Raises:
        GridError: The widths, seeds, steps or the step size are no study.
        KernelError: A model has no kernel in the limit, and none was given.
        PlanError: The sizes of a model cannot be planned.
        JobsFailedError: Training failed.

    Cost:
        architectures x widths x seeds runs of `steps` steps on all examples, twice that with a contrast.
    """
    started = time.perf_counter()
    widths = _widths(widths)
    check_runs(steps, seeds)
    if not 0 < step_size < 2:
        raise GridError(
            f"step_size={step_size:g}: gradient descent on a kernel diverges from 2 / its largest eigenvalue on. Pass a "
            "number between 0 and 2, e.g. 1."
        )
    jobs: list[Job] = []
    for name, make in makes.items():
        sample = task.inputs[:2]
        planners = [
            Planner(make, base=widths[0], sample=sample, optimizer=torch.optim.SGD, rule=rule, gamma=gamma)
            for rule, gamma in (("ntp", 1.0), (contrast, RICHNESS))
            if rule is not None
        ]
        limit = (limits or {}).get(name)
        if limit is None:
            limit = kernel(make, sample=sample, widths=widths[:2], weight_variance=weight_variance).ntk(
                task.inputs
            )
        limit = limit.double()
        lr = step_size / float(torch.linalg.eigvalsh(limit[: task.train, : task.train])[-1])
        rates = start_variances(make, widths[0])
        for width in widths:
            plans = [planner.plan(width) for planner in planners]
            jobs += [
                Job(name, make, plans[0], plans[1] if contrast else None, width, seed, rates, limit, lr)
                for seed in seeds
            ]
    found: dict[tuple[str, int, int], dict[str, float]] = {}

    def done(job: Job, result: dict[str, float]) -> None:
        found[job.name, job.width, job.seed] = result
        if on_progress is not None:
            on_progress(Progress("universality", str(job), len(found), len(jobs), len(found) / len(jobs)))

    work = partial(_run, task=task, steps=steps, batch_size=batch_size)
    (engine or InProcess()).map(work, sorted(jobs, key=lambda job: -job.width), on_done=done)
    results = {
        name: architecture(
            name,
            [_collected(width, [found[name, width, seed] for seed in seeds]) for width in widths],
            lr=next(job.lr for job in jobs if job.name == name),
        )
        for name in makes
    }
    return Universality(
        architectures=results,
        contrast=contrast,
        verdict=overall(results),
        settings={
            "training examples": task.train,
            "test examples": len(task.inputs) - task.train,
            "steps": steps,
            "examples per step": batch_size or task.train,
            "step size": step_size,
            "widths": list(widths),
            "seeds": len(seeds),
        },
        seconds=time.perf_counter() - started,
    )


def start_variances(make: Callable[[int], nn.Module], width: int, *, draws: int = DRAWS) -> dict[str, float]:
    """Measure the variance that every tensor is drawn with: its learning rate in the NTK parametrization, over lr.

    A weight of standard deviation s is s times a standard normal one there, and a step of that one moves it s times as
    far. Tensors that start constant, as the gains of norms do, are not trained.

    Args:
        make: Function of the width.
        width: The width.
        draws: Models that are built.
    """
    sums: dict[str, Tensor] = {}
    for draw in range(draws):
        with seeded(derive(0, "variances", draw)):
            model = make(width)
        for name, p in model.named_parameters():
            values = p.detach().double()
            sums[name] = sums.get(name, 0) + torch.stack([values.mean(), values.square().mean()])
    moments = {name: (total / draws).tolist() for name, total in sums.items()}
    return {name: max(0.0, square - mean**2) for name, (mean, square) in moments.items()}


def _run(job: Job, *, task: Task, steps: int, batch_size: int | None) -> dict[str, float]:
    """Train one net, and its contrast; the numbers of `UniversalityWidth` by name."""
    batches = batches_of(task, batch_size=batch_size, steps=steps, seed=job.seed)
    model, rates = _built(job, job.plan)
    before = ntk_gram(model, task.inputs, rates=rates)
    net = torch.stack(list(net_descent(model, task, rates=rates, lr=job.lr, batches=batches)))
    apart = deviation(net, expected(job.limit, net[0], task, lr=job.lr, batches=batches), task)
    limit = torch.kron(job.limit, torch.eye(before.outputs, dtype=torch.float64))
    after = ntk_gram(model, task.inputs, rates=rates)
    found = {
        "deviations": apart.test,
        "train_deviations": apart.train,
        "kernel_errors": float((before.matrix.double() - limit).norm() / limit.norm()),
        "kernel_changes": before.distance(after),
    }
    if job.contrast is not None:
        model, rates = _built(job, job.contrast)
        before = ntk_gram(model, task.inputs, rates=rates)
        # Its initial output falls with the width, and with it what there would be to unlearn; so it is taken off.
        centred = {f"model.{name}": rate for name, rate in rates.items()}
        for _ in net_descent(Centred(model), task, rates=centred, lr=job.lr, batches=batches):
            pass
        found["contrast_changes"] = before.distance(ntk_gram(model, task.inputs, rates=rates))
    return found


def _built(job: Job, plan: Plan) -> tuple[nn.Module, dict[str, float]]:
    """Build the net of a plan, with the learning rate of every parameter over that of the study."""
    model = build_model(partial(job.make, job.width), job.seed, plan)
    factors = {id(p): group["lr"] for group in plan.groups(model, lr=1.0) for p in group["params"]}
    return model, {n: job.rates[n] * factors[id(p)] for n, p in model.named_parameters() if p.requires_grad}


def _collected(width: int, found: Sequence[Mapping[str, float]]) -> UniversalityWidth:
    """Collect the seeds of one width."""
    return UniversalityWidth(width, **{name: tuple(run[name] for run in found) for name in found[0]})


def _widths(widths: Sequence[int]) -> tuple[int, ...]:
    if len(set(widths)) < 2 or len(set(widths)) < len(widths):
        raise GridError(
            f"widths={tuple(widths)}: a power of the width takes two different ones or more, each once. Pass e.g. (64, "
            "128, 256, 512)."
        )
    return tuple(sorted(widths))
