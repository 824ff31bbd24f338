"""The user's own objects by reference: `module:name` or `file.py:name`."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from similitude.core.errors import FactoryError

MODEL = "a function of the width that returns a model, e.g. def make(width): ..."


def load_object(reference: str) -> Any:
    """Import what `module:name` or `path/to/file.py:name` names; the current folder can be imported from.

    Raises:
        FactoryError: There is no such module, file or name, or importing it fails.
    """
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise FactoryError(
            f"'{reference}' names no object: write module:name or file.py:name, e.g. mypackage.model:make."
        )
    module = _load_file(Path(place), reference) if place.endswith(".py") else _load_module(place, reference)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            public = [n for n in vars(module) if not n.startswith("_")]
            hint = did_you_mean(name, public, form=f"{place}:{{}}")
            raise FactoryError(
                f"'{place}' has no '{name}'. "
                f"{hint or f'It is looked for in {_home(module)}; check the name.'}"
            ) from error
    return found


def load_factory(reference: str, *, what: str = MODEL) -> Callable[..., Any]:
    """Import a callable; see `load_object`.

    Args:
        reference: Its place.
        what: What to name instead, for the message.

    Raises:
        FactoryError: It cannot be imported or called.
    """
    found = load_object(reference)
    if not callable(found):
        raise FactoryError(f"'{reference}' is a {type(found).__name__}, which cannot be called. Name {what}.")
    return found


def did_you_mean(name: str, known: Iterable[str], *, form: str = "{}") -> str:
    """Return "Did you mean A or B?" with the names most like one that is not known; empty if none is.

    Args:
        name: The name.
        known: The names that exist.
        form: How to write one of them.
    """
    close = difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(form.format(c) for c in close)}?" if close else ""


def _load_module(name: str, reference: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _failed(name, error) from error
        there = [p.stem for p in Path(here).glob("*.py")] + [
            p.parent.name for p in Path(here).glob("*/__init__.py")
        ]
        hint = did_you_mean(name, there, form=f"{{}}:{reference.rpartition(':')[2]}")
        raise FactoryError(
            f"there is no module '{error.name}' for '{reference}'. It is looked for in the current folder "
            f"({here}) and where Python finds packages. "
            f"{hint or 'Check the name, or give a file: path/to/file.py:name.'}"
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(name, error) from error


def _load_file(path: Path, reference: str) -> ModuleType:
    if not path.is_file():
        wanted = reference.rpartition(":")[2]
        files = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, files, form=f"{path.parent / '{}'}:{wanted}")
        raise FactoryError(f"there is no file '{path}'. {hint or f'The current folder is {os.getcwd()}.'}")
    if "." in path.stem:
        raise FactoryError(
            f"'{path}' cannot be imported: '{path.stem}' is read as a module inside a package, because of "
            f"the dot. Rename it, e.g. {path.stem.replace('.', '_')}.py."
        )
    folder = str(path.resolve().parent)
    # The file's own folder comes first: it can import its neighbours, and worker processes can find it.
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    module = _load_module(path.stem, reference)
    if Path(_home(module)).resolve() != path.resolve():
        raise FactoryError(
            f"'{path}' cannot be imported: another module '{path.stem}' is in use ({_home(module)}). Rename "
            f"the file, e.g. my_{path.stem}.py."
        )
    return module


def _failed(name: str, error: BaseException) -> FactoryError:
    return FactoryError(
        f"importing '{name}' failed: {type(error).__name__}: {error}. To see where: "
        f"{Path(sys.executable).name} -c 'import {name}'"
    )


def _home(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "Python itself"
