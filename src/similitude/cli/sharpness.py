"""`similitude sharpness`: track the sharpness of the user's own model in the optimizer's units, and look at its end."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from similitude.cli.keywords import Keywords
from similitude.cli.screen import Screen

if TYPE_CHECKING:
    import torch
    from torch import nn


def sharpness(
    factory: str,
    /,
    *,
    width: Annotated[list[str] | None, Parameter(negative="")] = None,
    sample: str | None = None,
    data: str | None = None,
    loss: str | None = None,
    optimizer: str = "SGD",
    lr: str | None = None,
    kwarg: Keywords = None,
    plan: Path | None = None,
    steps: int = 200,
    every: int = 10,
    batch_size: int | None = None,
    context: int | None = None,
    full_batch: Annotated[bool, Parameter(negative="")] = False,
    examples: int = 512,
    checkpoint: Path | None = None,
    directional: Annotated[bool, Parameter(negative="")] = False,
    top: int | None = None,
    density: bool = True,
    split: bool = True,
    tol: float = 1e-3,
    seed: int = 0,
    log: Path | None = None,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train your model and measure its sharpness as its optimizer sees it: is it at the edge of stability?

    Learning rate times sharpness is compared with the optimizer's own threshold: 2 for gradient descent, 38 for Adam. At
    the end come the largest eigenvalues of the Hessian, its trace, its density and its two parts, and an HTML report. The
    exit code is 0 at the edge or below it, 1 beyond it or where training diverged, 3 where it cannot be told.

    Parameters
    ----------
    factory:
        A function of the width or of nothing that returns a model, as module:name or file.py:name.
    width:
        Width of the model: 64, or width=64,depth=4. Leave it out for a function of nothing.
    sample:
        What to train and measure on, as module:name or file.py:name: a batch, a list of batches, or a function of
        nothing or of the width that gives one.
    data:
        In place of --sample: a data set (see `similitude data list`), or name=path for your own files.
    loss:
        loss(model, batch) as module:name. Cross entropy with --data; models that return their own loss need none.
    optimizer:
        A class of torch.optim by its name, or module:name.
    lr:
        Learning rate (at the base of the plan); powers of two may be written 2^-9. The optimizer's own default
        where it is not given.
    kwarg:
        An option of the optimizer: --kwarg.momentum 0.9, --kwarg.betas 0.9,0.95.
    plan:
        Parametrization of the model: a plan that `similitude plan --save` wrote for this size.
    steps:
        Optimizer steps; 0 measures the model as it is.
    every:
        Steps between measurements.
    batch_size:
        Images (64 by default) or text sequences (8) per training batch.
    context:
        Characters per sequence of a text; 32 by default.
    full_batch:
        Train on the probe itself, all of it at every step. The edge of stability is sharp only there.
    examples:
        Examples of the probe, the fixed data that sharpness is measured on.
    checkpoint:
        Weights to begin with: a file that torch.save wrote.
    directional:
        Measure the curvature along the updates too, which exists for every optimizer.
    top:
        Number of eigenvalues at the end; 10 by default, or one per parameter where there are fewer.
    density:
        Take the density of all eigenvalues at the end, which is most of the work there.
    split:
        Take the Gauss-Newton part and the residual part of the Hessian at the end.
    tol:
        Relative error of an eigenvalue.
    seed:
        Seed of the model, the probe, the order of batches and the searches.
    log:
        Write every measurement to this file at once, one JSON object per line.
    report:
        The HTML file; sharpness.html by default.
    json:
        Print everything as one JSON object on standard output.
    """
    kept = "" if log is None else f"Measurements made so far are in {log}."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.cli.checkpoints import load_checkpoint
        from similitude.cli.factories import load_factory
        from similitude.cli.models import build_model
        from similitude.cli.options import at_least
        from similitude.cli.probes import load_probed
        from similitude.cli.samples import loss_for
        from similitude.cli.sizes import size
        from similitude.landscape.sharpness_run import sharpness_run
        from similitude.report.sharpness_page import write_sharpness_page
        from similitude.report.sharpness_table import sharpness_table
        from similitude.scaling.plan import Plan

        for option, value, least in (
            ("--steps", steps, 0), ("--every", every, 1), ("--examples", examples, 1), ("--top", top, 1)
        ):  # fmt: skip
            if value is not None:
                at_least(value, least, option)
        dials = None if width is None else size(width, "--width")
        given = load_probed(
            data, sample, loss, width=None if dials is None else dials.get("width"), examples=examples,
            batch_size=batch_size, context=context, full_batch=full_batch, seed=seed,
        )  # fmt: skip
        for option in given.vain:
            screen.say(
                f"Note: {option} has no effect on {'--data ' + data if data else '--sample ' + str(sample)}."
            )
        model = build_model(load_factory(factory), dials, factory, seed=seed)
        planned = None if plan is None else Plan.load(plan)
        if planned is not None:
            planned.apply_(model)
        if checkpoint is not None:
            load_checkpoint(model, checkpoint)
        minimized = loss_for(model, given.probe[0], given.loss)
        made = _optimizer(model, optimizer, lr, kwarg or {}, planned)
        settings = _settings(factory, dials, data or sample, optimizer, kwarg or {}, made)
        settings |= {
            "steps": steps,
            "every": every,
            "training batches": "the whole probe" if full_batch else "small",
        }
        with screen.notes.status("step 0") as status:
            run = sharpness_run(
                model, made, loss=minimized, batches=given.batches, probe=given.probe,
                steps=steps, every=every, tol=tol, directional=directional, top=top, density=density, split=split,
                name=factory.rpartition(":")[2], log=None if log is None else str(log), seed=seed, settings=settings,
                on_record=lambda record: status.update(f"step {record.step} of {steps}, loss {record.loss:.4g}"),
            )  # fmt: skip
        screen.say(sharpness_table(run))
        page = write_sharpness_page(run, report or Path("sharpness.html")).resolve()
        screen.say(f"Report: {page}")
        screen.result({**run.to_dict(), "report": str(page)})
    return run.verdict.exit_code


