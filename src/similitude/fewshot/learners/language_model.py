"""A causal language model: log-likelihoods of continuations after a shared beginning, and greedy text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from similitude.core.errors import EvaluationError
from similitude.core.seeding import seeded
from similitude.fewshot.learners.pretrained import LANGUAGE_MODELS, locate, opening, require_transformers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_LENGTH = 1024
"""Tokens of a prompt, unless told otherwise; of longer ones the beginning is left out."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model of transformers, frozen.

    Attributes:
        name: Its name in tables.
        model: The model, in eval mode; called as transformers calls it.
        tokenizer: Its tokenizer.
        max_length: Most tokens of a prompt.
    """

    name: str
    model: Any
    tokenizer: Tokenizer
    max_length: int = MAX_LENGTH

    @property
    def label(self) -> str:
        """Its name, with the length that it reads where that is not the usual one."""
        return self.name if self.max_length == MAX_LENGTH else f"{self.name}, max_length={self.max_length}"

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text, without special ones."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def read(self, ids: Sequence[int], after: Any = None) -> tuple[Tensor, Any]:
        """Read tokens, and return logits after the last of them, shape (vocabulary,), and what was read.

        Args:
            ids: Tokens, at least one.
            after: What was read before, as this method returned it; it stays as it is.
        """
        with torch.no_grad():
            out = self.model(torch.tensor([list(ids)]), past_key_values=copy.deepcopy(after), use_cache=True)
        return out.logits[0, -1].float(), out.past_key_values

    def log_likelihoods(self, logits: Tensor, after: Any, continuations: Sequence[str]) -> list[float]:
        """Return the log-likelihood of each continuation.

        Args:
            logits: What `read` gave after the prompt, shape (vocabulary,).
            after: What it had read.
            continuations: Texts, each with the space that it begins with.

        Raises:
            EvaluationError: A continuation has no tokens.
        """
        first = logits.log_softmax(-1)
        found = []
        for text in continuations:
            ids = self.ids(text)
            if not ids:
                raise EvaluationError(
                    f"language model {self.name!r}: {text!r} has no tokens, so it has no probability."
                )
            total = first[ids[0]].item()
            if len(ids) > 1:
                with torch.no_grad():
                    out = self.model(
                        torch.tensor([ids[:-1]]), past_key_values=copy.deepcopy(after), use_cache=True
                    )
                later = out.logits[0].float().log_softmax(-1)
                total += later[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].sum().item()
            found.append(total)
        return found

    def write(self, logits: Tensor, after: Any, *, most: int) -> str:
        """Return the likeliest next tokens, one after another, up to the end of the line.

        Args:
            logits: What `read` gave after the prompt.
            after: What it had read.
            most: Most tokens.
        """
        ids: list[int] = []
        end = self.model.config.eos_token_id
        ends = set(end) if isinstance(end, list) else {end}
        while len(ids) < most:
            token = int(logits.argmax())
            if token in ends:
                break
            ids.append(token)
            text = self.tokenizer.decode(ids)
            if "\n" in text.lstrip():
                return text.lstrip().split("\n")[0].strip()
            logits, after = self.read([token], after)
        return self.tokenizer.decode(ids).strip()


def open_language_model(reference: str | Path, *, max_length: int = MAX_LENGTH) -> LanguageModel:
    """Open a causal language model of Hugging Face's format.

    Args:
        reference: A name in `LANGUAGE_MODELS`, a folder with `config.json`, weights and `tokenizer.json`, or a GGUF
            file, which needs the package gguf and takes a minute to open.
        max_length: Most tokens of a prompt; at most what the model has positions for.

    Raises:
        EvaluationError: The package, transformers or gguf is not installed, or there is no such model.
    """
    path = locate(reference, LANGUAGE_MODELS, what="language model")
    transformers = require_transformers()
    place: dict[str, Any] = {"local_files_only": True}
    folder = path
    if path.suffix == ".gguf":
        folder, place = path.parent, {**place, "gguf_file": path.name}
    with opening(path), seeded(0):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, **place)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **place)
    positions = getattr(model.config, "max_position_embeddings", None) or max_length
    return LanguageModel(
        Path(reference).stem, model.eval(), tokenizer.backend_tokenizer, min(max_length, positions)
    )
