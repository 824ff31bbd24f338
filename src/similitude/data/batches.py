"""Batches by seed and step: random access, so that any run can be repeated or resumed exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from similitude.core.errors import DataError

if TYPE_CHECKING:
    import torch

    from similitude.data import ImageSet, TextSet


@runtime_checkable
class Batches(Protocol):
    """What a training run reads: any object with these three methods.

    A batch is any nest of tuples, lists and dicts of tensors; the loss takes it as it comes.
    """

    def batch(self, seed: int, step: int) -> Any:
        """Return the training batch of one step of the run with this seed, always the same one."""
        ...

    def evaluation(self) -> Any:
        """Return the batch on which final losses are measured, or None to use the last training losses."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return names and plain values that say what the batches are; studies go on only with equal ones."""
        ...


def check_batches(batches: Any, name: str = "batches") -> None:
    """Raise unless an object has the methods of `Batches`.

    Args:
        batches: The object.
        name: What the user calls it.

    Raises:
        DataError: A method is missing.
    """
    if isinstance(batches, type):
        raise DataError(
            f"{name}: {batches.__name__} is a class. Pass an object of it: {batches.__name__}(...)."
        )
    missing = [m for m in ("batch", "evaluation", "describe") if not callable(getattr(batches, m, None))]
    if missing:
        raise DataError(
            f"{name} is a {type(batches).__name__} and has no {', '.join(f'{m}()' for m in missing)}: "
            "batches have batch(seed, step), evaluation() and describe(). Wrap your data so, or use "
            "ImageBatches or TextBatches of similitude.data.batches."
        )


def describe_batches(batches: Batches) -> dict[str, Any]:
    """Return what batches say of themselves, as a dict by name.

    Raises:
        DataError: `describe()` gives something else.
    """
    try:
        said = batches.describe()
    except Exception as error:
        raise DataError(
            f"{type(batches).__name__}.describe() failed: {type(error).__name__}: {error}. It takes no "
            "arguments and returns names with plain values, e.g. {'data': 'mine', 'batch_size': 64}."
        ) from error
    if not isinstance(said, Mapping) or not all(isinstance(key, str) for key in said):
        raise DataError(
            f"{type(batches).__name__}.describe() gives a {type(said).__name__}: a study knows its data "
            "again by names with plain values. Return e.g. {'data': 'mine', 'batch_size': 64}."
        )
    return dict(said)


