"""`similitude optimizer`: the measured geometry of an optimizer's steps, and the factors that follow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD
from similitude.cli.keywords import Keywords, literal
from similitude.cli.screen import Screen

if TYPE_CHECKING:
    from rich.table import Table

    from similitude.scaling.doubling import Doubling


def optimizer(
    factory: str,
    /,
    *,
    kwarg: Keywords = None,
    rule: str = "mup",
    depth_rule: str = "complete_p",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure how an optimizer's steps grow with a tensor's shape, and show the factors that follow.

    It makes a few steps on throw-away tensors with gradients of low rank. The exit code is 1 where no rule fits.

    Parameters
    ----------
    factory:
        A class of torch.optim by its name, or any class or function of the parameters as module:name.
    kwarg:
        An option of the optimizer: --kwarg.betas 0.9,0.99 or --kwarg nesterov=True.
    rule:
        Parametrization that the factors are for: mup, sp, ntp, mean_field, spectral, u_mup, or one that the
        optimizer's module registers.
    depth_rule:
        complete_p, depth_mup, the exponent alpha of the residual branches, or sp for no rule.
    json:
        Print measurement and factors as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.factories import load_optimizer
        from similitude.core.errors import PlanError
        from similitude.scaling.doubling import doublings
        from similitude.scaling.geometry import measure_optimizer
        from similitude.scaling.optimizers import resolve

        make = load_optimizer(factory)
        make = partial(make, **kwarg) if kwarg else make
        found = measure_optimizer(make)
        try:
            spec, refusal = resolve(make), ""
        except PlanError as error:
            spec, refusal = None, str(error)
        if found.refused and spec is not None:
            screen.say(
                f"{found.name} could not be measured here: {found.reason}. Its law is known without that, and the "
                "factors follow from it."
            )
        else:
            screen.say(found)
        alpha = literal(depth_rule)
        rows = doublings(spec, rule=rule, depth_rule=alpha) if spec is not None else ()
        screen.say(_table(rows, rule) if rows else refusal)
        for note in spec.warnings if spec is not None else ():
            screen.say(f"note: {note}")
        screen.result(
            {
                "measured": found.to_dict(),
                "family": spec.family if spec is not None else None,
                "relative": spec.relative if spec is not None else None,
                "refused": refusal,
                "rule": rule,
                "depth_rule": alpha,
                "factors": [_plain(row) for row in rows],
            }
        )
    return GOOD if spec is not None else BAD_VERDICT


def _plain(row: Doubling) -> dict[str, Any]:
    return {"dial": row.dial, "tensor": row.tensor, **vars(row.factors)}


def _table(rows: Sequence[Doubling], rule: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(f"factors of {rule} when a dial doubles"), title_justify="left")
    for name in ("dial", "tensor", "family"):
        shown.add_column(name)
    for name in ("init", "lr", "eps", "weight decay"):
        shown.add_column(name, justify="right")
    for row in rows:
        f = row.factors
        init = "as it is" if f.init is None else f"x{f.init:.4g}"
        numbers = (f"x{value:.4g}" for value in (f.lr, f.eps, f.weight_decay))
        shown.add_row(row.dial, row.tensor, f.family, init, *numbers)
    return shown
