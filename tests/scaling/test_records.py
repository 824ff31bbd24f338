"""Plans as data: round trips, damaged files, texts and tables."""

from __future__ import annotations

import copy
import io
import json
import pickle
from dataclasses import replace

import pytest
from hand_plans import mlp_plan

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.records import Branch, Hook, Plan, Refusal


def full_plan() -> Plan:
    """A plan in which no field is left at its default."""
    plan = mlp_plan(
        refused=(Refusal("pos<table>", (16, 128), "could be [bold]anything"),),
        notes=("a note",),
        hooks=(Hook("4", 0.25, "no tensor can carry it"),),
        branches=(Branch(("2.weight",), ("0.weight", "2.weight")),),
        knobs={"output": {"multiplier": 0.5}},
    )
    rows = (
        replace(plan.rows[0], aliases=("head.weight",), carries=("output 1/n",), multiplier=0.25),
        *plan.rows[1:],
    )
    return replace(plan, rows=rows)


@pytest.mark.parametrize("make", [mlp_plan, full_plan, lambda: mlp_plan(family="sgd", decay="gradient")])
def test_json_round_trip(make, tmp_path):
    plan = make()
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    path = plan.save(tmp_path / "deep" / "plan.json")
    assert Plan.load(path) == plan
    assert [p.name for p in path.parent.iterdir()] == ["plan.json"]
    assert pickle.loads(pickle.dumps(plan)) == copy.deepcopy(plan) == plan


def test_files_that_are_no_plans_are_told(tmp_path):
    path = tmp_path / "plan.json"
    with pytest.raises(PlanError, match="cannot be read: No such file"):
        Plan.load(path)
    for text, says in (
        ("{", "is not a saved plan"),
        ("[" * 100_000, "is not a saved plan"),
        ("\xff", "plan.json"),
        ("[]", "not a plan of format 2 .found list"),
        ('{"format": 1}', "not a plan of format 2 .found 1"),
        (
            '{"format": 2}',
            "the plan is incomplete or damaged: it lacks rule, optimizer, family, base, target, rows",
        ),
    ):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(PlanError, match=says):
            Plan.load(path)
    for folder in (path / "below" / "a" / "file.json", tmp_path):
        with pytest.raises(PlanError, match="cannot be written to"):
            mlp_plan().save(folder)


DAMAGE = [
    ("rows.2.lr", -1, r"row '2.weight' has lr -1, but it must be a finite number above 0"),
    ("rows.2.lr", 0, "above 0"),
    ("rows.2.lr", float("nan"), r"row '2.weight' has lr nan, but it must be a finite number"),
    ("rows.2.rescale", float("inf"), r"has rescale inf"),
    ("rows.2.eps", "0.25", r"row '2.weight' has eps '0.25', but it must be a finite number above 0"),
    ("rows.2.init", -0.5, "a finite number of at least 0"),
    ("rows.2.weight_decay", True, r"has weight_decay True"),
    ("rows.2.multiplier", None, r"has multiplier None"),
    ("rows.2.role", "middle", r"has role 'middle', but it must be one of input, lookup, vector, hidden"),
    ("rows.2.role", ["hidden"], r"has role \['hidden'\]"),
    ("rows.2.family", "adam", r"has family 'adam'"),
    ("rows.2.shape", [128, -1], r"has shape \[128, -1\], but it must be a list of whole numbers"),
    ("rows.2.shape", [128.5, 1], "whole numbers"),
    (
        "rows.2.shape",
        [128],
        r"row '2.weight' has shape \(128,\) and base_shape \(32, 32\), but a tensor has as many",
    ),
    ("rows.2.fan_in", [32], r"has fan_in \[32\], but it must be two numbers"),
    ("rows.2.aliases", "0.weight", r"has aliases '0.weight', but it must be a list of texts"),
    ("rows.2.own_rms", -1, r"has own_rms -1"),
    ("rows.2.name", "", r"a name must not be empty"),
    ("rows.2.name", "0.weight", r"tensor '0.weight' stands twice in the plan, as a row and as a row"),
    ("rows.2.aliases", ["0.weight"], "'0.weight' stands twice"),
    ("rows.2.surprise", 1, r"row '2.weight' is incomplete or damaged: it has surprise, which no plan has"),
    ("rows.2", "2.weight", r"row number 3 is '2.weight', but must be a JSON object"),
    ("rows", {}, r"the plan has rows \{\}, but it must be a list"),
    (
        "refused",
        [{"name": "0.bias", "shape": [8], "reason": ""}],
        r"'0.bias' stands twice .* as a refused tensor",
    ),
    ("refused", [{"name": "x"}], r"refused tensor 'x' is incomplete or damaged: it lacks shape, reason"),
    ("hooks", [{"module": "4", "factor": 0.0, "reason": ""}], r"hook '4' has factor 0.0"),
    ("branches", [{"ends": "x", "inside": []}], r"branch number 1 has ends 'x'"),
    ("rule", "mupp", r"the plan has rule 'mupp', but it must be one of mup, sp"),
    ("family", "", "the plan has family ''"),
    ("decay", "norm", "the plan has decay 'norm'"),
    ("base", 64, r"the plan has base 64, but it must give every dial a number"),
    ("base", {"width": 0}, "width must be a whole number of at least 1"),
    ("target", {"width": 64.5}, "width must be a whole number"),
    (
        "target",
        {"width": 128, "depth": 2},
        r"base \{'width': 32\} and target \{.*\}, but both must have the same",
    ),
    ("knobs", {"output": {"lr": -1}}, r"the plan has knobs .*, but it must be a finite number above 0"),
    ("knobs", {"output": 2.0}, "it must be a JSON object"),
    ("defaults", [], "the plan has defaults"),
    ("notes", [1], "the plan has notes"),
]


