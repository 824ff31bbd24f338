"""A transfer study as a program of its own, for tests that kill it.

study_program.py FOLDER          run the study, print how many cells were found and run
study_program.py FOLDER KILLS    run it so many times, each killed at a random moment; print the exit codes
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from similitude.studies.experiment import Experiment
from similitude.studies.run import plan_all, run
from tests.cases import tiny_experiment

# What a life waits for: no curve, or a part of one of the study's seven programs.
CURVES = (0, 1, 0, 0, 0, 7, 0, 0, 3, 0)
LONGEST_SECONDS = 0.03  # from the last of them, or from the first write, to the kill


def experiment(kills: int = 0) -> Experiment:
    """Return a study that so many kills do not let come to its end."""
    return tiny_experiment(widths=(8, 12, 16, 24), steps=60, seeds=(0,) if kills < 3 else (0, 1, 2))


def size(journal: Path) -> int:
    return journal.stat().st_size if journal.exists() else 0


def curves(folder: str) -> int:
    return sum(1 for _ in Path(folder, "curves").glob("*/*.parquet"))


def main(folder: str, kills: int = 0) -> None:
    torch.set_num_threads(1)
    if not kills:
        study = run(experiment(), folder)
        print(study.cells_found, study.cells_run)
        return
    plan_all(experiment(kills))  # so that what torch imports late is not imported anew in every life
    moments = random.Random(0)
    journal = Path(folder, "study.journal")
    for life in range(kills):
        before, stored = size(journal), curves(folder)
        child = os.fork()
        if not child:
            run(experiment(kills), folder)
            os._exit(0)
        # Moments are counted in what is written, so that they hit the work on a machine of any speed.
        wanted = CURVES[life % len(CURVES)]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and (size(journal) <= before or curves(folder) < stored + wanted):
            time.sleep(0.0005)
        time.sleep(moments.uniform(0, LONGEST_SECONDS))
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
