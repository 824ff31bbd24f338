"""Rules of one's own: who sees them, what is refused, and that they can be taken back."""

import pytest
import torch
from torch import nn

import similitude as sim
from similitude.checking.expected import Promise, exponent
from similitude.core.errors import PlanError, RoleError
from similitude.scaling.plan import Planner
from similitude.scaling.rules import KERNEL, ROLES, TABLE, factors
from similitude.studies.dials import compared

CELL = TABLE["mup"]["output"]
HALF = sim.Cell(sim.Power(-1, 0), sim.Power(-0.5, 0), sim.Power(-0.5, 0), sim.Power(), eps=sim.Power())
X = torch.zeros(4, 8)


def make(width):
    return nn.Sequential(
        nn.Linear(8, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 3)
    )


def planned(rule):
    return sim.plan(make, base=8, target=32, sample=X, rule=rule)


def test_plans_studies_and_explanations_see_a_registered_rule():
    with sim.register_rule("half", {"output": HALF}, like="mup"):
        rows = {row.name: row for row in planned("half").rows}
        assert rows["4.weight"].lr == 0.5  # (32 / 8)^-1/2
        assert {n: r.lr for n, r in rows.items() if n != "4.weight"} == {
            row.name: row.lr for row in planned("mup").rows if row.name != "4.weight"
        }
        assert "half, output, entrywise: r_in^-0.5 = 4^-0.5" in str(planned("half").explain("4.weight"))
        assert list(compared("width", ["half"], None)) == ["half"]
        again = Planner(make, base=8, sample=X, rule="mup").plan(32, rule="half")
        assert again == planned("half")


def test_a_saved_plan_is_read_where_its_rule_is_registered(tmp_path):
    with sim.register_rule("half", {"output": HALF}, like="mup"):
        plan = planned("half")
        path = plan.save(tmp_path / "plan.json")
        assert sim.Plan.load(path) == plan
    with pytest.raises(PlanError, match=r"has rule 'half', but it must be one of mup, .*register_rule"):
        sim.Plan.load(path)


def test_the_command_line_knows_what_the_factory_s_module_registers(tmp_path, monkeypatch, capsys):
    from similitude.cli.app import app

    (tmp_path / "theirs.py").write_text(
        "import torch\nimport similitude as sim\n"
        "ONE = sim.Power()\n"
        'sim.register_rule("theirs", {"output": sim.Cell(ONE, ONE, ONE, ONE, eps=ONE)}, like="mup", replace=True)\n'
        "def make(width):\n"
        "    return torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Linear(width, 3))\n"
        "def sample():\n"
        "    return torch.zeros(4, 8)\n"
    )
    monkeypatch.chdir(tmp_path)
    words = "plan theirs.py:make --base 8 --target 32 --sample theirs.py:sample --rule theirs --json"
    try:
        code = app(words.split(), result_action="return_value")
    finally:
        TABLE.pop("theirs", None)
    assert code == 0
    assert '"rule": "theirs"' in capsys.readouterr().out


def test_the_regime_decides_what_a_check_promises():
    wide = {"quantity": "change", "role": "hidden", "carries": Promise(), "tied": False, "by_name": False}
    with sim.register_rule("lazy", TABLE["ntp"], regime="kernel"):
        assert exponent("lazy", **wide) == exponent("ntp", **wide) == -0.5
        with sim.register_rule("lazy", TABLE["ntp"], replace=True):
            assert exponent("lazy", **wide) == 0.0
        assert exponent("lazy", **wide) == -0.5
    assert "lazy" not in KERNEL


def test_a_whole_table_needs_no_other_rule_and_finite_tensors_none():
    cells = {role: HALF for role in ROLES if role != "finite"}
    with sim.register_rule("whole", cells) as handle:
        assert factors("whole", "finite", "sgd", r_in=1, r_out=1).lr == 1.0
        handle.remove()
        with pytest.raises(
            PlanError, match=r"rule 'whole' is unknown. Choose one of 'mup', .*similitude.register_rule"
        ):
            planned("whole")
        handle.remove()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (("mup", {}), {"like": "sp", "replace": True}, PlanError, "rule 'mup' is one of similitude's own"),
        (("", {}), {"like": "mup"}, PlanError, "'' cannot be the name of a rule"),
        ((3, {}), {"like": "mup"}, PlanError, "3 cannot be the name of a rule"),
        (("new", {}), {"like": "mupp"}, PlanError, "like='mupp' is no rule. Choose one of 'mup'"),
        (("new", {}), {"like": "mup", "regime": "lazy"}, PlanError, "regime='lazy' is unknown. Choose one of 'features'"),
        (("new", {"head": CELL}), {"like": "mup"}, RoleError, "a cell for the role 'head', which does not exist"),
        (("new", {"output": 0.5}), {"like": "mup"}, PlanError, "gives a float for the role 'output'. Pass a Cell"),
        (("new", {"output": CELL}), {}, PlanError, "has no cell for input, lookup, vector, hidden, bottleneck"),
        (
            ("new", {"output": sim.Cell(sim.Power(), -1, sim.Power(), sim.Power(), eps=sim.Power())}),
            {"like": "mup"}, PlanError, "role 'output': sgd is -1, which is no power of the ratios",
        ),
        (
            ("new", {"output": sim.Cell(sim.Power(float("nan")), *[sim.Power()] * 3, eps=sim.Power())}),
            {"like": "mup"}, PlanError, "role 'output': init is Power",
        ),
        (
            ("new", {"output": sim.Cell(None, sim.Power(-1), *[sim.Power()] * 2, eps=sim.Power())}),
            {"like": "mup"}, PlanError, "init=None leaves a tensor as the user wrote it, but other powers",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_registered_is_told(arguments, options, error, text):
    before = dict(TABLE)
    with pytest.raises(error) as raised:
        sim.register_rule(*arguments, **options)
    assert text in str(raised.value)
    assert before == TABLE


def test_a_name_is_given_once():
    with sim.register_rule("half", {"output": HALF}, like="mup"):
        with pytest.raises(PlanError, match="rule 'half' is registered already"):
            sim.register_rule("half", {}, like="mup")
        with sim.register_rule("half", {}, like="mup", replace=True):
            assert TABLE["half"]["output"] == CELL
        assert TABLE["half"]["output"] == HALF
    assert "half" not in TABLE
