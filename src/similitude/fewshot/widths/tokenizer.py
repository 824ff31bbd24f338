"""A WordPiece tokenizer trained on the text that encoders are pretrained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from similitude.core.errors import EvaluationError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, UNKNOWN, FIRST, LAST, MASK = range(5)
"""Ids of the special tokens: padding, unknown, first of a row, end of a text, masked."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(text: str, vocabulary: int) -> Tokenizer:
    """Train a tokenizer that keeps capitals, with BERT's frame of special tokens.

    Ties between pieces are broken by chance, so keep it (`to_str`) with whatever was trained on its ids.

    Args:
        text: What it is trained on.
        vocabulary: Most different tokens, special ones included.

    Raises:
        ImportError: tokenizers is not installed.

    Example:
        >>> made = train_tokenizer("the whale saw the ship " * 20, 200)
        >>> made.decode(made.encode("the whale").ids)
        'the whale'
    """
    try:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    except ImportError as error:
        raise ImportError(
            "a tokenizer is trained with tokenizers. Install it: pip install 'similitude[fewshot]'"
        ) from error
    made = Tokenizer(models.WordPiece({"[UNK]": UNKNOWN}, unk_token="[UNK]"))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=list(_SPECIAL), show_progress=False
    )
    made.train_from_iterator(text.splitlines(), trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", FIRST), ("[SEP]", LAST)],
    )
    return made


def read_tokenizer(file: Path) -> Tokenizer:
    """Read a tokenizer that was kept.

    Raises:
        EvaluationError: The file holds something else.
        ImportError: tokenizers is not installed.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises nothing more special
        raise EvaluationError(f"{file} holds no tokenizer ({error}). Give another folder.") from error


def token_ids(tokenizer: Tokenizer, text: str, *, least: int) -> list[int]:
    """Return the tokens of a text without special ones.

    Args:
        tokenizer: What `train_tokenizer` gave.
        text: The text.
        least: How many there must be.

    Raises:
        EvaluationError: There are fewer.
    """
    rows = tokenizer.encode_batch(text.splitlines(), add_special_tokens=False)
    ids = [i for row in rows for i in row.ids]
    if len(ids) < least:
        raise EvaluationError(
            f"the text to pretrain on has {len(ids)} tokens in a part of it, and sequences need {least}. Give a longer "
            "text, or shorter sequences."
        )
    return ids
