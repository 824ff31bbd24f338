"""What tests of studies of scenes begin with: models of the user's in a folder, and a renderer of flat pictures."""

import sys

import pytest

from tests.scenes.study_parts import Flat, models_in


@pytest.fixture(autouse=True)
def no_modules_stay(tmp_path):
    """Forget modules that a test wrote and imported: another test's file of that name would be refused."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Write modules with models; what importing them adds to the path is taken back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return models_in(tmp_path)


@pytest.fixture
def flat(tmp_path):
    return Flat(str(tmp_path))
