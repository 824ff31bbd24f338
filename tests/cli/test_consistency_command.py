"""`similitude consistency`: tables, exit code, report, JSON, and what it says when it is used wrongly."""

import pytest

GIVEN = {
    "--data": "digits",
    "--widths": "8,12,16",
    "--steps": "4",
    "--every": "1",
    "--seeds": "1",
    "--examples": "16",
    "--lr": "0.1",
    "--top": "2",
    "--windows": "0-0,0.5-1",
    "--workers": "1",
}


@pytest.fixture
def consistency(cli):
    """Run a tiny `similitude consistency`; options given to it win over the tiny ones."""

    def run(*options, factory="user_models.py:make"):
        named = {option.partition("=")[0] for option in options}
        tiny = [f"{name}={value}" for name, value in GIVEN.items() if name not in named]
        if "--depths" in named:
            tiny = [option for option in tiny if not option.startswith("--widths")]
        return cli("consistency", factory, *tiny, *options)

    return run


def test_it_prints_both_rules_and_leaves_a_report(consistency, tmp_path):
    ran = consistency()
    assert ran.code == 3  # one seed
    assert ran.out.index("µP  cannot tell") < ran.out.index("NTP  ")
    assert "learning rate 0.1, as given" in ran.out
    assert "spread of 12-16" in " ".join(ran.out.split())
    assert "next: --seeds 3" in ran.out
    page = (tmp_path / "similitude-runs" / "consistency.html").read_text()
    assert "Sharpness against time" in page
    assert "5 runs, 5 found, 0 run" in consistency().out


def test_json_has_spreads_distances_and_verdict_of_every_rule(consistency):
    ran = consistency("--json", "--rules=ntp", "--report=here.html")
    data = ran.json
    assert list(data["rules"]) == ["ntp"]
    rule = data["rules"]["ntp"]
    assert [spread["window"] for spread in rule["spreads"]] == [[0, 0], [2, 4]]
    assert all(spread["spread"] >= 0 for spread in rule["spreads"])
    assert set(rule["sharpness_distances"][1]["distances"]) == {"8", "12"}
    assert set(rule["loss_distances"][1]["distances"]) == {"8", "12"}
    assert rule["verdict"] == data["verdict"] == "cannot_tell"
    assert rule["threshold"] == 2
    assert data["report"].endswith("here.html")
    assert data["settings"]["loss"].endswith("squared_error_of_classes")
    assert data["learning_rate"]["lr"] == 0.1


def test_minibatches_train_and_the_examples_are_the_probe(consistency):
    data = consistency("--json", "--batch-size=4", "--rules=mup").json
    assert data["settings"]["full batch"] is False
    assert data["settings"]["batch_size"] == 4
    assert "probe" in data["settings"]


def test_depths_take_depth_rules_and_the_first_is_the_verdict(consistency):
    ran = consistency(
        "--json",
        "--depths=2,4,8",
        "--base=8",
        "--depth-rules=depth_mup,sp",
        factory="user_models.py:residual",
    )
    data = ran.json
    assert list(data["rules"]) == ["depth_mup", "sp"]
    assert data["rules"]["sp"]["dial"] == "depth"
    assert data["verdict"] == data["rules"]["depth_mup"]["verdict"]


def test_texts_are_learned_by_cross_entropy(consistency):
    data = consistency(
        "--json", "--data=text", "--context=8", "--examples=2", "--widths=16,32", "--steps=1", "--windows=0-1",
        "--optimizer=AdamW", "--rules=mup", "--top=1", factory="similitude.studies.consistency_nets:make_gpt",
    ).json  # fmt: skip
    assert data["settings"]["loss"].endswith("cross_entropy")
    assert data["rules"]["mup"]["threshold"] == pytest.approx(38, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--windows=a-b"], "--windows a-b: 'a-b' is no part of a run"),
        (["--windows=0.9-0.1"], "0.9-0.1 is no part of a run"),
        (["--lr=-1"], "--lr -1 is not a positive learning rate"),
        (["--examples=0"], "--examples 0 is too small"),
        (["--examples=999999"], "999999 different images were asked for"),
        (["--top=999999"], "top=999999 eigenvalues were asked for, and the model of width 8 has"),
        (["--workers=0"], "--workers 0 is too small"),
        (["--every=0"], "--every 0 is too small"),
        (["--widths=8"], "there is 1 width"),
        (["--depths=2,4"], "the width is not given"),
    ],
)
def test_wrong_use_leaves_with_2(consistency, options, message):
    ran = consistency(*options)
    assert ran.code == 2
    assert message in ran.message


def test_help_says_the_exit_codes(cli):
    said = " ".join(cli("consistency", "--help").out.split())
    assert "The exit code is that of the first rule's verdict" in said