@dataclass(frozen=True)
class ImageBatches:
    """Batches `(images, labels)` of an image set, standardized per set, optionally with fresh noise.

    Noise is drawn anew for every batch, so that a small set cannot be memorised; the evaluation batch holds
    test images with noise from a fixed stream.

    Args:
        images: The image set.
        batch_size: Images per training batch.
        noise: Standard deviation of Gaussian noise, in units of the standardized pixels.
        evaluate: Images in the evaluation batch; the test images are repeated (with other noise) to reach it.

    Shapes:
        images float32 (batch, channels, height, width); labels int64 (batch,).
    """

    images: ImageSet
    batch_size: int = 64
    noise: float = 0.0
    evaluate: int = 1024
    _moments: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.evaluate < 1 or not 0 <= self.noise < float("inf"):
            raise DataError(
                f"ImageBatches: batch_size={self.batch_size}, evaluate={self.evaluate}, noise={self.noise}: "
                "sizes must be at least 1, and the noise finite and at least 0."
            )
        pixels = self.images.train_images
        object.__setattr__(self, "_moments", (float(pixels.mean()), float(max(pixels.std(), 1e-6))))

    def _tensors(
        self, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        mean, std = self._moments
        x = ((images.astype(np.float32) - mean) / std).transpose(0, 3, 1, 2)
        if self.noise:
            x = x + self.noise * rng.standard_normal(x.shape, dtype=np.float32)
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)), torch.from_numpy(
            labels.astype(np.int64)
        )

    def batch(self, seed: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images drawn with replacement from the training set."""
        from similitude.core.seeding import numpy_generator

        rng = numpy_generator(seed, "batch", step)
        chosen = rng.integers(len(self.images.train_labels), size=self.batch_size)
        return self._tensors(self.images.train_images[chosen], self.images.train_labels[chosen], rng)

    def distinct(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one batch of `batch_size` different training images, the same at every call.

        Raises:
            DataError: There are fewer.
        """
        from similitude.core.seeding import numpy_generator

        rng = numpy_generator(0, "distinct")
        chosen = _distinct(
            self.batch_size, len(self.images.train_labels), rng, f"'{self.images.name}'", "images"
        )
        return self._tensors(self.images.train_images[chosen], self.images.train_labels[chosen], rng)

    def evaluation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the fixed evaluation batch of test images."""
        from similitude.core.seeding import numpy_generator

        rng = numpy_generator(0, "evaluation")
        count = len(self.images.test_labels)
        chosen = np.resize(rng.permutation(count), self.evaluate)
        return self._tensors(self.images.test_images[chosen], self.images.test_labels[chosen], rng)

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        return {
            "data": self.images.name,
            "digest": _digest(
                self.images.train_images,
                self.images.train_labels,
                self.images.test_images,
                self.images.test_labels,
            ),
            "images": len(self.images.train_labels),
            "batch_size": self.batch_size,
            "noise": self.noise,
            "evaluation_images": self.evaluate,
        }


@dataclass(frozen=True)
class TextBatches:
    """Batches `(tokens, next tokens)` of a text at the character level.

    The alphabet is the `vocabulary - 1` most frequent characters of the training part; every other character
    is the last token.

    Args:
        text: The text set; its test part gives the evaluation batch.
        batch_size: Sequences per training batch.
        context: Characters per sequence.
        vocabulary: Number of tokens, the one for "any other character" included.
        evaluate: Sequences in the evaluation batch.

    Shapes:
        tokens int64 (batch, context); next tokens int64 (batch, context).
    """

    text: TextSet
    batch_size: int = 8
    context: int = 32
    vocabulary: int = 64
    evaluate: int = 64
    _parts: dict[str, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if min(self.batch_size, self.context, self.evaluate) < 1 or self.vocabulary < 2:
            raise DataError(
                f"TextBatches: batch_size={self.batch_size}, context={self.context} and "
                f"evaluate={self.evaluate} must be at least 1, and vocabulary={self.vocabulary} at least 2."
            )
        for part in (self.text.train, self.text.test):
            if len(part) <= self.context:
                raise DataError(
                    f"TextBatches: a part of '{self.text.name}' has {len(part)} characters, fewer than "
                    f"context + 1 = {self.context + 1}. Use a longer text or a smaller context."
                )
        train = self._codes(self.text.train)
        symbols, counts = np.unique(train, return_counts=True)
        alphabet = np.sort(symbols[np.argsort(-counts, kind="stable")[: self.vocabulary - 1]])
        parts = {
            "train": self._tokens(train, alphabet),
            "test": self._tokens(self._codes(self.text.test), alphabet),
        }
        object.__setattr__(self, "_parts", parts)

    @staticmethod
    def _codes(text: str) -> np.ndarray:
        return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)

    def _tokens(self, codes: np.ndarray, alphabet: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(alphabet, codes), len(alphabet) - 1)
        return np.where(alphabet[place] == codes, place, self.vocabulary - 1).astype(np.int64)

    def _windows(self, part: str, starts: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        tokens = self._parts[part]
        windows = tokens[starts[:, None] + np.arange(self.context + 1)]
        both = torch.from_numpy(windows)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()

    def _places(self, part: str) -> int:
        return len(self._parts[part]) - self.context

    def _anywhere(self, part: str, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return self._windows(part, rng.integers(self._places(part), size=count))

    def batch(self, seed: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return windows at random places of the training part."""
        from similitude.core.seeding import numpy_generator

        return self._anywhere("train", self.batch_size, numpy_generator(seed, "batch", step))

    def distinct(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one batch of `batch_size` windows at different places of the training part, the same at every call.

        Raises:
            DataError: There are fewer.
        """
        from similitude.core.seeding import numpy_generator

        places = self._places("train")
        name, what = f"'{self.text.name}'", f"sequences of {self.context} characters"
        return self._windows(
            "train", _distinct(self.batch_size, places, numpy_generator(0, "distinct"), name, what)
        )

    def evaluation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the fixed evaluation batch, from the test part."""
        from similitude.core.seeding import numpy_generator

        return self._anywhere("test", self.evaluate, numpy_generator(0, "evaluation"))

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        return {
            "data": self.text.name,
            "digest": _digest(self._parts["train"], self._parts["test"]),
            "characters": len(self.text.train),
            "batch_size": self.batch_size,
            "context": self.context,
            "vocabulary": self.vocabulary,
            "evaluation_sequences": self.evaluate,
        }


def _distinct(count: int, of: int, rng: np.random.Generator, name: str, what: str) -> np.ndarray:
    """Draw `count` of the numbers below `of`, each at most once."""
    if count > of:
        raise DataError(
            f"{count} different {what} were asked for, and {name} has {of} to train on. Use at most {of} "
            f"(--examples {of}), or a larger data set."
        )
    return rng.choice(of, size=count, replace=False)


def _digest(*arrays: np.ndarray) -> str:
    """Tell data from other data of the same name and size: 12 hexadecimal digits of their SHA-256."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]
