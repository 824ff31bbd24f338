"""`similitude tune family`: the tuned knobs, their verification, the groups of the target, and wrong use."""

import similitude as sim
from similitude.scaling.plan import Plan
from similitude.studies.base_knobs import settings_of

TINY = {
    "--data": "digits", "--widths": "8,16", "--target": "32", "--steps": "3", "--seeds": "2", "--trials": "3",
    "--points": "5", "--batch-size": "8", "--optimizer": "Adam", "--verify": "lr",
}  # fmt: skip


def run(cli, *options):
    named = {option.partition("=")[0] for option in options}
    tiny = [f"{name}={value}" for name, value in TINY.items() if name not in named]
    return cli("tune", "family", "user_models.py:make", *tiny, *options)


def test_from_end_to_end(cli, tmp_path):
    ran = run(cli, "--save=plan.json")
    assert ran.code in (0, 1, 3)
    assert "make-family: µP from width 8 to width 32" in ran.out
    assert "What to use at width 32" in ran.out
    assert "output.multiplier" in ran.out
    assert "not verified" in ran.out
    assert "in Python: plan.apply_(model); Adam(plan.groups(model, lr=" in ran.out
    plan = Plan.load(tmp_path / "plan.json")
    data = run(cli, "--json").json
    assert data["plan"] == plan.to_dict()
    tuned = settings_of(data["values"])
    assert plan.knobs["output"]["multiplier"] == tuned.knobs["output"]["multiplier"]
    assert plan.target == {"width": 32}
    assert {check["name"] for check in data["checks"]} == {"lr"}
    assert [check["width"] for check in data["checks"]] == [8, 16]


def test_a_space_from_a_file(cli, tmp_path):
    (tmp_path / "space.toml").write_text(
        '[lr]\nkind = "log"\ncenter = 0.01\n\n["head.lr"]\nkind = "log"\ncenter = 1.0\n'
    )
    data = run(cli, "--space=space.toml", "--trials=2", "--json").json
    assert set(data["values"]) == {"lr", "head.lr"}
    assert sim.Plan.from_dict(data["plan"]).knobs["output"]["lr"] == data["values"]["head.lr"]


def test_wrong_use_says_what_to_do(cli, tmp_path):
    (tmp_path / "wrong.toml").write_text('[width]\nkind = "log"\ncenter = 64\n')
    for options, text in (
        (["--verify=wd"], "check names 'wd', which is not tuned: the space has lr, output.multiplier"),
        (["--widths=8"], "a comparison needs at least 2"),
        (["--points=4"], "Give an odd number of at least 5"),
        (["--trials=0"], "--trials 0 is too small"),
        (["--space=wrong.toml"], "no 'lr': the learning rate of the base"),
        (["--target=width=32,depth=2"], "do not name the same dials"),
        (["--rule=mupp"], "mupp"),
    ):
        ran = run(cli, *options)
        assert ran.code == 2, options
        assert text in ran.message, ran.message
    assert not (tmp_path / "similitude-runs").exists()
