"""Unmodified models planned in depth: which tensors end the branches, who stands outside, and how stages count."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import transformers as hf
from torch import nn
from zoo_case import CLASSES, VOCABULARY, normal, tokens

import similitude as sim

SMALL, LARGE = {"width": 32, "depth": 2}, {"width": 64, "depth": 6}


@dataclass(frozen=True)
class Deep:
    """A family of width and depth.

    Attributes:
        make: The family.
        sample: What it is called with.
        ends: Kinds of tensors (numbers written as *) that carry the branches' multiplier.
        outside: Kinds of numbered tensors that are not inside any branch.
        ratios: Ratios of branches that occur, apart from 1.
        hooks: Kinds of modules whose output a hook scales instead.
    """

    make: Callable[..., nn.Module]
    sample: Any
    ends: set[str]
    outside: set[str] = field(default_factory=set)
    ratios: tuple[float, ...] = (3.0,)
    hooks: set[str] = field(default_factory=set)


class Encoder(nn.Module):
    """Torch's own encoder between two matrices."""

    def __init__(self, width, depth, *, norm_first):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width, width // 16, 2 * width, batch_first=True, norm_first=norm_first
        )
        self.stem = nn.Linear(8, width)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        return self.head(self.encoder(self.stem(x)).mean(1))


def _decoder(width, depth, **more):
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": depth,
        "num_attention_heads": width // 16,
        "num_key_value_heads": width // 16,
        "max_position_embeddings": 32,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": None,
        **more,
    }


def gpt2(width, depth):
    return hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=16,
            n_embd=width,
            n_layer=depth,
            n_head=width // 16,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def llama(width, depth):
    return hf.LlamaForCausalLM(hf.LlamaConfig(**_decoder(width, depth)))


def mixtral(width, depth):
    more = {"num_local_experts": 4, "num_experts_per_tok": 2}
    return hf.MixtralForCausalLM(hf.MixtralConfig(**_decoder(width, depth, **more)))


def gemma2(width, depth):
    return hf.Gemma2ForCausalLM(hf.Gemma2Config(**_decoder(width, depth, head_dim=16)))


def olmo2(width, depth):
    return hf.Olmo2ForCausalLM(hf.Olmo2Config(**_decoder(width, depth)))


def neox(width, depth):
    more = _decoder(width, depth)
    del more["num_key_value_heads"], more["pad_token_id"], more["tie_word_embeddings"]
    return hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**more))


def _masked(width, depth):
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": width // 16,
        "intermediate_size": 2 * width,
        "max_position_embeddings": 16,
    }


def bert(width, depth):
    return hf.BertForMaskedLM(hf.BertConfig(**_masked(width, depth)))


def albert(width, depth):
    return hf.AlbertForMaskedLM(hf.AlbertConfig(embedding_size=16, **_masked(width, depth)))


def t5(width, depth):
    return hf.T5ForConditionalGeneration(
        hf.T5Config(
            vocab_size=VOCABULARY,
            d_model=width,
            d_kv=16,
            num_heads=width // 16,
            d_ff=2 * width,
            num_layers=depth,
            decoder_start_token_id=0,
        )
    )


def vit(width, depth):
    return hf.ViTForImageClassification(
        hf.ViTConfig(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=width // 16,
            intermediate_size=2 * width,
            image_size=16,
            patch_size=8,
            num_labels=CLASSES,
        )
    )


def mamba(width, depth):
    return hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=depth, state_size=4)
    )


def _staged(width, depth):
    return {"hidden_sizes": [width, 2 * width], "depths": [depth, depth], "num_labels": CLASSES}


def convnext(width, depth):
    return hf.ConvNextForImageClassification(
        hf.ConvNextConfig(num_stages=2, image_size=32, **_staged(width, depth))
    )


def resnet(width, depth):
    return hf.ResNetForImageClassification(
        hf.ResNetConfig(embedding_size=width, layer_type="basic", **_staged(width, depth))
    )


