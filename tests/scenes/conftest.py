"""What tests of studies of scenes begin with: models of the user's in a folder, and a renderer of flat pictures."""

import sys

import pytest

from tests.scenes.study_parts import Flat, models_in


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Write modules with models; what importing them adds to the path is taken back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return models_in(tmp_path)


@pytest.fixture
def flat(tmp_path):
    return Flat(str(tmp_path))
