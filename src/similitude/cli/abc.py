"""`similitude abc`: where the user's model lies among the abc-parametrizations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.roles import Roles
from similitude.cli.screen import Screen


def abc(
    factory: str,
    /,
    *,
    base: Annotated[list[str], Parameter(negative="")],
    target: Annotated[list[str] | None, Parameter(negative="")] = None,
    sample: str | None = None,
    data: str | None = None,
    loss: str | None = None,
    optimizer: str = "AdamW",
    rule: str = "sp",
    role: Roles = None,
    figures: Path | None = None,
    html: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say whether your model is unstable, a kernel, or learns features as its width grows, and which tensors are why.

    One forward pass is traced at two small widths and the growth of the init measured; nothing is trained. The exit
    code is 1 where features are not learned alike at every width.

    Parameters
    ----------
    factory:
        A function of the width that returns a model, as module:name or file.py:name.
    base:
        Width that exponents are measured from: 256, width=256, or width=256,depth=4.
    target:
        Another width, larger or smaller; four times that of the base by default. A larger one is not built.
    sample:
        What the model is called with, as module:name or file.py:name: a tensor, a tuple or dict of arguments,
        or a function of nothing or of the width that gives one.
    data:
        In place of --sample: a data set (see `similitude data list`); the loss on a batch is traced.
    loss:
        loss(model, sample) as module:name, traced in place of the model's own call.
    optimizer:
        A class of torch.optim by its name, or module:name.
    rule:
        Parametrization: mup, sp (the model as you wrote it, with one learning rate at every width), ntp, mean_field,
        spectral, u_mup, or one that the factory's module registers.
    role:
        Role of a tensor that is known better: --role.blocks.0.gate input (names may be globs).
    figures:
        Write the map as an SVG file into this folder.
    html:
        Write the table and the map as one HTML file.
    json:
        Print the exponents and the verdict as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.samples import load_traced
        from similitude.cli.sizes import size
        from similitude.report.abc_page import write_abc_page
        from similitude.report.abc_table import abc_table
        from similitude.report.figures import save_figures
        from similitude.scaling.abc import abc as locate

        small = size(base, "--base")
        large = None if target is None else size(target, "--target")
        make = load_factory(factory)
        traced = load_traced(sample, data, loss)
        regime = locate(
            make,
            base=small,
            target=large,
            sample=traced.sample,
            loss=traced.loss,
            optimizer=load_optimizer(optimizer),
            rule=rule,
            roles=role,
        )
        screen.say(abc_table(regime))
        if figures is not None:
            for saved in save_figures(regime, figures):
                screen.say(f"Figure: {saved.resolve()}")
        if html is not None:
            screen.say(f"Page: {write_abc_page(regime, html).resolve()}")
        screen.result(regime.to_dict())
    return regime.verdict.exit_code
