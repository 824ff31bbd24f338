"""Train a user's networks with bottlenecks beside function space, from their own start (paper 19)."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from similitude.checking.slopes import fit
from similitude.core.citation import cites
from similitude.core.errors import GridError, PlanError
from similitude.runs.engine import Engine, InProcess
from similitude.scaling.axes import build
from similitude.scaling.sizes import Factory
from similitude.studies.bottleneck_limits import read_parts, steps_without
from similitude.studies.bottleneck_records import BottleneckNet, BottleneckStudy
from similitude.studies.bottleneck_runs import Job, in_function_space, run_net
from similitude.studies.bottleneck_split import find_necks
from similitude.studies.bottleneck_verdict import judge_bottleneck
from similitude.studies.grid_checks import check_runs
from similitude.studies.jobs import Progress
from similitude.studies.universality_runs import Task
from similitude.theory.bottleneck.given import rows


@cites(19, "wide nets with bottlenecks against their function-space training")
def bottleneck(
    model_or_make: nn.Sequential | Factory,
    inputs: Tensor,
    *,
    targets: ArrayLike | Tensor,
    widths: Sequence[int] | None = None,
    bottlenecks: Sequence[str] | None = None,
    steps: int = 100,
    step_size: float = 0.3,
    goal: float = 0.1,
    seeds: Sequence[int] = (0, 1, 2, 3),
    limit: float = 0.1,
    weight_variance: float | None = None,
    bias_variance: float | None = None,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> BottleneckStudy:
    """Train wide networks with bottlenecks beside function space, and say what the bottlenecks change.

    A network that is wide but for a layer of few units is not a kernel machine: the points in the bottleneck move, and
    with them the kernel. Its training is known all the same, for the parts between bottlenecks are kernel machines
    (`similitude.theory.train_bottlenecks`). Here both take the same steps on the same examples from the net's own start,
    and their difference falls with about the square root of the width; and the net's steps are counted beside those of
    the same net without a bottleneck.

    Args:
        model_or_make: An `nn.Sequential`, or a function of the width that returns one. It is copied, not changed.
        inputs: P examples as the network takes them; those that are trained on come first.
        targets: Of N examples, (N,) or (N, outputs).
        widths: Of a function, at least two widths.
        bottlenecks: Names of children whose outputs are bottlenecks. Where None, they are found: what does not grow with
            the width between layers that do, or of a single network what is narrow between wide layers.
        steps: Steps of gradient descent on half the sum of squared errors.
        step_size: Learning rate in units of 1 / the largest eigenvalue of the kernel at the start, the largest one of all
            seeds at the smallest width. The kernel grows in training, so that it bears less than 2.
        goal: Share of the squared error of outputs 0 to which steps are counted.
        seeds: Seeds of the nets of every width; a single network is trained as it is, once.
        limit: Deviation, in units of the targets, up to which a single network counts as wide.
        weight_variance: Variance of weights times fan-in, where all have the same; read from the weights where None.
        bias_variance: Variance of biases, likewise.
        engine: Where nets are trained: `InProcess()` by default.
        on_progress: Called with a `Progress` after every net.

    Returns:
        Every net's deviation, movement and steps, the power of the width, the speed-up, and the verdict: consistent where
        the deviation goes with a power of the width between -0.3 and -0.7, or of a single network is within `limit`.

    Raises:
        PlanError: The network is not sequential, has no bottleneck or draws at random, or targets are not those of the
            examples.
        GridError: Widths, seeds, steps, the step size, goal or limit are no study.
        KernelError: A part has no kernel at infinite width; names the operation and why.
        TheoryError: Targets are no finite numbers or not of the outputs' shape.
        JobsFailedError: Training failed, or function space leaves all bounds: the step size is too large.

    Example:
        >>> below = nn.Sequential(nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 2))
        >>> net = nn.Sequential(below, nn.Linear(2, 256), nn.GELU(), nn.Linear(256, 1))
        >>> x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
        >>> found = bottleneck(net, x, targets=x[:4, 0], steps=5)
        >>> [str(neck) for neck in found.necks]
        ["'0.2' (2 units)"]

    Source: paper 19 (arXiv 2107.00364).

    Cost: per net `steps` steps of training, and steps^2 N P / 2 kernels of every part behind a bottleneck, times 2 d for
        slopes.
    """
    started = time.perf_counter()
    task = _task(inputs, targets)
    if not 0 < step_size < 2:
        raise GridError(f"step_size={step_size:g}: pass a number between 0 and 2, e.g. 0.3.")
    if not 0 < goal < 1:
        raise GridError(f"goal={goal:g}: pass a share of the squared error between 0 and 1, e.g. 0.1.")
    if not limit > 0:
        raise GridError(f"limit={limit:g}: pass a deviation above 0, e.g. 0.1.")
    make = None if isinstance(model_or_make, nn.Module) else model_or_make
    if isinstance(model_or_make, nn.Module):
        if widths is not None:
            raise PlanError(
                "widths= needs a function of the width that builds the network, instead of the network."
            )
        sizes, seeds, wider, model = (), (0,), None, model_or_make
        jobs = [Job(model, None, None, 0)]
    else:
        sizes = _widths(widths)
        jobs = [Job(None, make, width, seed) for width in sizes for seed in seeds]
        model, wider = (build(model_or_make, width, seed=0) for width in sizes[:2])
    check_runs(steps, seeds)
    _check_fixed(model, inputs)
    necks = find_necks(model, inputs[:2], named=bottlenecks, wider=wider)
    parts = read_parts(
        model,
        necks,
        inputs,
        make=make,
        widths=sizes[:2],
        weight_variance=weight_variance,
        bias_variance=bias_variance,
    )
    starts = [
        in_function_space(job.built(), parts, task, lr=1.0, steps=0)
        for job in jobs
        if job.width == jobs[0].width
    ]
    lr = step_size / max(run.stability[0] for run in starts)
    found: dict[tuple[int | None, int], BottleneckNet] = {}

    def done(job: Job, result: BottleneckNet) -> None:
        found[job.width, job.seed] = result
        if on_progress is not None:
            on_progress(Progress("bottleneck", str(job), len(found), len(jobs), len(found) / len(jobs)))

    work = partial(run_net, task=task, parts=parts, lr=lr, steps=steps, goal=goal)
    (engine or InProcess()).map(work, sorted(jobs, key=lambda job: -(job.width or 0)), on_done=done)
    nets = tuple(found[job.width, job.seed] for job in jobs)
    exponent = (
        fit(sizes, [[found[width, seed].deviation for seed in seeds] for width in sizes]) if make else None
    )
    return BottleneckStudy(
        necks=necks,
        nets=nets,
        exponent=exponent,
        steps_without=steps_without(model, parts, task, lr=lr, steps=steps, goal=goal),
        goal=goal,
        lr=lr,
        verdict=judge_bottleneck(nets, exponent, limit=limit),
        settings={
            "training examples": task.train,
            "test examples": len(task.inputs) - task.train,
            "steps": steps,
            "step size": step_size,
            "widths": [*sizes],
            "seeds": len(seeds),
        },
        seconds=time.perf_counter() - started,
    )


def _task(inputs: Tensor, targets: ArrayLike | Tensor) -> Task:
    if not isinstance(inputs, Tensor):
        raise PlanError(
            f"inputs is a {type(inputs).__name__}. Pass a tensor of examples as the network takes them."
        )
    y = rows(targets, "targets", "one target, or one row of them, per training example")
    if y.dim() != 2 or not 0 < len(y) <= len(inputs) or not bool(y.any()):
        raise PlanError(
            f"targets has shape {tuple(y.shape)} for {len(inputs)} examples. Pass one target, or one row of them, for "
            "each of the first examples, which are trained on; not all 0."
        )
    return Task(inputs, y)


def _check_fixed(model: nn.Module, inputs: Tensor) -> None:
    copied = copy.deepcopy(model)  # batch norm writes statistics
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        first, second = copied(inputs), copied(inputs)
    if isinstance(first, Tensor) and not torch.allclose(first, second, rtol=0, atol=0, equal_nan=True):
        raise PlanError(
            "the network gives different outputs for the same inputs: it draws at random, as dropout does in training. "
            "Call .eval() on it, or let the function return it so."
        )


def _widths(widths: Sequence[int] | None) -> tuple[int, ...]:
    found = tuple(sorted(widths or ()))
    if len(set(found)) < 2 or len(set(found)) < len(found):
        raise GridError(
            f"widths={widths}: a power of the width takes two different ones or more, each once. Pass e.g. (128, 512, "
            "2048); of a single width pass the network itself."
        )
    return found
