"""The small study of Super Consistency as a program of its own, for tests that kill it.

consistency_program.py FOLDER KILLS    run it so many times, each killed once another curve is there; print exit codes
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from similitude.studies.consistency import run_consistency
from tests.studies.consistency_cases import small_study

LR = 0.5
LONGEST_SECONDS = 0.05  # from the new curve to the kill


def curves(folder: str) -> int:
    return sum(1 for _ in Path(folder, "curves").glob("*/*.parquet"))


def main(folder: str, kills: int) -> None:
    torch.set_num_threads(1)
    small_study().plans()  # so that what torch imports late is not imported anew in every life
    moments = random.Random(0)
    for _ in range(kills):
        before = curves(folder)
        child = os.fork()
        if not child:
            run_consistency(small_study(), folder, lr=LR)
            os._exit(0)
        while curves(folder) == before:
            time.sleep(0.002)
        time.sleep(LONGEST_SECONDS * moments.random())
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
