"""Small unmodified models of transformers as families of the width: heads of a fixed size, so that their number grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn

VARIANCE = 1.5
HEAD, OUTPUTS, WORDS = 8, 128, 20


class Model(nn.Module):
    """A model in eval mode that takes one tensor and returns one row of outputs per sample."""

    def __init__(self, model: nn.Module, name: str, pick: Callable[[Any], Tensor], extra: dict[str, Tensor]):
        super().__init__()
        self.model, self.name, self.pick, self.extra = model.eval(), name, pick, extra

    def forward(self, x: Tensor) -> Tensor:
        return self.pick(self.model(**{self.name: x}, **self.extra))


@dataclass(frozen=True)
class Case:
    """A model.

    Attributes:
        build: Builds it for a width.
        x: Its inputs.
        pick: The outputs that are looked at.
        extra: What it takes beside.
    """

    build: Callable[[int], nn.Module]
    x: Tensor
    pick: Callable[[Any], Tensor] = lambda out: out.logits
    extra: Callable[[], dict[str, Tensor]] = dict

    def make(self, width: int) -> nn.Module:
        name = "pixel_values" if self.x.is_floating_point() else "input_ids"
        return Model(self.build(width), name, self.pick, self.extra())


def encoder(width: int, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": width // HEAD,
        "intermediate_size": 2 * width, "initializer_range": 1.0, "num_labels": OUTPUTS, **more,
    }  # fmt: skip


def text(width: int, **more: Any) -> dict[str, Any]:
    return encoder(width, vocab_size=WORDS, max_position_embeddings=8, **more)


def image(width: int, **more: Any) -> dict[str, Any]:
    return encoder(width, image_size=8, patch_size=4, **more)


def built(model: Any, config: Any, **fields: Any) -> nn.Module:
    return model(config(**fields))


def gpt2(width: int, *, tied: bool = False) -> nn.Module:
    return built(
        hf.GPT2LMHeadModel, hf.GPT2Config, vocab_size=OUTPUTS, n_positions=8, n_embd=width, n_layer=2,
        n_head=width // HEAD, tie_word_embeddings=tied, initializer_range=1.0,
    )  # fmt: skip


def opt(width: int) -> nn.Module:
    return built(
        hf.OPTForCausalLM, hf.OPTConfig, vocab_size=OUTPUTS, max_position_embeddings=8, hidden_size=width,
        num_hidden_layers=2, num_attention_heads=width // HEAD, ffn_dim=2 * width, word_embed_proj_dim=width,
        tie_word_embeddings=False, init_std=1.0,
    )  # fmt: skip


def distilbert(width: int) -> nn.Module:
    return built(
        hf.DistilBertForSequenceClassification, hf.DistilBertConfig, vocab_size=WORDS, max_position_embeddings=8,
        dim=width, n_layers=2, n_heads=width // HEAD, hidden_dim=2 * width, num_labels=OUTPUTS, initializer_range=1.0,
    )  # fmt: skip


def convnext(width: int) -> nn.Module:
    return built(
        hf.ConvNextForImageClassification, hf.ConvNextConfig, hidden_sizes=[width, 2 * width], depths=[1, 1],
        num_stages=2, patch_size=2, num_labels=OUTPUTS, layer_scale_init_value=1.0,
    )  # fmt: skip


def _last(out: Any) -> Tensor:
    return out.logits[:, -1]


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


TOKENS = torch.randint(2, WORDS - 1, (3, 5), generator=torch.Generator().manual_seed(0))
IMAGES = _drawn(3, 3, 8, 8)
ENDED = torch.cat([TOKENS[:, :4], torch.full((3, 1), WORDS - 1)], 1)


def padded() -> dict[str, Tensor]:
    return {"attention_mask": torch.tensor([[1, 1, 1, 0, 0]]).expand(3, 5)}


CASES: dict[str, Case] = {
    "BERT": Case(lambda w: built(hf.BertForSequenceClassification, hf.BertConfig, **text(w)), TOKENS),
    "BERT, padded": Case(
        lambda w: built(hf.BertForSequenceClassification, hf.BertConfig, **text(w)), TOKENS, extra=padded
    ),
    "RoBERTa": Case(
        lambda w: built(hf.RobertaForSequenceClassification, hf.RobertaConfig, **text(w)), TOKENS
    ),
    "DistilBERT": Case(distilbert, TOKENS),
    "ELECTRA": Case(
        lambda w: built(hf.ElectraForSequenceClassification, hf.ElectraConfig, **text(w), embedding_size=w),
        TOKENS,
    ),
    "ALBERT": Case(
        lambda w: built(hf.AlbertForSequenceClassification, hf.AlbertConfig, **text(w), embedding_size=w),
        TOKENS,
    ),
    "GPT-2, untied": Case(gpt2, TOKENS, _last),
    "OPT, untied": Case(opt, TOKENS, _last),
    "CLIP, text": Case(
        lambda w: built(
            hf.CLIPTextModelWithProjection,
            hf.CLIPTextConfig,
            **text(w),
            projection_dim=OUTPUTS,
            bos_token_id=0,
            eos_token_id=WORDS - 1,
        ),
        ENDED,
        lambda out: out.text_embeds,
    ),
    "CLIP, images": Case(
        lambda w: built(
            hf.CLIPVisionModelWithProjection, hf.CLIPVisionConfig, **image(w), projection_dim=OUTPUTS
        ),
        IMAGES,
        lambda out: out.image_embeds,
    ),
    "ViT": Case(lambda w: built(hf.ViTForImageClassification, hf.ViTConfig, **image(w)), IMAGES),
    "DeiT": Case(lambda w: built(hf.DeiTForImageClassification, hf.DeiTConfig, **image(w)), IMAGES),
    "ConvNeXt": Case(convnext, IMAGES),
}

REFUSED: dict[str, tuple[Case, str]] = {
    "GPT-2, tied": (Case(lambda w: gpt2(w, tied=True), TOKENS, _last), "used in two ways"),
    "BERT, two heads at every width": (
        Case(
            lambda w: built(
                hf.BertForSequenceClassification, hf.BertConfig, **{**text(w), "num_attention_heads": 2}
            ),
            TOKENS,
        ),
        "2 heads at every width",
    ),
    "GPT-NeoX": (
        Case(lambda w: built(hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, **text(w)), TOKENS, _last),
        "rotated positions",
    ),
    "MPNet": (
        Case(lambda w: built(hf.MPNetForSequenceClassification, hf.MPNetConfig, **text(w)), TOKENS),
        "adds random values to logits",
    ),
    "ConvNeXt V2": (
        Case(
            lambda w: built(
                hf.ConvNextV2ForImageClassification,
                hf.ConvNextV2Config,
                hidden_sizes=[w, w],
                depths=[1, 1],
                num_stages=2,
                patch_size=2,
            ),
            IMAGES,
        ),
        "over samples or positions alone is random",
    ),
    "ResNet": (
        Case(
            lambda w: built(
                hf.ResNetForImageClassification,
                hf.ResNetConfig,
                embedding_size=w,
                hidden_sizes=[w],
                depths=[1],
                layer_type="basic",
            ),
            IMAGES,
        ),
        "maximum of several Gaussians",
    ),
}


def fans(module: nn.Module) -> dict[str, int]:
    """Return the fan-in of every matrix and filter, by the kind of the layer."""
    found: dict[str, int] = {}
    for name, layer in module.named_modules():
        weight = getattr(layer, "weight", None)
        if isinstance(layer, hf.pytorch_utils.Conv1D):
            found[f"{name}.weight"] = layer.weight.shape[0]
        elif isinstance(layer, nn.Linear | nn.Conv2d) and weight is not None:
            found[f"{name}.weight"] = weight[0].numel()
    return found


def variances(module: nn.Module, rows: Mapping[str, float]) -> dict[str, float]:
    """Return the variance of every drawn parameter: `VARIANCE` / fan-in of matrices, as given of embeddings.

    They are the learning rates of the NTK parametrization too, where gains and biases of 0 are not trained.
    """
    matrices = {name: VARIANCE / fan for name, fan in fans(module).items()}
    return {name: {**rows, **matrices}.get(name, 0.0) for name, _ in module.named_parameters()}


def redrawn(module: nn.Module, rows: Mapping[str, float]) -> nn.Module:
    """Draw matrices and rows anew."""
    for name, variance in variances(module, rows).items():
        if variance:
            nn.init.normal_(module.get_parameter(name), std=math.sqrt(variance))
    return module
