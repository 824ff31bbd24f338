"""Write docs/kernels_modules.md, which modules have kernels: python -m tests.kernels.modules_table."""

from __future__ import annotations

from pathlib import Path

from tests.kernels.estimates import LIBRARY, WORKS, said
from tests.kernels.modules import CASES, Case

_HEAD = """# Which modules have kernels

Unmodified modules and what `sim.kernel` makes of them. *Exact*: closed forms alone. *Bounded*: a Hermite series with its
own error bound, here below 1e-8. *Estimated*: an average over draws, with a standard error of 0.3 %. *Refused*: no
kernel, with the operation and the reason. A family is read at two widths, and what grows is infinite; of a single module
every hidden axis is, also the number of heads.

What is refused may still be estimated from wide copies: the last column says what `fallback="monte carlo"` makes of it.
*None* is refused for good, with the numbers: copies of two widths show that there is no limit. Two heads with logits of
1/sqrt(d) stay random too, by less than the 5 % that is looked for with these weights; with larger ones they are refused.

The tests compare every kernel with wide copies (`Kernel.verify`) and make every estimate, and this page is written by
`python -m tests.kernels.modules_table`.

| module | read as | kernel | with the fallback |
|---|---|---|---|
"""

_LIBRARY = """
## Models of transformers

Small configurations of one layer in eval mode, their last hidden states read out (GPT-2: by its own head). Their number
of heads grows with the width, eight neurons each.

| model | read as | kernel | with the fallback |
|---|---|---|---|
"""


def table() -> str:
    """Return the page."""
    return f"{_HEAD}{_rows(CASES)}\n{_LIBRARY}{_rows(LIBRARY)}\n"


def _rows(cases: dict[str, Case]) -> str:
    rows = []
    for name, case in cases.items():
        read_as = "family" if case.family else "single module"
        works = case.becomes in WORKS
        kernel = case.becomes if works else f"refused: {case.becomes}"
        rows.append(f"| {name} | {read_as} | {kernel} | {'' if works else said(name)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    Path("docs/kernels_modules.md").write_text(table())
