"""Unmodified models of `transformers`, small, with random weights: a function of the width each."""

from __future__ import annotations

from typing import Any

import transformers as hf
from torch import nn
from zoo_case import CLASSES, VOCABULARY, Case, normal, tokens

HEAD = 16  # head size where the number of heads grows
_LABELS: dict[str, Any] = {"num_labels": CLASSES}  # what the signature of every config takes by **kwargs
_START: dict[str, Any] = {"decoder_start_token_id": 0}
_DECODER = {
    "*embed_tokens.weight": "lookup",
    "*norm*": "vector",
    "*lm_head.weight": "output",
}


def gpt2(width: int, heads: int | None = None) -> nn.Module:
    config = hf.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=16,
        n_embd=width,
        n_layer=2,
        n_head=heads or width // HEAD,
        bos_token_id=0,
        eos_token_id=0,
    )
    return hf.GPT2LMHeadModel(config)


def _decoder(width: int, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": width // HEAD,
        "num_key_value_heads": width // HEAD,
        "max_position_embeddings": 32,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": None,
        **more,
    }


def llama(width: int, **more: Any) -> nn.Module:
    return hf.LlamaForCausalLM(hf.LlamaConfig(**_decoder(width, **more)))


def qwen3(width: int) -> nn.Module:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": width // 4}
    return hf.Qwen3ForCausalLM(hf.Qwen3Config(**_decoder(width, **heads)))


def mixtral(width: int, **more: Any) -> nn.Module:
    return hf.MixtralForCausalLM(
        hf.MixtralConfig(**_decoder(width, num_local_experts=4, num_experts_per_tok=2, **more))
    )


def gemma(width: int) -> nn.Module:
    heads = {"head_dim": HEAD, "num_key_value_heads": width // (2 * HEAD), "tie_word_embeddings": True}
    return hf.GemmaForCausalLM(hf.GemmaConfig(**_decoder(width, **heads)))


def bert(width: int) -> nn.Module:
    config = hf.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=width // HEAD,
        intermediate_size=2 * width,
        max_position_embeddings=16,
    )
    return hf.BertForMaskedLM(config)


def albert(width: int) -> nn.Module:
    config = hf.AlbertConfig(
        vocab_size=VOCABULARY,
        embedding_size=32,
        hidden_size=width,
        num_hidden_layers=3,
        num_attention_heads=width // HEAD,
        intermediate_size=2 * width,
        max_position_embeddings=16,
    )
    return hf.AlbertForMaskedLM(config)


def vit(width: int) -> nn.Module:
    config = hf.ViTConfig(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=width // HEAD,
        intermediate_size=2 * width,
        image_size=16,
        patch_size=4,
        **_LABELS,
    )
    return hf.ViTForImageClassification(config)


def t5(width: int) -> nn.Module:
    config = hf.T5Config(
        vocab_size=VOCABULARY,
        d_model=width,
        d_kv=HEAD,
        d_ff=2 * width,
        num_layers=2,
        num_heads=width // HEAD,
        **_START,
    )
    return hf.T5ForConditionalGeneration(config)


def mamba(width: int) -> nn.Module:
    config = hf.MambaConfig(vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=2, state_size=8)
    return hf.MambaForCausalLM(config)


