"""`similitude fewshot widths`: encoders of several widths, pretrained here and fine-tuned on a few examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD, NOT_ENOUGH
from similitude.cli.screen import Screen

Switch = Annotated[bool, Parameter(negative="")]


def widths(
    *,
    data: Path,
    tasks: str = "sst-2,conll",
    widths: str = "64,128,256,512",
    rules: str = "mup,sp",
    text: Path | None = None,
    shots: int = 30,
    splits: str = "1,2,3,4,5",
    lr_min: str = "2^-13",
    lr_max: str = "2^-5",
    points: int = 7,
    depth: int = 2,
    length: int = 64,
    pretraining_steps: int = 1000,
    steps: int = 24,
    gammas: str = "0.25,1,4",
    seed: int = 0,
    out: Path = Path("fewshot-widths"),
    workers: int | None = None,
    report: Path | None = None,
    json: Switch = False,
) -> int:
    """Pretrain encoders of several widths on a text, fine-tune them, and say whether the learning rate transfers.

    Finished runs are kept, and the same command continues after an interruption. The exit code is 3 where a test run
    has no score, else 0.

    Parameters
    ----------
    data:
        The folder or zip of CLUES: see `similitude data get clues`.
    tasks:
        Names of tasks, separated by commas.
    widths:
        Widths, separated by commas; everything is tuned at the smallest.
    rules:
        Parametrizations to compare: sp, mup, ntp, mean_field, spectral. Richness is tried under the first.
    text:
        A text file, a folder of them, or a WikiText folder to pretrain on; a book that is shipped by default.
    shots:
        10, 20 or 30.
    splits:
        Numbers of splits: at least two of 1 to 5.
    lr_min:
        Smallest learning rate of fine-tuning; powers of two may be written 2^-13.
    lr_max:
        Largest learning rate of fine-tuning.
    points:
        Number of learning rates, evenly spaced in their logarithm.
    depth:
        Blocks of an encoder.
    length:
        Tokens that it reads.
    pretraining_steps:
        Steps of pretraining, of 8 sequences.
    steps:
        Steps of fine-tuning, of 8 examples.
    gammas:
        Richness to try at 10 shots, separated by commas, 1 among them; "" for none.
    seed:
        Seed of everything.
    out:
        The folder for weights and results.
    workers:
        Runs at once, each in a process of its own; one per core by default.
    report:
        The HTML file; report.html in the folder by default.
    json:
        Print one JSON object on standard output.
    """
    kept = f"What was computed is in {out}, and the same command goes on from there."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.cli.engines import engine_of
        from similitude.cli.options import names, rate, whole_numbers
        from similitude.fewshot.reading import read_clues
        from similitude.fewshot.widths.page import write_widths_page
        from similitude.fewshot.widths.settings import WidthSettings
        from similitude.fewshot.widths.study import width_study
        from similitude.fewshot.widths.table import widths_table
        from similitude.fewshot.widths.texts import text_at
        from similitude.report.files import check_writable
        from similitude.studies.experiment import rates

        page = out / "report.html" if report is None else report
        settings = WidthSettings(
            tasks=names(tasks),
            widths=whole_numbers(widths, "--widths"),
            rules=names(rules),
            shots=shots,
            splits=whole_numbers(splits, "--splits"),
            lrs=rates(rate(lr_min, "--lr-min"), rate(lr_max, "--lr-max"), points),
            depth=depth,
            length=length,
            pretraining_steps=pretraining_steps,
            steps=steps,
            gammas=tuple(rate(one, "--gammas", what="richness") for one in names(gammas)),
            seed=seed,
        )
        clues = read_clues(data)
        corpus = None if text is None else text_at(text)
        check_writable(page)
        for note in clues.notes:
            screen.say(f"note: {note}")
        with screen.notes.status("pretraining") as status, engine_of(None, workers, alone=False) as engine:
            found = width_study(
                clues,
                settings,
                text=corpus,
                out=out,
                engine=engine,
                on_done=lambda what, done, total: status.update(f"{done} of {total}: {what}"),
            )
        screen.say(widths_table(found))
        where = write_widths_page(found, page).resolve()
        screen.say(f"Report: {where}")
        screen.result({**found.to_dict(), "report": str(where)})
    return NOT_ENOUGH if found.failures else GOOD
