"""`similitude gamma`: table, exit code, report, JSON, and what it says when it is used wrongly."""

import pytest

GIVEN = {"--data": "digits", "--base": "8", "--steps": "4", "--seeds": "2", "--batch-size": "16"}
GRID = ["--gammas=0.1,1,10", "--lr-min=2^-6", "--lr-max=2^2", "--points=5"]


@pytest.fixture
def gamma(cli):
    """Run a tiny `similitude gamma`; options given to it win over the tiny ones."""

    def run(*options):
        named = {option.partition("=")[0] for option in options}
        tiny = [f"{name}={value}" for name, value in GIVEN.items() if name not in named]
        return cli("gamma", "user_models.py:make", *tiny, *options)

    return run


def test_it_prints_the_table_and_leaves_a_report(gamma, tmp_path):
    ran = gamma(*GRID)
    assert ran.code in (0, 3)
    assert "largest stable lr" in ran.out
    assert ran.out.index("law of learning rates") < ran.out.index("best gamma")
    page = (tmp_path / "similitude-runs" / "gamma.html").read_text()
    assert "<svg" in page
    assert "Every loss at gamma 10" in page
    again = gamma(*GRID)
    assert "30 found, 0 run" in again.out


def test_json_is_one_object_that_agrees_with_the_exit_code(gamma):
    ran = gamma(*GRID, "--json", "--report=here.html")
    data = ran.json
    assert [p["gamma"] for p in data["points"]] == [0.1, 1.0, 10.0]
    assert data["layers"] == 2
    assert data["report"].endswith("here.html")
    assert data["law"]["outcome"] == "cannot_tell"
    assert (ran.code == 0) == data["best"]["verdict"]["ok"]


def test_rates_are_searched_by_default(gamma):
    data = gamma("--gammas=0.01,100", "--json", "--seeds=1").json
    lazy, rich = (point["curve"]["lrs"] for point in data["points"])
    assert lazy[0] < 2**-8
    assert rich[-1] > 2**2
    assert len(data["exponents"]) > 0 or any(None in point["largest_stable_lrs"] for point in data["points"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gammas=1"], "compares at least two"),
        (["--gammas=0,1"], "--gammas 0 is not a positive gamma"),
        (["--lr-min=0.1"], "--lr-max is missing"),
        (["--steps=0"], "--steps 0 is too small"),
        (["--base=wide"], "--base wide gives the width 'wide'"),
    ],
)
def test_wrong_use_leaves_with_2(gamma, options, message):
    ran = gamma(*options)
    assert ran.code == 2
    assert message in ran.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers=0"], "layers=0"),
        (["--optimizer=Muon"], "Muon takes matrices alone"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_stored(gamma, tmp_path, options, message):
    ran = gamma(*GRID, *options)
    assert ran.code == 2
    assert message in ran.message
    assert not (tmp_path / "similitude-runs").exists()


def test_help_says_the_exit_codes(cli):
    said = " ".join(cli("gamma", "--help").out.split())
    assert "The exit code is 1 where rates do not follow the law" in said
    assert "The exit code" not in cli("--help").out
