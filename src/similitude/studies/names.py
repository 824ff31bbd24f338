"""Names of functions and objects that are the same in every process, for fingerprints of studies."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def code_of(make: Any, model: Any) -> str:
    """Return the text of what a model computes: its modules as they print, and the source of the user's own code.

    Code of torch is left out; where Python has no source (a session typed by hand), the printed modules remain.

    Args:
        make: The factory.
        model: A model that it built.
    """
    while isinstance(make, functools.partial):
        make = make.func
    owned = {type(module) for module in model.modules() if not type(module).__module__.startswith("torch.")}
    own = sorted(owned, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
    texts = [_ADDRESS.sub("", repr(model))]
    for thing in (make, *own):
        with contextlib.suppress(OSError, TypeError):
            texts.append(inspect.getsource(thing))
    return "\n".join(texts)


def name_of(thing: Any) -> str:
    """Name a function, a partial or an object by its place and options, never by its address in memory.

    Two local functions of one name are told apart by nothing, and neither are two objects whose class has no
    `__repr__` of its own: what they compute must be in their name for results not to mix.

    Args:
        thing: Anything.

    Example:
        >>> name_of(functools.partial(int, base=2)), name_of({"b", "a"})
        ('int(base=2)', "{'a', 'b'}")
    """
    if isinstance(thing, functools.partial):
        options = [
            *map(name_of, thing.args),
            *(f"{key}={name_of(value)}" for key, value in sorted(thing.keywords.items())),
        ]
        return f"{name_of(thing.func)}({', '.join(options)})"
    if isinstance(thing, str | bytes | int | float | complex | None):
        return repr(thing)
    if isinstance(thing, Mapping):
        return f"{{{', '.join(f'{name_of(k)}: {name_of(v)}' for k, v in thing.items())}}}"
    if isinstance(thing, set | frozenset):  # in an order that differs from process to process
        return f"{{{', '.join(sorted(map(name_of, thing)))}}}"
    if type(thing) in (list, tuple):
        return f"[{', '.join(map(name_of, thing))}]"
    if inspect.ismethod(thing):
        return f"{name_of(thing.__self__)}.{thing.__name__}"
    if hasattr(thing, "__qualname__"):
        module = _module_of(thing)
        return f"{module}.{thing.__qualname__}" if module else thing.__qualname__
    return _ADDRESS.sub("", repr(thing))


def _module_of(thing: Any) -> str:
    """Return the module of a function; that of a script is its file's name, however it was started."""
    module = getattr(thing, "__module__", None) or ""
    if module in ("__main__", "__mp_main__"):
        file = getattr(sys.modules.get(module), "__file__", None)
        return Path(file).stem if file else module
    return "" if module == "builtins" else module
