"""Claims of paper 20 (3DB): objects that a model knows, and the poses, textures and occluders with which it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from similitude.claims.judged import judged
from similitude.claims.needs import check_needs
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.scenes.objects.admission import admit
from similitude.scenes.objects.catalog import OBJECTS
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import PolicySettings, StudySettings

TURNED = 0.5
"""Radians to either side of the everyday view within which a pose is usual."""
ANIMALS = ("cow", "zebra", "elephant", "crocodile", "tiger", "giraffe")
RATIOS = (0.1, 0.2, 0.4, 0.6, 0.7, 0.8)
_NEEDS = ("embree", "efficientnet")

_Varied = dict[str, dict[str, Any]]  # settings of controls, of which some vary


@claim(
    "20.admission",
    paper=20,
    statement="Models modelled in three dimensions and rendered under everyday conditions are recognised by a classifier "
    "that was trained on photographs (Section 4).",
    claimed="at least 80 % of the everyday objects modelled by code are admitted: in the everyday view an accepted class "
    "comes first, and the accepted ones have half of the probability together (EfficientNet-Lite0, raster)",
    minutes=0.5,
    full_minutes=3,
    needs=_NEEDS,
)
def admission(*, full: bool = False) -> Measured:
    """Show every object in its everyday view to one classifier, at full size to three."""
    models = (
        ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
        if full
        else ("efficientnet-lite0",)
    )
    check_needs(_NEEDS)
    names = _labelled()
    found = {model: [admit(name, model=model) for name in names] for model in models}
    shares = {model: float(np.mean([one.admitted for one in several])) for model, several in found.items()}
    first = found[models[0]]
    figure = Chart(
        "Probability of the accepted classes in the everyday view",
        "object",
        "probability",
        tuple(
            Series(model, range(len(names)), [one.probability for one in several])
            for model, several in found.items()
        ),
        "Above the line an object is admitted, if an accepted class comes first too.",
        x_names=tuple(names),
        levels={"admitted": 0.5},
        y_range=(0.0, 1.0),
    )
    evidence = [
        Evidence(f"{model}: share admitted", share, expected="at least .8") for model, share in shares.items()
    ]
    evidence += [Evidence(one.name, one.probability) for one in first]
    count = sum(one.admitted for one in first)
    lacking = ", ".join(f"{one.name} ({one.first})" for one in first if not one.admitted)
    summary = f"{count} of {len(first)} objects are admitted" + (f"; not {lacking}" if lacking else "")
    share = shares[models[0]]
    return judged(share >= 0.8, share, "share of objects", summary, evidence, figures=(figure,))


@claim(
    "20.pose",
    paper=20,
    statement="Models that know an object in usual poses fail in unusual ones (Section 4, pose).",
    claimed="over admitted objects, accuracy in random orientations is lower than within half a radian of the everyday "
    "view by 10 points or more, and the t-interval of the difference over objects excludes 0",
    minutes=1.5,
    full_minutes=8,
    needs=_NEEDS,
)
def pose(*, full: bool = False) -> Measured:
    """Turn admitted objects a little and at random, seen from the same side."""
    angles: dict[str, Any] = {f"rotation_{axis}": {"low": -np.pi, "high": np.pi} for axis in "xyz"}

    def near(yaw: float) -> _Varied:
        return {"orientation": {"rotation_z": {"low": yaw - TURNED, "high": yaw + TURNED}}}

    return _compared(
        "accuracy by pose",
        {
            "usual pose": _accuracies(near, 64 if full else 16, full=full),
            "random pose": _accuracies(lambda yaw: {"orientation": angles}, 64 if full else 16, full=full),
        },
        least=0.10,
        summary="accuracy is {first:.0%} in usual poses and {second:.0%} in random ones",
    )


@claim(
    "20.texture",
    paper=20,
    statement="Models go by texture: an object with the texture of an animal is no longer known (Section 4, texture).",
    claimed="over admitted objects, accuracy in the coat of an animal is lower than in the own one by 20 points or "
    "more in the same pose, and the t-interval of the difference over objects excludes 0",
    minutes=1.0,
    full_minutes=5,
    needs=_NEEDS,
)
def texture(*, full: bool = False) -> Measured:
    """Dress admitted objects in the coats of animals, in poses near the everyday view."""
    turns = (-0.4, -0.2, 0.0, 0.2, 0.4) if full else (-0.3, 0.0, 0.3)
    coats = list(ANIMALS if full else ANIMALS[:4])

    def near(yaw: float) -> _Varied:
        return {"orientation": {"rotation_z": [yaw + turn for turn in turns]}}

    return _compared(
        "accuracy by texture",
        {
            "own texture": _accuracies(near, full=full),
            "coat of an animal": _accuracies(lambda yaw: near(yaw) | {"texture": {"name": coats}}, full=full),
        },
        least=0.20,
        summary="accuracy is {first:.0%} with the own texture and {second:.0%} with coats of animals",
    )


@claim(
    "20.occlusion",
    paper=20,
    statement="An object that is hidden behind another for the most part is no longer known (Section 4, occlusion).",
    claimed="over admitted objects, accuracy with 60 % or more hidden is lower than with 20 % or less by 20 points or "
    "more, and the t-interval of the difference over objects excludes 0",
    minutes=1.5,
    full_minutes=6,
    needs=_NEEDS,
)
def occlusion(*, full: bool = False) -> Measured:
    """Hide growing shares of admitted objects, from several sides."""
    sides = ["left", "right", "top", "bottom"] if full else ["left", "top"]
    found = {
        ratio: _accuracies(
            lambda yaw, ratio=ratio: {"occlusion": {"ratio": ratio, "direction": list(sides)}}, full=full
        )
        for ratio in RATIOS
    }
    names = list(found[RATIOS[0]])
    few, many = (
        {name: float(np.mean([found[r][name] for r in RATIOS if chosen(r)])) for name in names}
        for chosen in (lambda r: r <= 0.2, lambda r: r >= 0.6)
    )
    means = [t_interval(list(found[ratio].values())) for ratio in RATIOS]
    curve = Chart(
        "Accuracy by what is hidden",
        "share of the object that is hidden",
        "accuracy",
        (
            Series(
                "mean over objects",
                RATIOS,
                [float(np.mean(list(found[ratio].values()))) for ratio in RATIOS],
                means,
            ),
        ),
        "The curve should fall towards the right.",
        y_range=(0.0, 1.0),
    )
    return _compared(
        "accuracy by occlusion",
        {"20 % or less hidden": few, "60 % or more hidden": many},
        least=0.20,
        summary="accuracy is {first:.0%} with 20 % or less hidden and {second:.0%} with 60 % or more",
        figures=(curve,),
    )


def _compared(
    title: str,
    groups: Mapping[str, Mapping[str, float]],
    *,
    least: float,
    summary: str,
    figures: Sequence[Chart] = (),
) -> Measured:
    """Return the verdict that the first of two groups is ahead by so much, by paired differences of objects."""
    (first_name, first), (second_name, second) = groups.items()
    names = list(first)
    difference = [first[name] - second[name] for name in names]
    low, high = t_interval(difference)
    value = float(np.mean(difference))
    figure = Chart(
        title.capitalize(),
        "object",
        "accuracy",
        tuple(
            Series(label, range(len(names)), [own[name] for name in names]) for label, own in groups.items()
        ),
        f"Marks of '{first_name}' should stand above those of '{second_name}'.",
        x_names=tuple(names),
        y_range=(0.0, 1.0),
    )
    means = [float(np.mean(list(own.values()))) for own in (first, second)]
    evidence = [
        *(
            Evidence(label, mean, t_interval(list(own.values())))
            for (label, own), mean in zip(groups.items(), means, strict=True)
        ),
        Evidence("difference", value, (low, high), f"at least {least:g}, its interval above 0"),
    ]
    said = summary.format(first=means[0], second=means[1])
    return judged(
        value >= least and low > 0,
        value,
        "difference of accuracy",
        f"over {len(names)} objects, {said}: {value:.2f} [{low:.2f}, {high:.2f}]",
        evidence,
        (low, high),
        figures=(*figures, figure),
    )


def _accuracies(
    varied: Callable[[float], _Varied], count: int | None = None, *, full: bool
) -> dict[str, float]:
    """Return the accuracy of every admitted object; what varies is told the yaw of its everyday view."""
    return {name: _accuracy(name, varied(OBJECTS[name].view.rotation[2]), count) for name in _admitted(full)}


def _accuracy(name: str, varied: _Varied, count: int | None) -> float:
    """Return the accuracy on scenes of an object in its everyday view, but for what varies.

    Args:
        name: The object.
        varied: Settings of controls, of which some vary.
        count: How many Sobol scenes; None for the whole grid of choices.
    """
    controls = {instance: dict(values) for instance, values in OBJECTS[name].view.controls.items()}
    for instance, values in varied.items():
        controls[instance] = {**controls.get(instance, {}), **values}
    constants = all(not isinstance(v, list | dict) for values in controls.values() for v in values.values())
    policy = PolicySettings("grid") if count is None or constants else PolicySettings("sobol", count)
    run = run_study(StudySettings((name,), controls=controls, policy=policy, resolution=160))
    return float(np.mean([bool(row.success) for row in _scored(run.rows)]))


def _scored(rows: Iterable[Any]) -> list[Any]:
    found = list(rows)
    failed = [row.error for row in found if row.failed]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(found)} scenes failed, the first: {failed[0]}")
    return found


def _labelled() -> tuple[str, ...]:
    return tuple(name for name, entry in OBJECTS.items() if entry.labels)


@lru_cache(maxsize=2)
def _admitted(full: bool) -> tuple[str, ...]:
    """Return the objects that are known in their everyday view: all of them, or twelve taken evenly."""
    check_needs(_NEEDS)
    found = [name for name in _labelled() if admit(name).admitted]
    if full or len(found) <= 12:
        return tuple(found)
    return tuple(found[i] for i in np.linspace(0, len(found) - 1, 12).round().astype(int))
