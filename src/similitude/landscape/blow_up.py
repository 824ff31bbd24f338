"""Training that blew up and came to rest again: every number is finite, and nothing was learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from similitude.landscape.tracker_records import SharpnessRecord

LOST = 10.0
"""Last loss over the first from which on a run counts as diverged. Ones that learn end below 1, and a loss that rises
because it is fitted elsewhere (overfitting) by less than this."""

FAR = 2.0
"""eta x lambda over its threshold from which on a step throws the weights far away. Gradient descent on networks comes
back from up to about twice its threshold and is flatter then (the catapult of Lewkowycz et al. 2020); from farther as
well at times, so that the loss has to confirm it."""

_ROSE, _UNLEARNED = (
    1.25,
    0.9,
)  # largest and last loss over the first, of a run that was thrown far and learned nothing


def blow_up(records: Sequence[SharpnessRecord], late: Sequence[SharpnessRecord]) -> str | None:
    """Say how a run blew up though all of its numbers are finite, if it did.

    Either the loss ends above ten times the first one. Or eta x lambda was above twice its threshold, the loss rose by a
    quarter, and the run ends below the threshold with a loss that is no tenth below the first: the step has thrown the
    weights to where the loss is flat, for instance where all units are dead. A loss that begins at or below 0 tells
    nothing.

    Args:
        records: All records of the run in the order of their steps, all finite.
        late: The last of them.

    Returns:
        What happened, with its numbers; None where neither is so.

    Example:
        >>> from similitude.landscape.tracker_records import SharpnessRecord
        >>> steps = [SharpnessRecord(0, 2.3, 1.0, 0.0, 3), SharpnessRecord(5, 230.0, 0.0, 0.0, 3)]
        >>> blow_up(steps, steps)
        'the loss is 230 at step 5, 100 times that at step 0'
    """
    if not records or records[0].loss <= 0:
        return None
    first, last = records[0], records[-1]
    if last.loss > LOST * first.loss:
        return (
            f"the loss is {last.loss:.4g} at step {last.step}, {last.loss / first.loss:.3g} times that at step "
            f"{first.step}"
        )
    margins = [(record.margin, record) for record in records if record.margin is not None]
    peak, thrown = max(margins, key=lambda found: found[0], default=(0.0, first))
    highest = max(records, key=lambda record: record.loss)
    ends_flat = all(record.margin is None or record.margin <= 1 for record in late)
    if peak > FAR and ends_flat and highest.loss > _ROSE * first.loss and last.loss > _UNLEARNED * first.loss:
        return (
            f"learning rate x sharpness was {peak:.3g} times its threshold at step {thrown.step}, the loss rose from "
            f"{first.loss:.4g} to {highest.loss:.4g} and ends at {last.loss:.4g}, where it is flat"
        )
    return None
