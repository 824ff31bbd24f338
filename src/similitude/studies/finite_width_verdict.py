"""Whether a network is in the regime of infinite width, and its residual branches are those of infinite depth."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.depth_profile import DepthProfile
from similitude.studies.finite_width_records import LayerSizes
from similitude.studies.limit_kernels import LimitKernel
from similitude.studies.seed_spread import Spread

_GAMMA, _OFF = 0.5, 0.15
"""Exponent of branches that have a limit of infinite depth and width, and how far from it one is called another."""
_STRONG, _WEAK = 4.0, 0.25
"""L times the share that one branch of 1/sqrt(L) adds, where its own scale is of order 1: between these."""
_FALLS = -0.5  # power of the width above which a squared deviation does not fall as 1/width
_MANY = "{} hidden layers are too many for their widths: fluctuations grow with L/n, and faster beyond 1/5"
_NARROW = "hidden layers are narrow: fluctuations go as 1/width"
_DEEP = 16  # branches from which one depth alone tells something


def judge_finite_width(
    layers: Sequence[LayerSizes],
    *,
    kernel: Spread | None,
    limits: Sequence[LimitKernel] = (),
    profile: DepthProfile | None,
    limit: float,
    depth: int,
    depth_over_width: float,
    relu_kernel: float,
) -> Verdict:
    """Judge what was measured.

    Args:
        layers: Preactivations by layer.
        kernel: Relative variance of the tangent kernel.
        limits: Kernels beside those at infinite width.
        profile: The residual stream.
        limit: Relative variance up to which a network counts as wide.
        depth: Hidden layers.
        depth_over_width: L/n.
        relu_kernel: Theory's relative variance of the tangent kernel of a plain ReLU network.
    """
    wide = f"at most {limit:g}"
    last = _last(layers)
    spreads: list[tuple[str, Spread]] = []
    if last is not None and last.ratio is not None:
        spreads.append((f"Var(S)/K^2 of preactivations at {last.name}", last.ratio))
    if kernel is not None:
        spreads.append(("relative variance of the tangent kernel", kernel))
    spreads += [(f"squared deviation of the {row.name} from infinite width", row.deviation) for row in limits]
    evidence = [Evidence(name, s.value, s.interval, wide) for name, s in spreads]
    evidence += [line for row in limits for line in _approach(row)]
    evidence.append(Evidence("L/n, sum of 1/width over hidden layers", depth_over_width))
    if last is not None and last.kurtosis is not None:
        evidence.append(
            Evidence(f"excess kurtosis at {last.name}", last.kurtosis.value, last.kurtosis.interval, "0")
        )
    if profile is None:
        evidence.append(Evidence("the kernel's in theory for a plain ReLU MLP of these widths", relu_kernel))
    broken, unsure = ([], []) if profile is None else _law(profile)
    evidence += [] if profile is None else _shown(profile)
    if broken:
        return Verdict(
            Outcome.INCONSISTENT,
            f"the residual branches are not those of a limit of infinite depth: {broken[0]}",
            tuple(evidence),
            tuple(broken[1:]) + _causes(profile),
            next=_mend(profile),
        )
    if not spreads:
        return Verdict(
            Outcome.CANNOT_TELL,
            "preactivations and tangent kernel are 0 or were not measured, so nothing fluctuates",
            tuple(evidence),
            next="an initialization that is not zero, or more networks (--seeds)",
        )
    name, worst = max(spreads, key=lambda row: row[1].value)
    said = f"{name} is {worst.value:.3g} [{worst.low:.3g}, {worst.high:.3g}]"
    if any(s.low > limit for _, s in spreads):
        return Verdict(
            Outcome.INCONSISTENT,
            f"not in the regime of infinite width: {said}, above {limit:g}, with L/n = {depth_over_width:.3g}",
            tuple(evidence),
            _reasons(limits, limit) or (_MANY.format(depth) if depth > 1 else _NARROW,),
            next="a larger width, or fewer layers, or residual branches of 1/sqrt(L): theirs do not grow with L",
        )
    if any(s.high > limit for _, s in spreads):
        return Verdict(
            Outcome.TOO_NOISY,
            f"{said}: on both sides of {limit:g} by chance",
            tuple(evidence),
            next="more networks (--seeds)",
        )
    if unsure:
        return Verdict(
            Outcome.CANNOT_TELL,
            f"wide enough ({said}), but {unsure[0]}",
            tuple(evidence),
            next="a function of width and depth, with --width width=N,depth=L: then branches are compared at two depths",
        )
    return Verdict(Outcome.OK, f"in the regime of infinite width: {said}, within {limit:g}", tuple(evidence))


def _approach(row: LimitKernel) -> list[Evidence]:
    """Show how a kernel approaches that at infinite width."""
    found = [
        Evidence(
            f"share by which the mean {row.name} is larger than at infinite width",
            row.bias.value,
            row.bias.interval,
            "order 1/n",
        )
    ]
    if row.exponent is not None:
        said = f"power of the width in its squared deviation, from width {row.narrow}"
        found.append(Evidence(said, row.exponent.value, row.exponent.interval, "-1 to -2"))
    return found


def _reasons(limits: Sequence[LimitKernel], limit: float) -> tuple[str, ...]:
    """Say why kernels are away from those at infinite width: in the mean, or for good."""
    found = []
    for row in limits:
        if row.deviation.low <= limit:
            continue
        if row.exponent is not None and row.exponent.low > _FALLS:
            found.append(
                f"the {row.name} does not approach the one that the module has at infinite width: its squared deviation "
                f"goes as width^{row.exponent.value:.2f}"
            )
        elif row.bias.value**2 > limit / 2:
            found.append(
                f"the mean {row.name} is {100 * row.bias.value:+.0f} % off: terms of order 1/n that the limit does not "
                "have, such as biases of variance 1/n"
            )
    return tuple(found)


def _last(layers: Sequence[LayerSizes]) -> LayerSizes | None:
    """Return the deepest layer whose fluctuations could be measured, a hidden one where there is one."""
    known = [layer for layer in layers if layer.ratio is not None]
    return max(known, key=lambda layer: (layer.hidden, layer.depth), default=None)


def _law(profile: DepthProfile) -> tuple[list[str], list[str]]:
    """Say what of the flow is broken, and what cannot be told."""
    broken, unsure = [], []
    if profile.strength == 0:
        unsure.append("residual branches are 0 at initialization, so their scale cannot be measured")
        return broken, unsure
    if profile.exponent is not None and profile.interval is not None:
        low, high = profile.interval
        few, many = sorted((profile.compared or 0, profile.branches))
        both = f"from {few} to {many} branches"
        said = f"branches go as L^-gamma with gamma = {profile.exponent:.2f} [{low:.2f}, {high:.2f}] {both}"
        if abs(profile.exponent - _GAMMA) > _OFF:
            (broken if low > _GAMMA or high < _GAMMA else unsure).append(said + ", not 1/2")
    elif profile.branches > 1:
        share = profile.branches * profile.strength
        said = f"{profile.branches} branches that each add {profile.strength:.3g} of the stream's mean square"
        if not _WEAK <= share <= _STRONG:
            size = "more" if share > 1 else "less"
            broken.append(
                f"{said}, {size} than 1/L = {1 / profile.branches:.3g}, which branches of 1/sqrt(L) add"
            )
        elif profile.branches < _DEEP:
            unsure.append(f"{said} may be scaled by 1/sqrt(L) or by a constant: that is told from two depths")
    if abs(profile.surplus) > profile.surplus_allowed:
        broken.append(
            f"branches correlate with the stream: its mean square ends {_off(abs(profile.surplus))} off what they add "
            f"(chance: {100 * profile.surplus_allowed:.0f} %)"
        )
    if profile.compared is not None and profile.deviation > profile.allowed:
        broken.append(
            f"the profile with {profile.compared} branches is off by {_off(profile.deviation)} from the one with "
            f"{profile.branches} (chance and 1/L: {100 * profile.allowed:.0f} %)"
        )
    return broken, unsure


def _mend(profile: DepthProfile | None) -> str:
    if profile is not None and abs(profile.surplus) > profile.surplus_allowed:
        return "branches with mean zero at initialization, and the same command again"
    return "multiply branches by 1/sqrt(L), L their number: similitude plan --depth-rule depth_mup does that"


def _off(deviation: float) -> str:
    return f"{100 * deviation:.0f} %" if deviation < 1 else f"a factor of {1 + deviation:.3g}"


def _causes(profile: DepthProfile | None) -> tuple[str, ...]:
    if profile is None:
        return ()
    if abs(profile.surplus) > profile.surplus_allowed:
        return (
            "branches whose mean is not zero, as x + relu(W x): end a branch in a matrix, or subtract its mean",
        )
    large = profile.branches * profile.strength > 1
    grows = large if profile.exponent is None else profile.exponent < _GAMMA
    return (
        (
            "branches without a multiplier, and weights that do not shrink with the depth: the stream grows with L",
        )
        if grows
        else (
            "branches smaller than 1/sqrt(L), e.g. 1/L: at initialization the network becomes the identity with L",
        )
    )


def _shown(profile: DepthProfile) -> list[Evidence]:
    rows = [
        Evidence(
            "L x share of the stream that one branch adds",
            profile.branches * profile.strength,
            None,
            "order 1",
        ),
        Evidence(
            "surplus of the stream over what branches add",
            profile.surplus,
            None,
            f"0 +- {profile.surplus_allowed:.2g}",
        ),
    ]
    if profile.exponent is not None:
        rows.insert(0, Evidence("gamma of branches L^-gamma", profile.exponent, profile.interval, "1/2"))
    if profile.compared is not None:
        said = f"deviation of the profile from that of {profile.compared} branches"
        rows.append(Evidence(said, profile.deviation, None, f"at most {profile.allowed:.2g}"))
    return rows
