"""Embeddings of texts and of their words by a frozen encoder, computed once and kept in memory and on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.encoder import Encoder, mean_pool
from similitude.fewshot.learners.store import ArrayStore
from similitude.fewshot.learners.words import pool_words, token_words, word_ranges

if TYPE_CHECKING:
    from tokenizers import Encoding

BATCH = 32
FORMAT = "1"
"""Part of every key; it changes with what is computed from an encoder."""


class Embeddings:
    """What a frozen encoder makes of texts.

    Every text is encoded once: it is kept in memory, and under `cache` on disk by a hash of the encoder's weights and
    structure, its tokenizer and the text, so that another encoder never reads it. Texts are encoded in batches of
    similar length; the batch changes the last digits of an embedding, not more.

    Args:
        encoder: The encoder; a module is put into eval mode while it encodes, and back.
        cache: Folder for embeddings; None keeps them in memory alone.

    Raises:
        EvaluationError: A cache is asked for a plain function, whose content has no hash.
    """

    def __init__(self, encoder: Encoder, *, cache: str | Path | None = None) -> None:
        self.encoder = encoder
        self._memory: dict[str, np.ndarray] = {}
        self._store: ArrayStore | None = None
        self._prefix = ""
        if cache is not None:
            if not isinstance(encoder.encode, nn.Module):
                raise EvaluationError(
                    f"encoder {encoder.name!r}: encode is a {type(encoder.encode).__name__}, whose content has no hash, "
                    "so its embeddings cannot be kept on disk. Pass a torch.nn.Module, or cache=None."
                )
            self._prefix = fingerprint(encoder)
            self._store = ArrayStore(Path(cache).expanduser() / "embeddings.sqlite")

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean over each text's tokens, scaled to length 1.

        Returns:
            Shape (texts, width), float32; zero for a text without tokens.
        """
        if not texts:
            return np.zeros((0, self.encoder.width), np.float32)
        return np.concatenate(self._get("text", texts, self._pooled))

    def words(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the states of the words of each text, which white space separates.

        Returns:
            By text an array of shape (words, width), float32; zero for words beyond the encoder's `max_length`.
        """
        return self._get("words", texts, self._by_word)

    def _get(
        self, kind: str, texts: Sequence[str], compute: Callable[[list[str]], list[np.ndarray]]
    ) -> list[np.ndarray]:
        keys = {
            text: hashlib.sha256("\x1f".join((self._prefix, FORMAT, kind, text)).encode("utf-8")).hexdigest()
            for text in dict.fromkeys(texts)
        }
        missing = [text for text, key in keys.items() if key not in self._memory]
        if missing and self._store is not None:
            self._memory.update(self._store.read([keys[text] for text in missing]))
            missing = [text for text in missing if keys[text] not in self._memory]
        missing.sort(key=len)
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            new = dict(zip([keys[text] for text in part], compute(part), strict=True))
            self._memory.update(new)
            if self._store is not None:
                self._store.write(new)
        return [self._memory[keys[text]] for text in texts]

    def _pooled(self, texts: list[str]) -> list[np.ndarray]:
        encodings = self.encoder.tokens([(text,) for text in texts])
        mask = self.encoder.batch(encodings)[1]
        pooled = torch.nn.functional.normalize(mean_pool(self._states(encodings), mask), dim=-1)
        return [row[None] for row in pooled.numpy()]

    def _by_word(self, texts: list[str]) -> list[np.ndarray]:
        encodings = self.encoder.tokens([(text,) for text in texts])
        found = []
        for text, encoding, states in zip(texts, encodings, self._states(encodings, words=True), strict=True):
            ranges = word_ranges(text)
            found.append(pool_words(states, token_words(encoding, ranges), len(ranges)).numpy())
        return found

    def _states(self, encodings: Sequence[Encoding], *, words: bool = False) -> Tensor:
        encode = self.encoder.encode
        parts = list(encode.modules()) if isinstance(encode, nn.Module) else []
        modes = [part.training for part in parts]
        try:
            for part in parts:
                part.training = False
            with torch.no_grad():
                return self.encoder.states(encodings, words=words).float()
        finally:
            for part, mode in zip(parts, modes, strict=True):
                part.training = mode


def fingerprint(encoder: Encoder) -> str:
    """Return a hash of an encoder's structure, values, tokenizer and limits; equal ones give equal embeddings.

    Two modules of the same printed structure and values count as equal, whatever the code of their forward passes.

    Raises:
        EvaluationError: The encoder is a plain function.
    """
    module = encoder.module
    digest = hashlib.sha256()
    words = type(encoder.encode_words).__name__
    for part in (
        repr(module),
        words,
        encoder.tokenizer.to_str(),
        encoder.max_length,
        encoder.pad,
        encoder.segments,
    ):
        digest.update(f"{part}\x1f".encode())
    for name, value in sorted(module.state_dict().items()):
        flat = value.detach().cpu().contiguous().flatten()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\x1f".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()
