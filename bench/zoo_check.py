"""The check on every model of the zoo: growth exponents under a plan from width 128 to 512, and under standard
parametrization beside it. About fifteen minutes on two cores; `--write` puts the table into docs/checks.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from similitude.checking.records import CheckRow

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "checks.md"
sys.path.insert(0, str(ROOT / "tests" / "zoo"))

from zoo_table import CASES, planned  # noqa: E402
from zoo_tasks import checked, learning, score  # noqa: E402


def line(name: str) -> str:
    """Check one family under both rules and return its line of the table."""
    plan, plain = checked(name, "mup"), checked(name, "sp")
    mine, theirs = score(plan), score(plain)
    outside = "; ".join(dict.fromkeys(f"{_words(r)} {_why(r)}" for r in mine.outside)) or "none"
    return (
        f"| {name} | {plan.verdict.outcome} | {mine.good} of {mine.rows} | {_words(mine.worst)} | {outside} | "
        f"{theirs.good} of {theirs.rows} | {_words(learning(plain))} |"
    )


def _words(row: CheckRow) -> str:
    return f"`{row.name}` {row.quantity} {row.slope:+.2f}" + (
        f" (not {row.expected:+.2f})" if row.expected else ""
    )


def _why(row: CheckRow) -> str:
    return (
        "(bottleneck)" if "bottleneck" in row.note else f"({row.note})" if row.note else "(no reason known)"
    )


HEADER = (
    "| model | verdict | mup: within 0.15 | farthest off | interval beyond 0.25 | sp: within 0.15 | sp: farthest off |\n"
    "|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of models; all by default")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [HEADER]
    print(HEADER, flush=True)
    for name in CASES:
        if options.names and not any(part in name for part in options.names):
            continue
        started = time.perf_counter()
        refused = planned(name).refused
        lines.append(f"| {name} | refused | | | | | |" if refused else line(name))
        print(lines[-1], flush=True)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    if options.write:
        before, _, rest = PAGE.read_text().partition(HEADER.split("\n")[0])
        after = "".join(rest.partition("\n## ")[1:])
        PAGE.write_text(before + "\n".join(lines) + "\n" + after)


if __name__ == "__main__":
    main()
