"""Whether sharpness is super consistent: the same at every size all along training; or in which window it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.consistency_records import Growth, Spread
from similitude.studies.next_steps import sizes_option

LIMIT = 0.15
"""Largest spread of eta times lambda over the compared sizes in a window that counts as the same sharpness."""

DOUBLING = 2.0
"""Growth of the spread from the first window to a later one, beyond noise, that is not super consistent."""

LEAST_SEEDS = 3
_FLOOR = 0.02  # spreads below it are rounding and noise, which may grow as they like


def judge(
    rule: str,
    dial: str,
    *,
    sizes: Sequence[int],
    seeds: int,
    spreads: Sequence[Spread],
    growths: Sequence[Growth],
    diverged: Mapping[int, int],
) -> Verdict:
    """Judge one rule by the spreads of its sharpness.

    Args:
        rule: Its name.
        dial: The dial that changes.
        sizes: All sizes, increasing.
        seeds: Number of seeds.
        spreads: Spread over the compared sizes by window.
        growths: How the gaps of sharpness and loss change over time.
        diverged: Sizes with runs that diverged, and how many.

    Returns:
        `inconsistent` where a spread is above `LIMIT` beyond noise or doubles beyond noise, naming the window;
        `consistent` where all are below it, beyond noise once training has begun; `diverged` where every run of the
        compared sizes did;
        `cannot_tell` otherwise.
    """
    known = [s for s in spreads if s.value is not None]
    compared = spreads[0].compared
    evidence = (*_evidence(spreads, dial), *_growths(growths))
    over = f"{dial}s {compared[0]} to {compared[-1]}" if compared else f"{dial}s"
    lost = ", ".join(f"{count} of {dial} {size}" for size, count in diverged.items())
    if compared and all(diverged.get(size, 0) == seeds for size in compared):
        return Verdict(
            Outcome.DIVERGED,
            f"every run of {over} diverged under {rule}",
            evidence,
            ("the learning rate is too large for these sizes under this rule",),
            "a smaller --lr",
        )
    wide = [s for s in known if s.interval is not None and s.interval[0] > LIMIT]
    risen = _risen(known)
    if wide or risen is not None:
        worst = max(wide, key=lambda s: s.value or 0.0) if wide else risen
        assert worst is not None
        assert worst.value is not None
        how = (
            f"eta x lambda differs by {worst.value:.0%} over {over} at {worst.window}, beyond {LIMIT:.0%}"
            if wide
            else f"the spread of eta x lambda over {over} grows from {known[0].value:.0%} at {known[0].window} to "
            f"{worst.value:.0%} at {worst.window}"
        )
        tail = f"; runs diverged: {lost}" if lost else ""
        return Verdict(
            Outcome.INCONSISTENT,
            f"the sharpness under {rule} depends on the {dial}: {how}{tail}",
            evidence,
            (
                f"under {rule} features learn at a pace that depends on the {dial}, so the landscape does too; the best "
                "learning rate will shift",
                f"the smallest {dial}s compared are still far from their limit: leave them out and add larger ones",
            ),
            "compare with --rules mup" if dial == "width" else "compare with --depth-rules depth_mup",
        )
    if reason := _missing(spreads, known, sizes, seeds, lost, dial):
        summary, step = reason
        return Verdict(Outcome.CANNOT_TELL, summary, evidence, (), step)
    doubtful = [s for s in known if _doubtful(s)]
    if doubtful:
        worst = max(doubtful, key=lambda s: s.value or 0.0)
        return Verdict(
            Outcome.CANNOT_TELL,
            f"the spread of eta x lambda over {over} at {worst.window} is {worst.value or 0:.0%}, and noise leaves open "
            f"whether it is above {LIMIT:.0%}",
            evidence,
            ("seeds differ from one another about as much as sizes do",),
            f"--seeds {max(5, 2 * seeds)}",
        )
    most = max(known, key=lambda s: s.value or 0.0)
    return Verdict(
        Outcome.CONSISTENT,
        f"the sharpness under {rule} is the same over {over} all along: eta x lambda differs by at most "
        f"{most.value or 0:.0%} in any window ({most.window})",
        evidence,
    )


def _doubtful(spread: Spread) -> bool:
    """Whether a spread may be above the limit. At the start nothing is learned yet: what a few draws of weights make of
    it is not held against a rule whose spread is then seen to be small."""
    if spread.interval is None or (spread.value or 0.0) > LIMIT:
        return True
    return spread.window.last > 0 and spread.interval[1] > LIMIT


def _risen(known: Sequence[Spread]) -> Spread | None:
    """The window whose spread is more than twice that of the first, beyond the noise of both."""
    if not known or known[0].interval is None:
        return None
    least = DOUBLING * max(known[0].interval[1], _FLOOR)
    risen = [s for s in known[1:] if s.interval is not None and s.interval[0] > least]
    return max(risen, key=lambda s: s.value or 0.0) if risen else None


def _missing(
    spreads: Sequence[Spread],
    known: Sequence[Spread],
    sizes: Sequence[int],
    seeds: int,
    lost: str,
    dial: str,
) -> tuple[str, str] | None:
    """What keeps the question open whatever the spreads are, and the next step; None where nothing does."""
    if len(spreads[0].compared) < 2:
        larger = tuple(sizes) + tuple(sizes[-1] * 2**k for k in range(1, 4 - len(sizes) + 1))
        return f"{len(sizes)} {dial}s leave fewer than two to compare beside the smallest", sizes_option(
            dial, larger
        )
    if lost:
        return f"some runs diverged ({lost}), so sizes cannot be compared to the end", "a smaller --lr"
    if not known:
        return (
            "no window has a sharpness in units of the optimizer at every size",
            "measure more often: --every 1",
        )
    if seeds < LEAST_SEEDS:
        word = "seed gives" if seeds == 1 else "seeds give"
        return f"{seeds} {word} no idea of the noise", f"--seeds {LEAST_SEEDS}"
    return None


def _evidence(spreads: Sequence[Spread], dial: str) -> list[Evidence]:
    return [
        Evidence(
            f"spread of eta x lambda over {dial}s, {s.window}", s.value, s.interval, f"at most {LIMIT:g}"
        )
        for s in spreads
    ]


def _growths(growths: Sequence[Growth]) -> list[Evidence]:
    expected = {"sharpness": "about 1 or less", "loss": "above 1: the loss need not be consistent"}
    return [
        Evidence(
            f"{g.quantity} gap to the largest size, last window over the first after the start",
            g.value,
            g.interval,
            expected[g.quantity],
        )
        for g in growths
    ]