def convnext(width: int) -> nn.Module:
    sizes = [width // 2, width]
    config = hf.ConvNextConfig(
        num_stages=2, hidden_sizes=sizes, depths=[1, 1], patch_size=2, image_size=16, **_LABELS
    )
    return hf.ConvNextForImageClassification(config)


def resnet(width: int) -> nn.Module:
    config = hf.ResNetConfig(
        embedding_size=width // 2,
        hidden_sizes=[width // 2, width],
        depths=[1, 1],
        layer_type="basic",
        **_LABELS,
    )
    return hf.ResNetForImageClassification(config)


_GPT2 = {
    "*wte.weight": "lookup",
    "*wpe.weight": "lookup",
    "*ln_*": "vector",
    "*.bias": "vector",
    "*.weight": "hidden",
}
_GPT2_ENDS = ("*attn.c_proj.weight", "*attn.c_proj.bias", "*mlp.c_proj.weight", "*mlp.c_proj.bias")
_LLAMA_ENDS = ("*o_proj.weight", "*down_proj.weight")
_VISION = {"classifier*.weight": "output", "classifier*.bias": "finite"}

CASES: dict[str, Case] = {
    "GPT-2, tied, heads grow": Case(
        gpt2,
        tokens(),
        _GPT2,
        _GPT2_ENDS,
        # The head's 1/n of the tied table goes into the final norm.
        {"transformer.ln_f.weight": 0.25, "transformer.ln_f.bias": 0.25},
    ),
    "GPT-2, tied, heads fixed": Case(
        lambda width: gpt2(width, 4),
        tokens(),
        _GPT2,
        _GPT2_ENDS,
        {
            "transformer.ln_f.weight": 0.25,
            "transformer.ln_f.bias": 0.25,
            # Logits of 1/d in place of 1/sqrt(d), d x 4: queries and keys take 2^-1/2 each, and so do the values that
            # come from the same matrix, which the matrix after them undoes.
            "*attn.c_attn.*": 0.5**0.5,
            "*attn.c_proj.weight": 2**0.5,
        },
    ),
    "Llama, untied": Case(llama, tokens(), {**_DECODER, "*": "hidden"}, _LLAMA_ENDS),
    "Llama, grouped queries, key heads grow": Case(
        lambda width: llama(width, num_key_value_heads=width // (2 * HEAD)),
        tokens(),
        {**_DECODER, "*": "hidden"},
        _LLAMA_ENDS,
    ),
    "Llama, grouped queries, 2 key heads, tied": Case(
        lambda width: llama(width, num_key_value_heads=2, tie_word_embeddings=True),
        tokens(),
        {**_DECODER, "*k_proj.weight": "bottleneck", "*v_proj.weight": "bottleneck", "*": "hidden"},
        _LLAMA_ENDS,
        {"model.norm.weight": 0.25},
    ),
    "Qwen3, head size grows": Case(
        qwen3,
        tokens(),
        {**_DECODER, "*": "hidden"},
        _LLAMA_ENDS,
        # Logits of 1/d in place of 1/sqrt(d), d x 4: the gain of the normed queries halves.
        {f"model.layers.{i}.self_attn.q_norm.weight": 0.5 for i in range(2)},
    ),
    "Gemma, tied": Case(
        gemma,
        tokens(),
        {**_DECODER, "*": "hidden"},
        _LLAMA_ENDS,
        # The table is multiplied by sqrt(n); Gemma's gain is 1 + weight, which carries no factor.
        {"model.embed_tokens.weight": 0.5},
        ("lm_head",),
    ),
    "BERT, masked words, tied": Case(
        bert,
        tokens(),
        {
            "*embeddings.weight": "lookup",
            "cls.predictions.bias": "finite",
            "*LayerNorm*": "vector",
            "*.bias": "vector",
            "*.weight": "hidden",
        },
        ("*attention.output.dense.*", "*.output.dense.*"),
        {f"cls.predictions.transform.LayerNorm.{p}": 0.25 for p in ("weight", "bias")},
    ),
    "ALBERT, shared layer, tied": Case(
        albert,
        tokens(),
        {
            # Tables of a fixed size: a head over them has no side that grows either.
            "*embeddings*": "finite",
            "predictions.dense.bias": "finite",
            "predictions.dense.weight": "bottleneck",
            "predictions.LayerNorm.*": "finite",
            "predictions.*": "finite",
            "*embedding_hidden_mapping_in.weight": "input",
            "*layer_norm*": "vector",
            "*LayerNorm*": "vector",
            "*.bias": "vector",
            "*.weight": "hidden",
        },
        ("*attention.dense.*", "*ffn_output.*"),
    ),
    "ViT": Case(
        vit,
        normal(2, 3, 16, 16),
        {
            **_VISION,
            "*cls_token": "vector",
            "*position_embeddings": "lookup",
            "*patch_embeddings.projection.weight": "input",
            "*layernorm*": "vector",
            "*.bias": "vector",
            "*.weight": "hidden",
        },
        ("*attention.o_proj.*", "*mlp.fc2.*"),
    ),
    "T5, tied": Case(
        t5,
        {"input_ids": tokens(), "decoder_input_ids": tokens(2, 8)},
        {
            "shared.weight": "lookup",
            "*relative_attention_bias.weight": "lookup",
            "*layer_norm.weight": "vector",
            "*": "hidden",
        },
        ("*.o.weight", "*.wo.weight"),
        # T5 multiplies by n^-1/2 before the tied head, so half of the head's 1/n is left for the final norm.
        {"decoder.final_layer_norm.weight": 0.5},
    ),
    "Mixtral": Case(
        mixtral,
        tokens(),
        {"*gate.weight": "output", **_DECODER, "*": "hidden"},
        ("*o_proj.weight", "*down_proj"),
    ),
    "Mixtral, eager experts": Case(
        lambda width: mixtral(width, experts_implementation="eager"),
        tokens(),
        {"*gate.weight": "output", **_DECODER, "*": "hidden"},
        ("*o_proj.weight", "*down_proj"),
    ),
    "Mamba, tied": Case(
        mamba,
        tokens(),
        {
            "*embeddings.weight": "lookup",
            "*norm*": "vector",
            "*conv1d.weight": "input",
            "*A_log": "vector",
            "*.D": "vector",
            "*.bias": "vector",
            # Its output is n / 16 + 16 long: part grows, most does not.
            "*x_proj.weight": "bottleneck",
            "*.weight": "hidden",
        },
        ("*out_proj.weight",),
        {"backbone.norm_f.weight": 0.25},
    ),
    "ConvNeXt": Case(
        convnext,
        normal(2, 3, 16, 16),
        {
            **_VISION,
            "*embeddings.patch_embeddings.weight": "input",
            "*dwconv.weight": "input",
            "*norm*": "vector",
            "*downsampling_layer.0.*": "vector",
            "*layer_scale_parameter": "vector",
            "*.bias": "vector",
            "*.weight": "hidden",
        },
        ("*layer_scale_parameter",),
    ),
    "ResNet": Case(
        resnet,
        normal(2, 3, 16, 16),
        {
            **_VISION,
            "*embedder.embedder.convolution.weight": "input",
            "*normalization*": "vector",
            "*convolution.weight": "hidden",
        },
        # The second stage has a projection on its shortcut, so neither side descends from the other.
        ("*stages.0.layers.0.layer.1.normalization.*",),
    ),
}
