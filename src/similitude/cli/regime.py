"""`similitude regime`: is the user's network in the regime of infinite width, its branches those of infinite depth?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter

from similitude.cli.screen import Screen
from similitude.core.errors import FactoryError


def regime(
    factory: str,
    /,
    *,
    width: Annotated[list[str] | None, Parameter(negative="")] = None,
    sample: str | None = None,
    data: str | None = None,
    seeds: int = 16,
    examples: int = 8,
    tangent: int = 4,
    outputs: str | None = None,
    infinite: bool = True,
    limit: float = 0.1,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say whether your network is in the regime of infinite width: how much networks that are drawn alike differ.

    Over several draws: the variance of preactivations given the layer before, their kurtosis, and the tangent kernel.
    Kernels are compared with those of your model at infinite width where it has them, a residual stream with the
    covariance flow of branches of 1/sqrt(L); with a dial depth at two depths. The exit code is 0 in the regime, 1 outside
    of it or with other branches, 3 where that cannot be told.

    Parameters
    ----------
    factory:
        A function of the width and depth, or of nothing, that returns a model, as module:name or file.py:name.
    width:
        Width of the model: 64, or width=64,depth=16. Leave it out for a function of nothing.
    sample:
        What the model is called with, as module:name or file.py:name: a tensor, a tuple or a dict, or a function of
        nothing or of the width that gives one.
    data:
        In place of --sample: a data set (see `similitude data list`), or name=path for your own files.
    seeds:
        Networks that are drawn, at least 3.
    examples:
        Examples that they are run on.
    tangent:
        Examples of the tangent kernel; 0 leaves it out.
    outputs:
        Name, or number, of the tensor that the tangent kernel is of, where the model returns several:
        last_hidden_state.
    infinite:
        Compare kernels with those of your model at infinite width.
    limit:
        Relative variance up to which a network counts as wide.
    seed:
        Seeds the networks.
    json:
        Print everything as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.factories import load_factory
        from similitude.cli.samples import load_traced, sample_at
        from similitude.cli.sizes import size
        from similitude.report.finite_width_table import finite_width_table
        from similitude.scaling.sizes import takes_width
        from similitude.studies.finite_width import finite_width

        make = load_factory(factory)
        dials = None if width is None else size(width, "--width")
        if dials is None and takes_width(make):
            raise FactoryError(f"'{factory}' takes the width. Give --width 64, or --width width=64,depth=16.")
        traced = load_traced(sample, data, None)
        inputs = sample_at(sample, traced.sample, None if dials is None else dials.get("width"))
        if data is not None and isinstance(inputs, tuple | list):
            inputs = inputs[0]  # without the targets
        found = finite_width(
            make,
            inputs,
            size=dials,
            networks=seeds,
            examples=examples,
            tangent=tangent,
            outputs=None if outputs is None else _part(outputs),
            infinite=infinite,
            limit=limit,
            seed=seed,
        )
        screen.say(finite_width_table(found))
        screen.result(found.to_dict())
    return found.verdict.exit_code


def _part(name: str) -> Callable[[Any], Any]:
    """Return a function that takes one part of what a model returns, by name or number."""

    def part(result: Any) -> Any:
        from similitude.core.errors import PlanError

        try:
            if name.isdigit():
                return result[int(name)]
            return getattr(result, name) if hasattr(result, name) else result[name]
        except (KeyError, IndexError, TypeError) as error:
            raise PlanError(
                f"--outputs {name}: the model returns a {type(result).__name__} without it. Give a name or a number of "
                "what it returns."
            ) from error

    return part