_RES = "resnet.encoder.stages.*.layers.*"
CASES = {
    "GPT-2": Deep(
        gpt2,
        tokens(),
        {f"transformer.h.*.{m}.c_proj.{p}" for m in ("attn", "mlp") for p in ("weight", "bias")},
    ),
    "Llama": Deep(
        llama,
        tokens(),
        {"model.layers.*.self_attn.o_proj.weight", "model.layers.*.mlp.down_proj.weight"},
    ),
    "Mixtral": Deep(
        mixtral,
        tokens(4),
        {"model.layers.*.self_attn.o_proj.weight", "model.layers.*.mlp.experts.down_proj"},
    ),
    "Gemma 2": Deep(
        gemma2,
        tokens(),
        set(),
        hooks={f"model.layers.*.post_{m}_layernorm" for m in ("attention", "feedforward")},  # gains of 1 + w
    ),
    "OLMo 2": Deep(
        olmo2,
        tokens(),
        {f"model.layers.*.post_{m}_layernorm.weight" for m in ("attention", "feedforward")},
    ),
    "GPT-NeoX, both branches at once": Deep(
        neox,
        tokens(),
        {
            f"gpt_neox.layers.*.{m}.{p}"
            for m in ("attention.dense", "mlp.dense_*h_to_h")
            for p in ("weight", "bias")
        },
    ),
    "BERT, norms behind the sums": Deep(
        bert,
        tokens(),
        {
            f"bert.encoder.layer.*.{m}.dense.{p}"
            for m in ("attention.output", "output")
            for p in ("weight", "bias")
        },
        outside={
            f"bert.encoder.layer.*.{m}.LayerNorm.{p}"
            for m in ("attention.output", "output")
            for p in ("weight", "bias")
        },
    ),
    "ALBERT, one block for all": Deep(
        albert,
        tokens(),
        {
            f"albert.encoder.albert_layer_groups.*.albert_layers.*.{m}.{p}"
            for m in ("attention.dense", "ffn_output")
            for p in ("weight", "bias")
        },
        outside={
            f"albert.encoder.albert_layer_groups.*.albert_layers.*.{m}.{p}"
            for m in ("attention.LayerNorm", "full_layer_layer_norm")
            for p in ("weight", "bias")
        },
    ),
    "T5, two stages": Deep(
        t5,
        {"input_ids": tokens(), "decoder_input_ids": tokens()},
        {
            f"{s}.block.*.layer.*.{m}.weight"
            for s in ("encoder", "decoder")
            for m in ("SelfAttention.o", "DenseReluDense.wo")
        }
        | {"decoder.block.*.layer.*.EncDecAttention.o.weight"},
        outside={
            f"{s}.block.*.layer.*.SelfAttention.relative_attention_bias.weight"
            for s in ("encoder", "decoder")
        },
    ),
    "ViT": Deep(
        vit,
        normal(2, 3, 16, 16),
        {f"vit.layers.*.{m}.{p}" for m in ("attention.o_proj", "mlp.fc*") for p in ("weight", "bias")},
    ),
    "Mamba": Deep(mamba, tokens(), {"backbone.layers.*.mixer.out_proj.weight"}),
    "ConvNeXt, layer scales": Deep(
        convnext,
        normal(2, 3, 32, 32),
        {"convnext.encoder.stages.*.layers.*.layer_scale_parameter"},
        outside={f"convnext.encoder.stages.*.downsampling_layer.*.{p}" for p in ("weight", "bias")},
    ),
    "ResNet, a projection opens the second stage": Deep(
        resnet,
        normal(4, 3, 32, 32),
        {f"{_RES}.layer.*.normalization.{p}" for p in ("weight", "bias")},
        outside={
            "classifier.*.weight",
            "classifier.*.bias",
            f"{_RES}.shortcut.convolution.weight",
            f"{_RES}.layer.*.convolution.weight",
            *(f"{_RES}.{m}.normalization.{p}" for m in ("shortcut", "layer.*") for p in ("weight", "bias")),
        },
        ratios=(3.0, 5.0),  # the first block of the second stage is no residual branch
    ),
    "torch's encoder, norms before": Deep(
        lambda width, depth: Encoder(width, depth, norm_first=True),
        normal(2, 6, 8),
        {f"encoder.layers.*.{m}.{p}" for m in ("self_attn.out_proj", "linear*") for p in ("weight", "bias")},
    ),
    "torch's encoder, norms behind": Deep(
        lambda width, depth: Encoder(width, depth, norm_first=False),
        normal(2, 6, 8),
        {f"encoder.layers.*.{m}.{p}" for m in ("self_attn.out_proj", "linear*") for p in ("weight", "bias")},
        outside={f"encoder.layers.*.norm*.{p}" for p in ("weight", "bias")},
    ),
}


QUICK = (
    "GPT-2",
    "Gemma 2",
    "BERT, norms behind the sums",
    "ResNet, a projection opens the second stage",
    "torch's encoder, norms before",
)  # a branch that ends in a matrix, in a hook, before a norm, in stages, and torch's own


def kind(name):
    return re.sub(r"\d+", "*", name)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_depth(name):
    case = CASES[name]
    plan = sim.plan(case.make, base=SMALL, target=LARGE, sample=case.sample, depth_rule="complete_p")
    assert plan.refused == ()
    assert {kind(hook.module) for hook in plan.hooks} == case.hooks
    assert {(hook.side, hook.factor) for hook in plan.hooks} <= {("output", 1 / 3)}
    carriers = {kind(row.name) for row in plan.rows if any("residual" in each for each in row.carries)}
    assert carriers == case.ends
    outside = {kind(row.name) for row in plan.rows if row.depth_ratio == 1 and re.search(r"\d", row.name)}
    assert outside == case.outside
    assert {row.depth_ratio for row in plan.rows} == {1.0, *case.ratios}
    for row in plan.rows:
        if any("residual" in each for each in row.carries):
            assert row.multiplier == pytest.approx(1 / row.depth_ratio)
    model = plan.apply_(case.make(**LARGE))
    groups = plan.groups(model, lr=1.0)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