@pytest.mark.parametrize(("place", "value", "text"), DAMAGE, ids=[f"{p}={v}"[:40] for p, v, _ in DAMAGE])
def test_damage_names_the_row_and_the_law(place, value, text, tmp_path):
    data = mlp_plan().to_dict()
    *way, last = [int(part) if part.isdecimal() else part for part in place.split(".")]
    at = data
    for part in way:
        at = at[part]
    at[last] = value
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(data))
    with pytest.raises(PlanError, match=text) as caught:
        Plan.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("Make the plan again and save it.")


def test_missing_fields_are_named():
    data = mlp_plan().to_dict()
    del data["rows"][0]["eps"], data["rows"][0]["role"]
    with pytest.raises(PlanError, match=r"row '0.weight' is incomplete or damaged: it lacks role, eps"):
        Plan.from_dict(data)


def test_what_a_plan_cannot_do_is_said():
    refused = full_plan()
    with pytest.raises(RoleError, match=r"1 tensor has no role.*'pos<table>': could be \[bold\]anything"):
        refused.raise_if_bad()
    mlp_plan().raise_if_bad()
    assert not mlp_plan().is_identity
    assert mlp_plan(target=32).is_identity
    assert not mlp_plan(target=32, hooks=(Hook("4", 0.5, ""),)).is_identity
    assert mlp_plan(target=32, hooks=(Hook("4", 1.0, ""),)).is_identity


def test_text_has_a_row_per_tensor_and_refusals_on_top():
    plan = full_plan()
    lines = str(plan).splitlines()
    assert lines[0] == "mup, AdamW, width 32 -> 128"
    assert lines[1] == "REFUSED pos<table> 16x128: could be [bold]anything"
    assert "0.weight carries: output 1/n" in lines
    assert "hook on '4': its input x0.25, no tensor can carry it" in lines
    assert "note: a note" in lines
    table = lines[lines.index(next(line for line in lines if line.startswith("tensor"))) :]
    assert " ".join(table[0].split()) == "tensor role shape in out init apply lr eps wd why evidence"
    assert table[3].split(maxsplit=11) == [
        "2.weight", "hidden", "32x32->128x128", "x4", "x4", "x0.5", "x1", "x0.25", "x0.25", "x4", "3",
        "hidden of the hand-written net",
    ]  # fmt: skip
    assert lines[lines.index("why") + 3] == "3: mup hidden; own init x0.5"
    for row in plan.rows:
        assert any(line.startswith(row.name) and row.evidence in line for line in table), row.name


def test_sizes_of_more_dials_are_written_whole():
    plan = mlp_plan(base=32, target=128)
    plan = replace(plan, base={"width": 32, "depth": 4}, target={"width": 128, "depth": 4})
    assert str(plan).startswith("mup, AdamW, width 32 depth 4 -> width 128 depth 4\n")
    assert Plan.from_dict(plan.to_dict()) == plan


@pytest.mark.parametrize("width", [80, 200])
def test_the_rich_table_holds_every_number_and_takes_no_markup(width):
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    console.print(full_plan())
    text = console.export_text()
    assert "[bold]anything" in text
    assert text.index("REFUSED") < text.index("2.weight")
    for word in ("2.weight", "x0.25", "hidden of the hand-written net"):
        assert word in text
    assert "…" not in text
