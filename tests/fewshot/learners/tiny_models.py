"""Tiny random models and tokenizers for tests: written by their configurations, nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from torch import Tensor, nn

from similitude.core.seeding import seeded
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.encoder import Encoder

TEXT = """
    [PAD] [UNK] [CLS] [SEP] a the good bad fine poor film plot is was not very ann bo met in paris rome oslo , . ?
    who where list people places saw lives and : / answer question text nothing positive negative yes no
"""
WORDS = TEXT.split()


def tiny_tokenizer() -> Tokenizer:
    """Return a tokenizer of words with BERT's frame of special tokens."""
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


class Bag(nn.Module):
    """Each token's embedding plus the mean of all: an encoder whose every state can be written down."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        with seeded(0):
            self.table = nn.Embedding(len(WORDS), width)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        states = self.table(ids)
        weights = mask[..., None].to(states.dtype)
        return states + (states * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)


class Mixer(Bag):
    """A hidden layer on each token's embedding and the mean of all, so that a question can change a word's state."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(width)
        with seeded(1):
            self.hidden = nn.Linear(2 * width, width)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        tokens = self.table(ids)
        mean = super().forward(ids, mask) - tokens
        return torch.tanh(self.hidden(torch.cat([tokens, mean], dim=-1)))


def mixing_encoder(width: int = 32) -> Encoder:
    """Return an encoder of `Mixer` states."""
    return Encoder(name="mixer", encode=Mixer(width), tokenizer=tiny_tokenizer(), width=width)


def tiny_encoder(width: int = 16, **options) -> Encoder:
    """Return an encoder of `Bag` states."""
    return Encoder(name="bag", encode=Bag(width), tokenizer=tiny_tokenizer(), width=width, **options)


def write_bert(folder: Path) -> Path:
    """Write a random BERT of width 16 with its tokenizer, as `save_pretrained` does."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    with seeded(0):
        BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    return folder


def write_causal(folder: Path) -> Path:
    """Write a random Llama of width 16 with its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        max_position_embeddings=128,
        bos_token_id=2,
        eos_token_id=3,
    )
    with seeded(0):
        LlamaForCausalLM(config).save_pretrained(folder)
    plain = tiny_tokenizer()
    plain.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B:1", special_tokens=[])
    PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]", eos_token="[SEP]"
    ).save_pretrained(folder)
    return folder


def labelled(rows: list[tuple[str, str]]) -> list[Example]:
    """Return sentences with one label each."""
    return [Example(Query(str(i), (text,), "?"), (frozenset({y}),)) for i, (text, y) in enumerate(rows)]


def sentiments() -> list[Example]:
    """Return eight sentences whose label one word tells."""
    return labelled(
        [
            (f"{article} {noun} {verb} {word}", label)
            for article, noun, verb in (("the", "film", "is"), ("the", "plot", "was"))
            for word, label in (
                ("good", "positive"),
                ("bad", "negative"),
                ("fine", "positive"),
                ("poor", "negative"),
            )
        ]
    )


def named() -> list[Example]:
    """Return three sentences with two questions each: who is there, and which places."""
    rows = [
        ("Ann met Bo in Paris .", {"Ann", "Bo"}, {"Paris"}),
        ("Bo lives in Oslo .", {"Bo"}, {"Oslo"}),
        ("The film is good .", set(), set()),
    ]
    return [
        Example(Query(f"{i}_{kind}", (text,), f"list the {kind}"), (frozenset(found),))
        for i, (text, people, places) in enumerate(rows)
        for kind, found in (("people", people), ("places", places))
    ]


def equal_states(one: Tensor, other: Tensor) -> bool:
    """Tell whether states are equal but for rounding."""
    return torch.allclose(one, other, atol=1e-5)
