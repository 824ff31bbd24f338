"""Draw few-shot splits of one's own examples: nested over shots, balanced over answers if asked, whole texts if asked."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.core.errors import DataError
from similitude.core.seeding import numpy_generator
from similitude.fewshot.examples import Example


def few_shot(
    examples: Sequence[Example],
    shots: int,
    *,
    split: int,
    seed: int = 0,
    balanced: bool = False,
    by_text: bool = False,
) -> tuple[Example, ...]:
    """Draw one split; with more shots of the same split and seed, the same examples and more.

    Args:
        examples: Where to draw from.
        shots: How many to draw.
        split: Number of the split: other numbers are other draws.
        seed: Seed of all splits.
        balanced: Draw the same number with each answer, up to one; for labels. As published, splits of CLUES are not.
        by_text: Draw texts with all their questions, and count texts: as the splits of CoNLL and WikiANN are.

    Raises:
        DataError: There are too few examples, texts, or examples with one of the answers; or both `balanced` and
            `by_text` are asked for.

    Example:
        >>> from similitude.fewshot.examples import Query
        >>> items = [Example(Query(str(i), (f"text {i}",), "?"), (frozenset({"ab"[i % 2]}),)) for i in range(40)]
        >>> ten, twenty = (few_shot(items, shots, split=1, balanced=True) for shots in (10, 20))
        >>> set(ten) <= set(twenty), sum(item.answer == {"a"} for item in ten)
        (True, 5)
    """
    if balanced and by_text:
        raise DataError(
            "few_shot draws balanced answers or whole texts: questions on one text have different answers. Ask for one."
        )
    groups = _by_text(examples) if by_text else [[example] for example in examples]
    if not 1 <= shots <= len(groups):
        raise DataError(
            f"few_shot draws {shots} of {len(groups)} {'texts' if by_text else 'examples'}. Ask for 1 to {len(groups)}."
        )
    order = [groups[i] for i in numpy_generator(seed, "few-shot", split).permutation(len(groups))]
    if balanced:
        order = _alternating(order, shots)
    return tuple(example for group in order[:shots] for example in group)


def _by_text(examples: Sequence[Example]) -> list[list[Example]]:
    found: dict[tuple[str, ...], list[Example]] = {}
    for example in examples:
        found.setdefault(example.query.context, []).append(example)
    return list(found.values())


def _alternating(order: list[list[Example]], shots: int) -> list[list[Example]]:
    """Reorder so that every round has one of each answer."""
    queues: dict[frozenset[str], list[list[Example]]] = {}
    for group in order:
        queues.setdefault(group[0].answer, []).append(group)
    for place, (answer, queue) in enumerate(queues.items()):
        needed = (shots + len(queues) - 1 - place) // len(queues)
        if len(queue) < needed:
            raise DataError(
                f"few_shot draws {shots} balanced over {len(queues)} answers, {needed} of {sorted(answer)}, but there "
                f"are {len(queue)}. Draw fewer, or leave balanced=True out."
            )
    longest = max(map(len, queues.values()))
    return [queue[i] for i in range(longest) for queue in queues.values() if i < len(queue)]
