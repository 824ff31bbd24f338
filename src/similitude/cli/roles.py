"""The option that names roles of tensors: `--role.blocks.0.gate input`, or `--role blocks.0.gate=input`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token


def _roles(type_: Any, tokens: Mapping[str, Any] | Sequence[Token]) -> dict[str, str]:
    """Collect roles by tensor name; cyclopts takes the dots of a name for a nested dict."""
    if isinstance(tokens, Mapping):
        return dict(_flat(tokens, ""))
    pairs = [token.value.rpartition("=") for token in tokens]
    for (name, _, role), token in zip(pairs, tokens, strict=True):
        if not name or not role:
            raise ValueError(f"--role {token.value} names no tensor and role. Write e.g. --role.pos input.")
    return {name: role for name, _, role in pairs}


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, below in tree.items():
        if isinstance(below, Mapping):
            yield from _flat(below, f"{prefix}{name}.")
        else:
            yield prefix + name, below[-1].value


Roles = Annotated[dict[str, str] | None, Parameter(negative="", converter=_roles)]
"""Role by tensor name or glob."""
