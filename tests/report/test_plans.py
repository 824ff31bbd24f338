"""The table of a plan: whole at 80 columns, refusals on top, nothing that the plan knows left out."""

import io
import re
from dataclasses import replace

import pytest
import report_cases as cases
from rich.console import Console

from similitude.report import plan_table
from similitude.scaling.records import Hook


def shown(plan, *, width=80, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    Console(file=file, width=width).print(plan_table(plan))
    file.flush()
    text = file.buffer.getvalue().decode(encoding)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    return text


def test_a_plan_puts_refusals_first_and_every_factor_in_a_column():
    text = shown(cases.plan(refused=True))
    assert text.index("REFUSED router<gate>.weight (8x256)") < text.index("embed.weight")
    line = next(line for line in text.splitlines() if line.startswith("blocks.{0-3}.attn.qkv.weight"))
    assert line.split()[1:] == ["hidden", "256x256", "4", "4", "1/2", "1/4", "1", "4", "2"]
    assert "2: hidden: fan-in grows 4 times, Adam's rate falls by as much" in text


def test_tensors_share_a_line_only_where_all_they_show_is_the_same():
    plan = cases.plan()
    rows = (
        cases.row("net.0.weight", "input", (64, 8), (16, 8), 1, 4, 1.0, 1.0, "a"),
        cases.row("net.2.weight", "hidden", (64, 64), (16, 16), 4, 4, 0.5, 0.25, "b"),
        cases.row("net.4.weight", "hidden", (64, 64), (16, 16), 4, 4, 0.5, 0.25, "b"),
        cases.row("net.6.weight", "hidden", (64, 64), (16, 16), 4, 4, 0.5, 0.5, "b"),
    )
    plan = replace(plan, rows=rows)
    names = [line.split()[0] for line in shown(plan).splitlines() if line.startswith("net.")]
    assert names == ["net.0.weight", "net.{2,4}.weight", "net.6.weight"]


def test_long_names_fold_and_numbers_stay_whole():
    plan = cases.plan()
    name = "transformer.encoder.layers.block.attention.self.query_key_value.weight"
    rows = (cases.row(name, "hidden", (4096, 4096), (256, 256), 16, 16, 0.25, 0.0625, "why"),)
    plan = replace(plan, rows=rows)
    text = shown(plan)
    assert "4096x4096" in text
    assert "1/16" in text
    lines = text.splitlines()
    header = next(place for place, line in enumerate(lines) if line.startswith("tensor"))
    column = lines[header].index("role")
    folded = "".join(line[:column].strip() for line in lines[header + 1 : header + 4])
    assert folded == name


def test_reasons_come_by_number_with_what_was_seen():
    plan = cases.plan()
    rows = tuple(replace(row, evidence=f"contracted over {row.base_shape[-1]}") for row in plan.rows)
    text = re.sub(r"\s+", " ", shown(replace(plan, rows=rows)))
    assert f"2: {cases.HIDDEN}. Seen: contracted over 64" in text
    assert text.count("contracted over 64") == len({row.reason for row in rows})


def test_unused_tensors_are_named_below_the_table():
    plan = cases.plan()
    idle = [replace(row, role="unused") for row in plan.rows if row.name.endswith("norm.bias")]
    rows = tuple(row for row in plan.rows if not row.name.endswith("norm.bias"))
    text = shown(replace(plan, rows=(*rows, *idle)))
    assert "unused, left as they are (4): blocks.{0-3}.norm.bias" in text
    assert not any(line.startswith("blocks.{0-3}.norm.bias") for line in text.splitlines())


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_hooks_and_carried_multipliers_are_listed(encoding):
    plan = cases.plan()
    rows = tuple(
        replace(row, carries=("attention logits 1/d: x0.25",)) if row.name.endswith("qkv.weight") else row
        for row in plan.rows
    )
    hooks = (Hook("lm_head", 0.25, "no norm stands before the tied head"),)
    text = re.sub(r"\s+", " ", shown(replace(plan, rows=rows, hooks=hooks), encoding=encoding))
    assert "carried by blocks.{0-3}.attn.qkv.weight: attention logits 1/d: x0.25" in text
    assert "hook on lm_head, its input x 1/4: no norm stands before the tied head" in text


def test_the_heading_says_optimizer_and_sizes():
    plan = replace(cases.plan(), base={"width": 64, "depth": 4}, target={"width": 256, "depth": 4})
    assert shown(cases.plan()).startswith("Plan: mup, AdamW, width 64 -> 256\n")
    assert shown(plan).startswith("Plan: mup, AdamW, width 64 depth 4 -> width 256 depth 4\n")
