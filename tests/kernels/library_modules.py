"""Small configurations of models of the transformers library, as families of the width, for docs/kernels_modules.md."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

HEAD = 8
"""Neurons of a head; their number grows with the width."""

TOKENS = {"input_ids": torch.randint(3, 11, (3, 5), generator=torch.Generator().manual_seed(0))}
PICTURES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class States(nn.Module):
    """A model of the library in eval mode, its last hidden state read out at every position."""

    def __init__(self, body: nn.Module, width: int, outputs: int = 16) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, outputs)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        states = self.body(*args, **kwargs).last_hidden_state
        return self.head(states.flatten(2).transpose(1, 2) if states.dim() == 4 else states)


def library(
    name: str, sizes: Callable[[int], dict[str, object]], *, states: bool = True
) -> Callable[[int], nn.Module]:
    """Return a family of a model: its class without the ending, and its configuration for a width."""

    def make(width: int) -> nn.Module:
        import transformers

        family, _, kind = name.partition(".")
        config = getattr(transformers, f"{family}Config")(**sizes(width))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = getattr(transformers, f"{family}{kind or 'Model'}")(config).eval()
        return States(made, width).eval() if states else made

    return make


GPT2 = library(
    "GPT2.LMHeadModel",
    lambda width: {
        "n_embd": width, "n_layer": 1, "n_head": width // HEAD, "vocab_size": 11, "n_positions": 8,
        "use_cache": False, "bos_token_id": 1, "eos_token_id": 2,
    },
    states=False,
)  # fmt: skip
GPT2_UNTIED = library(
    "GPT2.LMHeadModel",
    lambda width: {
        "n_embd": width, "n_layer": 1, "n_head": width // HEAD, "vocab_size": 11, "n_positions": 8,
        "use_cache": False, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False,
    },
    states=False,
)  # fmt: skip
LLAMA = library(
    "Llama",
    lambda width: {
        "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 1, "vocab_size": 11,
        "num_attention_heads": width // HEAD, "num_key_value_heads": width // HEAD, "use_cache": False,
    },
)  # fmt: skip
GPT_NEOX = library(
    "GPTNeoX",
    lambda width: {
        "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 1, "vocab_size": 11,
        "num_attention_heads": width // HEAD, "use_cache": False,
    },
)  # fmt: skip
T5 = library(
    "T5.EncoderModel",
    lambda width: {
        "d_model": width, "d_kv": HEAD, "d_ff": 2 * width, "num_layers": 1, "num_heads": width // HEAD,
        "vocab_size": 11,
    },
)  # fmt: skip
FNET = library(
    "FNet",
    lambda width: {
        "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 1, "vocab_size": 11,
        "max_position_embeddings": 8,
    },
)  # fmt: skip
RESNET = library(
    "ResNet",
    lambda width: {
        "num_channels": 3, "embedding_size": width, "hidden_sizes": [width], "depths": [1], "layer_type": "basic",
    },
)  # fmt: skip
CONVNEXT = library(
    "ConvNext",
    lambda width: {
        "num_channels": 3, "patch_size": 2, "hidden_sizes": [width], "depths": [1], "num_stages": 1,
        "layer_scale_init_value": 1.0,
    },
)  # fmt: skip
