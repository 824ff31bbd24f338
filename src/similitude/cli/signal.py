"""`similitude signal`: how the signal and the gradients of the user's model change with depth, and what to change."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from similitude.cli.screen import Screen


def signal(
    factory: str,
    /,
    *,
    depths: str | None = None,
    sample: str | None = None,
    data: str | None = None,
    loss: str | None = None,
    seeds: int = 3,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure forward geometry and gradient norms from layer to layer, at initialization; say what to change.

    The exit code is 0 where gradients keep their size with depth (within a factor of 10), 1 where they explode or
    vanish, 3 where there are too few layers to tell.

    Parameters
    ----------
    factory:
        A function of the depth that returns a model, or of nothing without --depths, as module:name or file.py:name.
    depths:
        Depths to build, separated by commas: 10,40,160.
    sample:
        A batch as module:name or file.py:name: what loss(model, batch) takes, or what the model is called with.
    data:
        In place of --sample: a data set (see `similitude data list`), or name=path for your own files.
    loss:
        loss(model, batch) as module:name. Cross entropy with --data; models that return their own loss need none.
    seeds:
        Networks per depth.
    json:
        Print the numbers as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.factories import load_factory
        from similitude.cli.options import at_least, whole_numbers
        from similitude.cli.samples import load_traced, sample_at
        from similitude.theory.signal.measure import profile

        at_least(seeds, 1, "--seeds")
        listed = None if depths is None else whole_numbers(depths, "--depths")
        made = load_factory(factory, what="a function of the depth, or of nothing, that returns a model")
        given = load_traced(sample, data, loss)
        found = profile(
            made,
            sample_at(sample, given.sample, None),
            depths=listed,
            loss=given.loss,
            seeds=seeds,
        )
        screen.say(found)
        screen.result(found.to_dict())
    return found.verdict.exit_code
