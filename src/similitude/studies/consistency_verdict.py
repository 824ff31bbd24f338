"""Whether sharpness is super consistent: the same at every size all along training; or in which window it is not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.consistency_records import Growth, Spread
from similitude.studies.next_steps import sizes_option

LIMIT = 0.15
"""Largest spread of eta times lambda over the compared sizes in a window that counts as the same sharpness."""

AT_MOST = 0.25
"""Largest spread that noise may leave open in a window after the start: what a rule that does not transfer reaches.
NTP came to 33 to 40 % over widths 256 to 1024 of an MLP, and to 26 to 32 % over widths 32 to 64 of a ConvNet."""

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

    Both answers are wrong in at most 5 % of studies: `inconsistent` where the true spread is at most `LIMIT` in every
    window, since its lower limits hold in all of them at once, and `consistent` where it is `AT_MOST` or more in one,
    since every upper limit has to lie below.

    Args:
        rule: Its name.
        dial: The dial that changes.
        sizes: All sizes, increasing.
        seeds: Number of seeds.
        spreads: Spread over the compared sizes by window.
        growths: How the gaps of sharpness and loss change over time.
        diverged: Sizes with runs that diverged, and how many.

    Returns:
        `inconsistent` where the spread of a window after the start is above `LIMIT` beyond noise, naming the window;
        `consistent` where no spread is above `LIMIT`, noise leaves open at most `AT_MOST` after the start, and it does
        not double; `diverged` where every run of the compared sizes did; `cannot_tell` otherwise, naming the window.
    """
    evidence = (*_evidence(spreads, dial), *_growths(growths))
    compared = spreads[0].compared
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
    wide = [s for s in spreads if s.window.last > 0 and s.at_least is not None and s.at_least > LIMIT]
    if wide:
        worst = max(wide, key=lambda s: s.value or 0.0)
        tail = f"; runs diverged: {lost}" if lost else ""
        return Verdict(
            Outcome.INCONSISTENT,
            f"the sharpness under {rule} depends on the {dial}: eta x lambda differs by {worst.value or 0:.0%} over "
            f"{over} at {worst.window}, beyond {LIMIT:.0%}{tail}",
            evidence,
            (
                f"under {rule} features learn at a pace that depends on the {dial}, so the landscape does too; the best "
                "learning rate will shift",
                f"the smallest {dial}s compared are still far from their limit: leave them out and add larger ones",
            ),
            "compare with --rules mup" if dial == "width" else "compare with --depth-rules depth_mup",
        )
    open_question = (
        _missing(spreads, sizes, seeds, lost, dial)
        or _noisy(spreads, seeds, over)
        or _different_at_the_start(spreads, sizes, dial, over)
        or _risen(spreads, over)
    )
    if open_question is not None:
        summary, cause, step = open_question
        return Verdict(Outcome.CANNOT_TELL, summary, evidence, (cause,) if cause else (), step)
    most = max((s for s in spreads if s.value is not None), key=lambda s: s.value or 0.0)
    return Verdict(
        Outcome.CONSISTENT,
        f"the sharpness under {rule} is the same over {over} all along: eta x lambda differs by at most "
        f"{most.value or 0:.0%} in any window ({most.window})",
        evidence,
    )


_Open = tuple[str, str, str]  # why the question is open, the likely cause, the next step


def _missing(
    spreads: Sequence[Spread], sizes: Sequence[int], seeds: int, lost: str, dial: str
) -> _Open | None:
    """What keeps the question open whatever the spreads are."""
    if len(spreads[0].compared) < 2:
        larger = tuple(sizes) + tuple(sizes[-1] * 2**k for k in range(1, 4 - len(sizes) + 1))
        few = f"{len(sizes)} {dial}s leave fewer than two to compare beside the smallest"
        return few, "", sizes_option(dial, larger)
    if lost:
        why = f"some runs diverged ({lost}), so sizes cannot be compared to the end"
        return why, "", "a smaller --lr"
    later = [s for s in spreads if s.window.last > 0]
    if not later:
        return "no window lies after the start, which tells nothing", "", "--windows 0-0,0.07-0.2,0.5-1"
    if all(s.value is None for s in spreads):
        why = "no window has a sharpness in units of the optimizer at every size"
        return why, "", "measure more often: --every 1"
    if unknown := next((s for s in later if s.value is None), None):
        why = f"at {unknown.window} some {dial} has no positive sharpness in units of the optimizer"
        return why, "", "measure more often: --every 1"
    if seeds < LEAST_SEEDS:
        word = "seed gives" if seeds == 1 else "seeds give"
        return f"{seeds} {word} no idea of the noise", "", f"--seeds {LEAST_SEEDS}"
    return None


def _noisy(spreads: Sequence[Spread], seeds: int, over: str) -> _Open | None:
    """The window in which noise leaves the answer open the most. Before training it is not held against a rule whose
    spread is seen to be small later: what a few draws of weights make of it then is no effect of the rule."""
    later = [s for s in spreads if s.window.last > 0 and s.interval is not None and s.value is not None]
    doubtful = [s for s in later if (s.value or 0.0) > LIMIT or (s.interval or (0, 0))[1] > AT_MOST]
    if not doubtful:
        return None
    worst = max(doubtful, key=lambda s: (s.interval or (0, 0))[1])
    value, high = worst.value or 0.0, (worst.interval or (0, 0))[1]
    why = (
        f"noise leaves open whether it is above {LIMIT:.0%}"
        if value > LIMIT
        else f"noise leaves open up to {high:.0%}, beyond {AT_MOST:.0%}"
    )
    # The interval shrinks as the root of the number of seeds; of what it will be, the first few say little.
    room = AT_MOST - value if value <= LIMIT else value - LIMIT
    needed = math.ceil(seeds * ((high - value) / max(room, 0.05)) ** 2)
    wanted = min(max(seeds + 2, needed), 4 * seeds)
    return (
        f"the spread of eta x lambda over {over} at {worst.window} is {value:.0%}, and {why}; more seeds are needed",
        "seeds differ from one another about as much as sizes do",
        f"--seeds {wanted}",
    )


def _different_at_the_start(
    spreads: Sequence[Spread], sizes: Sequence[int], dial: str, over: str
) -> _Open | None:
    """A spread above the limit before anything is learned: no rule's doing, and no ground to compare from."""
    start = next((s for s in spreads if s.window.last == 0), None)
    if start is None or start.value is None or start.value <= LIMIT:
        return None
    return (
        f"eta x lambda differs by {start.value:.0%} over {over} at {start.window} already, beyond {LIMIT:.0%}, "
        "before anything is learned",
        f"{dial}s as small as these are far from their limit from the start, or a few seeds drew them apart",
        f"larger {dial}s, or more seeds: {sizes_option(dial, [2 * size for size in sizes])}",
    )


def _risen(spreads: Sequence[Spread], over: str) -> _Open | None:
    """A spread that is small in every window, but more than twice that of the first, beyond the noise of both."""
    known = [s for s in spreads if s.value is not None and s.interval is not None]
    if not known:
        return None
    first = known[0]
    least = DOUBLING * max((first.interval or (0, 0))[1], _FLOOR)
    risen = [s for s in known[1:] if s.at_least is not None and s.at_least > least]
    if not risen:
        return None
    worst = max(risen, key=lambda s: s.value or 0.0)
    return (
        f"the spread of eta x lambda over {over} is small but grows from {first.value or 0:.0%} at {first.window} to "
        f"{worst.value or 0:.0%} at {worst.window}",
        "sizes part slowly, and the run ends before it shows how far",
        f"--steps {2 * spreads[-1].window.last}",
    )


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
