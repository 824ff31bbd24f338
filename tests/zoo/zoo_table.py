"""Writes docs/models.md: what the planner makes of every model of the zoo. Run it to write the page anew."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
import zoo_attention
import zoo_networks
import zoo_transformers

import similitude as sim
from similitude.scaling.records import Plan

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BASE, TARGET = 64, 256
GROUPS = {
    "Models of `transformers`, unmodified": zoo_transformers.CASES,
    "Attention and mixtures of experts, written by hand": zoo_attention.CASES,
    "Recurrent, convolutional and other nets, written by hand": zoo_networks.CASES,
}
CASES = {name: case for group in GROUPS.values() for name, case in group.items()}

_HEADER = (
    "| model | tensors | classified | refused | unused | reasons and remarks |\n|---|---|---|---|---|---|"
)
_INTRO = f"""# What the planner makes of real models

Every model here is planned from width {BASE} to width {TARGET} as it is, with AdamW and the rule "mup". A tensor is
*classified* by what the traced forward pass does with it, *refused* by name where no rule is right for it, or
*unused* where the sample does not reach it. A refusal is overridden in one line, `roles={{"name": "hidden"}}`.
The roles of all tensors are compared with roles reasoned by hand in `tests/zoo`, and so is this page, row by row;
`python tests/zoo/zoo_table.py` writes it anew.
"""


@functools.cache
def planned(name: str) -> Plan:
    """Plan one model of the zoo; the sample, the optimizer and the rule are the same everywhere."""
    case = CASES[name]
    return sim.plan(case.make, base=BASE, target=TARGET, sample=case.sample, optimizer=torch.optim.AdamW)


def row(name: str) -> str:
    """Return the line of one model."""
    plan = planned(name)
    refused, unused = len(plan.refused), sum(r.role == "unused" for r in plan.rows)
    tensors = len(plan.rows) + refused
    return f"| {name} | {tensors} | {tensors - refused - unused} | {refused} | {unused} | {_remarks(plan)} |"


def counts(page: str) -> dict[str, tuple[int, int, int, int]]:
    """Read the numbers of every model back from the page."""
    cells = [
        [c.strip() for c in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]
    return {c[0]: (int(c[1]), int(c[2]), int(c[3]), int(c[4])) for c in cells if c[1].isdigit()}


def page() -> str:
    """Return the whole page."""
    parts = [_INTRO.rstrip()]
    for title, cases in GROUPS.items():
        parts += [f"\n## {title}\n", _HEADER, *(row(name) for name in cases)]
    numbers = counts("\n".join(parts)).values()
    tensors, classified, refused, unused = (sum(column) for column in zip(*numbers, strict=True))
    parts.append(
        f"\n{len(numbers)} models, {tensors} tensors: {classified} classified, {refused} refused "
        f"({100 * refused / tensors:.1f} %), {unused} unused."
    )
    return "\n".join(parts)


def _remarks(plan: Plan) -> str:
    reasons: dict[str, list[str]] = {}
    for refusal in plan.refused:
        reasons.setdefault(refusal.reason.replace(repr(refusal.name), "it"), []).append(refusal.name)
    remarks = [f"{_names(names)}: {_first(reason)}" for reason, names in reasons.items()]
    narrow = [r.name for r in plan.rows if r.role == "bottleneck"]
    remarks += [f"{_names(narrow)}: finite bottlenecks, no rule is exact"] if narrow else []
    remarks += [f"input of `{hook.module}` x {hook.factor:.4g} by a hook" for hook in plan.hooks]
    return "; ".join(remarks)


def _names(names: list[str]) -> str:
    return f"`{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _first(reason: str) -> str:
    """Return what is wrong, without the remedy."""
    return reason.split(". ")[0].split("; ")[0].replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page() + "\n")
