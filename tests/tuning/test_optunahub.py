"""The package for OptunaHub: loaded as its loader does, from the registry's layout, with what the registry asks for."""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from pathlib import Path

import optuna
import pytest

PACKAGE = Path(__file__).parents[2] / "optunahub-registry" / "package" / "samplers" / "carbs"


@pytest.fixture
def hub(monkeypatch) -> types.ModuleType:
    """A stand-in for `optunahub` that loads packages from this checkout."""

    def load_module(package: str) -> types.ModuleType:
        init = PACKAGE.parents[1] / package / "__init__.py"
        spec = importlib.util.spec_from_file_location(f"registry_{package.replace('/', '_')}", init)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    stand_in = types.ModuleType("optunahub")
    stand_in.load_module = load_module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "optunahub", stand_in)
    return stand_in


def test_everything_that_the_registry_asks_for_is_there():
    assert {p.name for p in PACKAGE.iterdir()} >= {"LICENSE", "README.md", "__init__.py", "example.py"}
    assert (PACKAGE / "LICENSE").read_text() == (PACKAGE.parents[3] / "LICENSE").read_text()
    text = (PACKAGE / "README.md").read_text()
    front = dict(re.findall(r"^(\w+): (.+)$", text.split("---")[1], re.MULTILINE))
    assert set(front) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert front["tags"].startswith("[sampler")
    for section in ("Abstract", "Class or Function Names", "Installation", "Example"):
        assert f"\n## {section}\n" in text


def test_its_names_are_exported_and_documented(hub):
    module = hub.load_module("samplers/carbs")
    listed = (PACKAGE / "README.md").read_text().split("## Class or Function Names")[1].split("##")[0]
    assert set(re.findall(r"\w+", listed)) == set(module.__all__)
    assert issubclass(module.CarbsSampler, optuna.samplers.BaseSampler)


@pytest.mark.usefixtures("hub")
def test_the_example_of_the_readme_runs():
    code = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)[0]
    names: dict = {}
    exec(code.replace("n_trials=20", "n_trials=5"), names)
    assert len(names["study"].trials) == 5


@pytest.mark.usefixtures("hub")
def test_the_objective_of_the_example_has_the_loss_and_cost_that_it_says():
    names: dict = {"__name__": "example"}
    exec((PACKAGE / "example.py").read_text(), names)
    trial = optuna.trial.FixedTrial({"parameters": 1e7, "tokens": 1e8, "lr": 3e-3})
    assert names["objective"](trial) == pytest.approx(1.69 + 406.4 * 1e7**-0.34 + 410.7 * 1e8**-0.28)
    assert trial.user_attrs["cost"] == pytest.approx(6.0)
