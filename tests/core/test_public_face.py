"""What `import similitude` costs and gives."""

import inspect
import pkgutil
import subprocess
import sys
import time

import pytest

import similitude
from similitude.core import errors

HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "polars", "optuna", "jinja2", "rich", "cyclopts")


def test_import_is_instant_and_loads_nothing_heavy():
    program = (
        "import time; start = time.perf_counter(); import similitude; seconds = time.perf_counter() - start\n"
        f"import sys; print([m for m in {HEAVY!r} if m in sys.modules], seconds)"
    )
    started = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules, seconds = ran.stdout.rsplit(maxsplit=1)
    assert modules == "[]"
    assert float(seconds) < min(0.5, time.monotonic() - started)


@pytest.mark.parametrize("name", similitude.__all__)
def test_every_public_name_resolves_and_is_explained(name):
    value = getattr(similitude, name)
    assert name in dir(similitude)
    assert name == "__version__" or inspect.getdoc(value)


@pytest.mark.parametrize("name", sorted(similitude._PACKAGES))
def test_packages_are_attributes(name):
    assert getattr(similitude, name).__name__ == f"similitude.{name}"


@pytest.mark.parametrize("name", ["", "theory", "signal", "richness", "fewshot", "evaluation", "worlds"])
def test_no_module_hides_the_public_name_of_something_in_it(name):
    # Importing a module sets it as an attribute of its package, in the place of a function of the same name.
    package = getattr(similitude, name) if name else similitude
    public = set(package._HOMES)
    assert public
    assert not public & {module.name for module in pkgutil.iter_modules(package.__path__)}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'similitude' has no attribute 'plann'"):
        similitude.plann  # noqa: B018  # type: ignore[attr-defined]


def test_every_error_is_ours_with_a_text_and_a_code():
    classes = [
        found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)
    ]
    ours = [error for error in classes if error.__module__ == errors.__name__]
    assert len(ours) >= 10
    for error in ours:
        assert issubclass(error, errors.SimilitudeError)
        assert error.__doc__
        assert error.exit_code in (1, 2, 3)
