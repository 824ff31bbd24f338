"""`similitude doctor`: which routes to Hessian-vector products are right for the user's own model."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from similitude.cli.screen import Screen
from similitude.core.errors import CurvatureError


def doctor(
    factory: str,
    /,
    *,
    width: Annotated[list[str] | None, Parameter(negative="")] = None,
    sample: str | None = None,
    data: str | None = None,
    loss: str | None = None,
    routes: str | None = None,
    evaluation: Annotated[bool, Parameter(name="--eval", negative="")] = False,
    seed: int = 0,
    timeout: float = 120.0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say which second-order routes are right for your model's operations, with the evidence.

    One Hessian-vector product is taken by every route that PyTorch offers, each in a process of its own, and compared
    with finite differences. What breaks a route is named with the modules that call it. The exit code is 0 where the
    products of similitude itself are right, 1 where they are not, 3 where that cannot be told.

    Parameters
    ----------
    factory:
        A function of the width or of nothing that returns a model, as module:name or file.py:name.
    width:
        Width of the model: 64, or width=64,depth=4. Leave it out for a function of nothing.
    sample:
        A batch as module:name or file.py:name: what loss(model, batch) takes, or what the model is called with; or a
        function of nothing or of the width that gives one.
    data:
        In place of --sample: a data set (see `similitude data list`), or name=path for your own files.
    loss:
        loss(model, batch) as module:name. Cross entropy with --data; models that return their own loss need none.
    routes:
        Names of routes, separated by commas; all by default. Our own is always tried.
    evaluation:
        Put the model in eval mode; by default it is as the factory leaves it, in train mode.
    seed:
        Seeds the model, directions and what random layers draw.
    timeout:
        Seconds that one product may take.
    json:
        Print everything as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.factories import load_factory
        from similitude.cli.models import build_model
        from similitude.cli.options import names, rate
        from similitude.cli.samples import load_traced, loss_for, sample_at
        from similitude.cli.sizes import size
        from similitude.landscape.doctor import doctor as examine
        from similitude.landscape.routes import routes_by_name
        from similitude.report.doctor_table import doctor_table

        chosen = None if routes is None else names(routes)
        routes_by_name(chosen)
        make = load_factory(factory)
        if sample is None and data is None:
            raise CurvatureError(
                "the doctor differentiates your loss twice, and nothing says on which data. Give --data NAME, e.g. "
                "--data digits, or --sample module:name (or file.py:name) of a batch, with --loss module:name where the "
                "model returns no loss of its own."
            )
        traced = load_traced(sample, data, loss)
        dials = None if width is None else size(width, "--width")
        model = build_model(make, dials, factory, seed=seed)
        if evaluation:
            model.eval()
        batch = sample_at(sample, traced.sample, None if dials is None else dials.get("width"))
        found = examine(
            model,
            loss_for(model, batch, traced.loss),
            batch,
            routes=chosen,
            seed=seed,
            timeout=rate(str(timeout), "--timeout", what="number of seconds"),
        )
        screen.say(doctor_table(found))
        screen.result(found.to_dict())
    return found.verdict.exit_code
