"""What deviations of nets with bottlenecks from function space say."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.checking.slopes import Slope
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.bottleneck_records import BottleneckNet, mean_of

BAND = (-0.7, -0.3)
"""Powers of the width that count as -1/2, which higher orders in 1 / width move a little."""


_LOST = 1e3  # deviation in units of the targets from which a net has diverged, rather than is not wide enough


def judge_bottleneck(nets: Sequence[BottleneckNet], exponent: Slope | None, *, limit: float) -> Verdict:
    """Judge whether nets go the way that function space says.

    Args:
        nets: Smallest width first.
        exponent: Of the deviation; None of a single network, or where it cannot be fitted.
        limit: Deviation up to which a single network counts as wide.
    """
    last = [net for net in nets if net.width == nets[-1].width]
    off, frozen = mean_of(last, "deviation"), mean_of(last, "frozen")
    lost = sum(not net.deviation <= _LOST for net in nets)
    evidence = [
        Evidence("deviation from function space", off),
        Evidence("deviation from the kernel at the start", frozen),
        Evidence("movement of the first bottleneck", sum(net.moved[0] for net in last) / len(last)),
        Evidence("growth of the kernel along the targets", mean_of(last, "growth")),
    ]
    if lost:
        causes = ("the learning rate is above what these nets bear, whose kernel grows in training",)
        return Verdict(
            Outcome.DIVERGED,
            f"{lost} of {len(nets)} nets diverged",
            tuple(evidence),
            causes,
            "lower step_size",
        )
    if nets[0].width == nets[-1].width:
        return _single(off, frozen, limit, tuple(evidence))
    if exponent is None:
        return Verdict(Outcome.CANNOT_TELL, "a net does not deviate at all", tuple(evidence))
    first = mean_of([net for net in nets if net.width == nets[0].width], "deviation")
    summary = (
        f"the deviation from function space goes from {first:.3g} of the targets at width {nets[0].width} to {off:.3g} "
        f"at {nets[-1].width}: width to the {exponent.value:.2f} [{exponent.low:.2f}, {exponent.high:.2f}]; from the "
        f"kernel at the start it is {frozen:.3g}"
    )
    evidence.insert(
        0, Evidence("power of the width", exponent.value, (exponent.low, exponent.high), "-0.7 to -0.3")
    )
    low, high = BAND
    if low <= exponent.value <= high and exponent.high < 0:
        return Verdict(Outcome.CONSISTENT, summary, tuple(evidence))
    if exponent.low <= high and exponent.high >= low:
        return Verdict(
            Outcome.TOO_NOISY, summary, tuple(evidence), next="more seeds, or widths further apart"
        )
    return Verdict(
        Outcome.INCONSISTENT, summary, tuple(evidence), _CAUSES, "larger widths, or Gaussian weights"
    )


_CAUSES = (
    "weights behind a bottleneck are not Gaussian (PyTorch's default is uniform): few of them meet in a unit, so that "
    "their law matters at any width",
    "the smallest nets are far from the limit, where higher powers of 1 / width count",
)


def _single(off: float, frozen: float, limit: float, evidence: tuple[Evidence, ...]) -> Verdict:
    summary = f"the net is {off:.3g} of the targets away from function space, {frozen:.3g} from its kernel at the start"
    if off <= limit:
        return Verdict(Outcome.CONSISTENT, summary, evidence)
    wider = f"a net about {max((off / limit) ** 2, 2):.0f} times as wide, or several: widths=(128, 512, 2048)"
    return Verdict(
        Outcome.INCONSISTENT, summary, evidence, ("the net is not wide enough", *_CAUSES[:1]), wider
    )
