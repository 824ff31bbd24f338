"""Write docs/kernels_modules.md, which modules have kernels: python -m tests.kernels.modules_table."""

from __future__ import annotations

from pathlib import Path

from tests.kernels.modules import CASES

_HEAD = """# Which modules have kernels

Unmodified modules and what `sim.kernel` makes of them. *Exact*: closed forms alone. *Bounded*: a Hermite series with its
own error bound, here below 1e-8. *Estimated*: an average over draws, with a standard error of 0.3 %. *Refused*: no
kernel, with the operation and the reason. A family is read at two widths, and what grows is infinite; of a single module
every hidden axis is, also the number of heads. The tests compare every kernel with wide copies (`Kernel.verify`), and
this page is written by `python -m tests.kernels.modules_table`.

| module | read as | kernel |
|---|---|---|
"""


def table() -> str:
    """Return the page."""
    rows = []
    for name, case in CASES.items():
        read_as = "family" if case.family else "single module"
        works = case.becomes in ("exact", "bounded", "estimated")
        rows.append(f"| {name} | {read_as} | {case.becomes if works else f'refused: {case.becomes}'} |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path("docs/kernels_modules.md").write_text(table())
