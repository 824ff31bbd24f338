"""Findings as sentences."""

from __future__ import annotations

import math

from similitude.evaluation.aggregate import Estimate
from similitude.scenes.analysis.everything import Findings
from similitude.scenes.analysis.first_order import Sensitivity
from similitude.scenes.analysis.isotonic import Decline
from similitude.scenes.analysis.pairs import Interactions
from similitude.scenes.analysis.pose import PoseCurve
from similitude.scenes.analysis.rules import FailureRules
from similitude.scenes.analysis.texture_bias import CueConflict
from similitude.scenes.study.summary import nothing_seen

SURE = 0.05
"""p-value below which something is said to be so."""


def percent(estimate: Estimate) -> str:
    """Return a share in percent with its interval.

    Example:
        >>> percent(Estimate(0.5, 0.25, 0.75, 8, "Wilson"))
        '50 % [25, 75]'
    """
    ends = f" [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]" if math.isfinite(estimate.low) else ""
    return f"{100 * estimate.value:.0f} %{ends}"


def in_words(found: Findings) -> list[str]:
    """Return what was found about a model, the most general first."""
    said = [_standing(found)]
    if found.sensitivity:
        said += _sensitivity(found.sensitivity)
    said += [_rules(found.rules)] if found.rules else []
    said += [_decline(one) for one in found.occlusion if one.measure == "right"]
    said += [_pose(one) for one in found.poses if one.p < SURE]
    said += [_textures(found.textures)] if found.textures else []
    said += _interactions(found.interactions) if found.interactions else []
    if found.calibration:
        over = found.calibration.overconfidence
        way = (
            "more sure than right"
            if over.low > 0
            else "less sure than right"
            if over.high < 0
            else "as sure as right"
        )
        said.append(
            f"It is {way} of the class that it puts first: confidence minus top-1 accuracy "
            f"{100 * over.value:.0f} points [{100 * over.low:.0f}, {100 * over.high:.0f}], expected calibration "
            f"error {100 * found.calibration.error:.0f} points."
        )
    return said


def _standing(found: Findings) -> str:
    failed = f" {found.failed} further scenes have no result." if found.failed else ""
    failed += f" {nothing_seen(found.unseen)}, and count in nothing." if found.unseen else ""
    accuracy = found.standing.accuracy
    scenes = f"{found.scenes} scene{'s' * (found.scenes != 1)}"
    if accuracy.method == "Wilson":
        text = f"Right in {percent(accuracy)} of {scenes}"
    else:
        text = f"Mean score {accuracy} over {scenes}"
    return f"{text}, mean loss {found.standing.loss}.{failed}" if found.standing.loss else f"{text}.{failed}"


def _sensitivity(found: Sensitivity) -> list[str]:
    clear = [(name, one) for name, one in found.indices.items() if one.low > 0]
    rest = [name for name, one in found.indices.items() if not one.low > 0]
    text = "; ".join(f"{name} explains {percent(one)} of its variance" for name, one in clear)
    said = [f"What the {found.measure} depends on: {text or 'no factor stands out'}."]
    if rest:
        said[0] += f" No effect alone is seen of {', '.join(rest)}."
    if found.entangled:
        pairs = "; ".join(f"{a} with {b} ({rank:+.2f})" for a, b, rank in found.entangled)
        said.append(f"Factors that do not vary independently, so that these shares overlap: {pairs}.")
    return said


def _rules(found: FailureRules) -> str:
    holding = [rule for rule in found.rules if rule.holds and rule.judged is not None]
    if not holding:
        return "No rule of up to three conditions about where it fails is borne out by scenes that were held out."
    text = "; ".join(f"in {percent(rule.judged)} where {rule.text}" for rule in holding if rule.judged)
    return (
        f"It fails, in scenes that were held out, {text}. Such rules foretell right and wrong for "
        f"{percent(found.accuracy)} of them; always saying the more frequent, for {percent(found.majority)}."
    )


def _decline(one: Decline) -> str:
    half = one.half
    start = f"from {100 * one.start:.0f} %"
    if not math.isfinite(half.value):
        return f"Accuracy does not fall by half with {one.factor} ({start}, up to {one.places[-1]:.2g})."
    high = f"{half.high:.2f}" if math.isfinite(half.high) else "never"
    low = f"{half.low:.2f}" if math.isfinite(half.low) else "never"
    return f"Half of the accuracy ({start}) is gone where {one.factor} is {half.value:.2f} [{low}, {high}]."


def _pose(one: PoseCurve) -> str:
    worst = one.worst
    assert worst.standing is not None, "the worst sector has scenes"
    return (
        f"Accuracy depends on {one.factor} (p = {one.p:.2g}): worst about {math.degrees(worst.middle):.0f} degrees, "
        f"right in {percent(worst.standing.accuracy)}."
    )


def _textures(one: CueConflict) -> str:
    text = f"Other textures ({one.factor}): right in {percent(one.swapped)}"
    if one.original is not None:
        text += f", with its own in {percent(one.original)}"
    if one.shape_bias is None:
        return f"{text}. No answer names the texture's class."
    return (
        f"{text}. Of answers that name the object or the texture's class ({percent(one.decided)} of those that could), "
        f"{percent(one.shape_bias)} follow the shape."
    )


def _interactions(found: Interactions) -> list[str]:
    clear = [pair for pair in found.pairs if pair.corrected < SURE]
    if not clear:
        return []
    pairs = "; ".join(f"{pair.first} and {pair.second} (p = {pair.corrected:.2g})" for pair in clear)
    return [f"Factors that change what each other does to being right: {pairs}."]
