"""Namespaces whose public names are loaded when they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    namespace: dict[str, Any], package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a module that loads its public names when they are first used.

    Args:
        namespace: The module's `globals()`, which keeps what was loaded.
        package: What the homes are relative to.
        homes: By public name, the module that defines it.

    Example:
        >>> names = {"__name__": "numbers"}
        >>> load, listed = lazy_names(names, "similitude.core", {"derive": "seeding"})
        >>> load("derive").__module__, "derive" in names
        ('similitude.core.seeding', True)
    """

    def load(name: str) -> Any:
        if name in homes:
            value = getattr(import_module(f"{package}.{homes[name]}"), name)
            namespace[name] = value
            return value
        raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")

    def listed() -> list[str]:
        return sorted({*namespace, *homes})

    return load, listed
