"""`similitude transfer --depths`: a study over depth from end to end, and what is wrong with its options."""

import json
from pathlib import Path

import pytest

FACTORY = "similitude.studies.reference:make_resmlp"
OPTIONS = {
    "data": "digits", "depths": "2,4", "base": "8", "depth-rule": "depth_mup", "points": 3, "steps": 3, "seeds": 2,
    "batch-size": 8,
}  # fmt: skip


@pytest.fixture
def over_depth(cli):
    """Run a tiny `similitude transfer --depths`; options given later win, None leaves one out."""

    def run(*more, **options):
        given = {**OPTIONS, **{name.replace("_", "-"): value for name, value in options.items()}}
        arguments = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return cli("transfer", FACTORY, *arguments, *more)

    return run


def test_a_study_over_depth(over_depth, cli):
    ran = over_depth("--json", depth_rule="sp,depth_mup")
    assert "depths 2, 4 at width 8; 3 learning rates" in ran.err
    assert (ran.json["cells_run"], list(ran.json["rules"])) == (18, ["sp", "depth_mup"])
    last = ran.json["rules"]["depth_mup"]
    assert (last["dial"], list(last["optima"])) == ("depth", ["2", "4"])
    assert ran.code == {"transfers": 0, "shifts": 1, "diverged": 1}.get(last["verdict"], 3)
    assert ran.json["plans"]["depth_mup"]["target"] == {"width": 8, "depth": 4}
    assert "Best learning rate against depth" in Path(ran.json["report"]).read_text()
    alone = over_depth("--json", base="width=8")
    assert (alone.json["cells_run"], list(alone.json["rules"])) == (0, ["depth_mup"])
    written = cli("report", "--json", "--figures=drawn")
    assert json.dumps(written.json["experiments"][0]["rules"]) == json.dumps(ran.json["rules"])
    assert "depth" in Path("drawn/make_resmlp-optima.svg").read_text()


def test_the_depth_stays_where_the_width_changes(over_depth):
    ran = over_depth("--json", depths=None, widths="8,16", base="depth=2", depth_rule=None, rules="mup")
    assert ran.json["plans"]["mup"]["target"] == {"width": 16, "depth": 2}
    assert ran.json["settings"]["depth"] == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"base": None}, "the width is not given"),
        ({"depth_rule": None}, "depth_rule is not given"),
        ({"depth_rule": "mup"}, "depth_rule 'mup' is unknown"),
        ({"depth_rule": "0.3"}, "depth_rule=0.3 is outside [0.5, 1]"),
        ({"rules": "mup"}, "are compared over widths"),
        ({"widths": "8,16"}, "one dial changes at a time"),
        ({"depths": "4"}, "there is 1 depth (4), a comparison needs at least 2. Next: --depths 4,8,16"),
        ({"depths": "4,deep"}, "--depths 4,deep: 'deep' is not a whole number"),
        ({"depths": None, "depth_rule": "sp", "base": None}, "has no effect where the width changes"),
        ({"base": "width=8,depth=3"}, "the smallest depth of the study is 2"),
    ],
    ids=str,
)
def test_wrong_options(over_depth, options, text):
    ran = over_depth(**options)
    assert ran.code == 2
    assert text in ran.message
    assert not Path("similitude-runs").exists()
