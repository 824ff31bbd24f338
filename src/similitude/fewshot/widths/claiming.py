"""What a folder of a width study is for: the settings that all its results share, and the tokenizer of its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from similitude.core.errors import EvaluationError
from similitude.data.sets import TextSet
from similitude.fewshot.widths.tokenizer import read_tokenizer, token_ids, train_tokenizer
from similitude.report.files import write_atomically
from similitude.runs.faults import storage_fault
from similitude.runs.lock import FileLock

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STUDY, TOKENIZER, PRETRAINING = "study.json", "tokenizer.json", "pretraining.jsonl"


def claimed(
    folder: Path, mine: Mapping[str, Any], *, text: TextSet, vocabulary: int, least: int
) -> tuple[Tokenizer, list[int], list[int]]:
    """Write what a folder is for, unless it says so already, and return its tokenizer with the tokens of the text.

    The tokenizer is kept, because training breaks ties by chance, and weights fit one numbering alone. Of several
    processes that begin at once, the first trains it.

    Args:
        folder: The folder; made where it is not there.
        mine: What all results in it share.
        text: What the tokenizer is trained on.
        vocabulary: Most different tokens.
        least: Tokens that each part of the text must have.

    Returns:
        The tokenizer, the tokens to train on and those of the hold-out.

    Raises:
        EvaluationError: The folder is for something else or lacks a file of its study, or the text is too short;
            nothing was written.
        StudyError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_fault(folder, error) from error
    with FileLock(folder / f".{STUDY}.lock").held():
        there = _there(folder / STUDY)
        if there is not None:
            _same(folder, there, mine)
        names = [name for name in (STUDY, TOKENIZER) if not (folder / name).is_file()]
        if names and (folder / PRETRAINING).is_file():
            raise EvaluationError(
                f"{folder} holds encoders and lacks {' and '.join(names)}, without which they are of no use: a tokenizer "
                "trained again numbers tokens otherwise. Put it back, or give another folder."
            )
        if names:
            tokenizer = train_tokenizer(text.train, vocabulary)
            for part in (text.train, text.test):
                token_ids(tokenizer, part, least=least)
            write_atomically(folder / STUDY, json.dumps(mine, indent=1))
            write_atomically(folder / TOKENIZER, tokenizer.to_str())
    kept = read_tokenizer(folder / TOKENIZER)
    return kept, token_ids(kept, text.train, least=least), token_ids(kept, text.test, least=least)


def _there(file: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{file} cannot be read ({error}). Give another folder.") from error
    if not isinstance(found, dict):
        raise EvaluationError(f"{file} cannot be read (it holds no object). Give another folder.")
    return found


def _same(folder: Path, there: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    shown = json.loads(json.dumps(mine))
    names = [name for name in {**there, **shown} if there.get(name) != shown.get(name)]
    if names:
        told = ", ".join(f"{name} {there.get(name)!r}, now {shown.get(name)!r}" for name in names)
        raise EvaluationError(f"{folder} holds a study with {told}. Give another folder.")
