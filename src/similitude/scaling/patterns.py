"""Names of tensors at several depths with * for the numbers that the depth changes: `blocks.*.0.weight`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


def name_patterns(names: Sequence[Sequence[str]]) -> dict[str, str]:
    """Write every name with * for those numbers that the depth changes, decided from the left to the right.

    A number is one of those where names that agree in all before it, and in the words after it, have other numbers there
    at other depths: blocks of a stage that does not grow keep theirs, and so do the layers inside a block.

    Args:
        names: The names at each depth.

    Returns:
        The pattern of every name.

    Example:
        >>> name_patterns([["blocks.0.1.weight"], ["blocks.0.1.weight", "blocks.1.1.weight"]])["blocks.0.1.weight"]
        'blocks.*.1.weight'
    """
    every = {name for listed in names for name in listed}
    done = dict.fromkeys(every, "")
    most = max((len(_NUMBER.findall(name)) for name in every), default=0)
    for at in range(most):
        groups: dict[tuple[str, str], list[set[str]]] = {}
        for depth, listed in enumerate(names):
            for name in listed:
                if at < len(numbers := _NUMBER.findall(name)):
                    group = groups.setdefault((done[name], _NUMBER.sub("*", name)), [set() for _ in names])
                    group[depth].add(numbers[at])
        varying = {key for key, found in groups.items() if any(one != found[0] for one in found)}
        for name in every:
            if at < len(numbers := _NUMBER.findall(name)):
                words = _NUMBER.split(name)[at]
                key = (done[name], _NUMBER.sub("*", name))
                done[name] += words + ("*" if key in varying else numbers[at])
    return {name: done[name] + _NUMBER.split(name)[-1] for name in every}
