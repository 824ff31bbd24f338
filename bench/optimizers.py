"""The geometry of every optimizer of the zoo, and the check of the MLP from width 64 to 512 with each. About four
minutes on two cores; `--write` puts the table into docs/optimizers.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from similitude.scaling.geometry import measure_optimizer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "optimizers.md"
sys.path.insert(0, str(ROOT / "tests" / "scaling"))

from optimizer_zoo import HEADER, ZOO, line  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of optimizers; all by default")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [HEADER]
    print(HEADER, flush=True)
    for name, entry in ZOO.items():
        if options.names and not any(part in name for part in options.names):
            continue
        started = time.perf_counter()
        found = measure_optimizer(entry.make)
        seconds = time.perf_counter() - started
        lines.append(line(name, found))
        print(lines[-1], flush=True)
        total = time.perf_counter() - started
        print(
            f"{name}: measured in {seconds:.1f} s, {total:.0f} s with the check", file=sys.stderr, flush=True
        )
    if options.write:
        before = PAGE.read_text().partition(HEADER.split("\n")[0])[0]
        PAGE.write_text(before + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