def _optimizer(
    model: nn.Module, name: str, lr: str | None, options: dict[str, Any], plan: Any
) -> torch.optim.Optimizer:
    """Make the optimizer over the model's parameters, or over the groups of a plan.

    Raises:
        FactoryError: There is no such optimizer, or it does not take the options or the parameters.
        PlanError: A plan needs a learning rate, or does not fit the model.
    """
    from similitude.cli.factories import load_optimizer
    from similitude.cli.options import rate
    from similitude.core.errors import FactoryError, PlanError, SimilitudeError
    from similitude.training.build import build_optimizer

    cls = load_optimizer(name)
    found = None if lr is None else rate(lr, "--lr")
    if plan is not None and found is None:
        raise PlanError("--plan scales the learning rate that was tuned at its base. Give it as --lr.")
    groups = plan.groups(model, lr=found) if plan is not None else list(model.parameters())
    given = options if found is None else {"lr": found, **options}
    try:
        return build_optimizer(partial(cls, **given), groups)
    except SimilitudeError:
        raise
    except Exception as error:
        text = ", ".join(f"{key}={value!r}" for key, value in given.items())
        raise FactoryError(
            f"{name}(parameters, {text}) failed with {type(error).__name__}: {error}. Options go as --kwarg.name value."
        ) from error


def _settings(
    factory: str,
    dials: dict[str, int] | None,
    data: str | None,
    optimizer: str,
    options: dict[str, Any],
    made: torch.optim.Optimizer,
) -> dict[str, Any]:
    rates = sorted({float(group["lr"]) for group in made.param_groups if "lr" in group})
    named = {"model": factory, **(dials or {}), "data": data, "optimizer": optimizer, **options}
    return named | {
        "learning rate" if len(rates) == 1 else "learning rates": rates[0] if len(rates) == 1 else rates
    }
