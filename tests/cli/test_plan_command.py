"""`similitude plan`: the plan of the user's own model, and what is wrong with it."""

from pathlib import Path

import pytest

from similitude.scaling.plan import Plan, plan

SAMPLE = "--sample=user_models.py:batch"


def run(cli, factory="user_models.py:make", *options, base=8, target=32, sample=SAMPLE):
    given = [sample] if sample else []
    return cli("plan", factory, f"--base={base}", f"--target={target}", *given, *options)


def test_the_plan_is_that_of_the_library(cli):
    ran = run(cli, "user_models.py:make", "--json", "--optimizer=Adam", "--save=deep/plan.json")
    assert ran.code == 0
    import torch
    import user_models  # pyright: ignore[reportMissingImports]

    expected = plan(
        user_models.make, base=8, target=32, optimizer=torch.optim.Adam, sample=torch.zeros(2, 64)
    )
    assert ran.json == expected.to_dict()
    assert Plan.load("deep/plan.json") == expected


def test_the_table_names_every_tensor(cli):
    ran = run(cli)
    assert ran.code == 0
    for name in ("1.weight", "1.bias", "3.weight", "3.bias", "input", "vector", "output", "width 8 -> 32"):
        assert name in ran.out


@pytest.mark.parametrize("size", ["8", "width=8", " width = 8 "])
def test_sizes_are_widths_or_dials(cli, size):
    ran = run(cli, "user_models.py:make", "--json", base=size, target="width=32")
    assert (ran.json["base"], ran.json["target"]) == ({"width": 8}, {"width": 32})


@pytest.mark.parametrize(
    "sizes",
    [
        ["--base=width=8,depth=2", "--target=width=32,depth=2"],
        ["--base=8", "--base=depth=2", "--target", "width=32", "--target", "depth=2"],
    ],
)
def test_more_dials_are_given_at_once_or_one_by_one(cli, sizes):
    ran = cli("plan", "user_models.py:dialled", *sizes, SAMPLE, "--json")
    assert (ran.json["base"], ran.json["target"]) == ({"width": 8, "depth": 2}, {"width": 32, "depth": 2})
    assert len(ran.json["rows"]) == 8


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ("64.5", "--base 64.5 gives the width '64.5', which is not a whole number of at least 1"),
        ("abc", "gives the width 'abc', which is not"),
        ("width=", "gives the width no number"),
        ("=64", "names no dial"),
        ("0", "gives the width '0'"),
        ("-8", "gives the width '-8'"),
        ("²", "which is not a whole number"),
        ("8,16", "gives the width twice, 8 and 16"),
        ("8,depth=two", "gives the depth 'two'"),
        ("", "gives the width no number"),
    ],
)
def test_what_is_no_size_is_told(cli, size, text):
    ran = run(cli, base=size)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.message
    assert "--base width=256,depth=4" in ran.message


def test_a_depth_that_differs_needs_a_rule(cli):
    ran = cli("plan", "user_models.py:residual", "--base=8,depth=1", "--target=32,depth=2", SAMPLE)
    assert (ran.code, ran.out) == (2, "")
    assert "the depth differs between base and target (1 -> 2), and depth_rule is not given" in ran.message
    assert "'complete_p'" in ran.message


@pytest.mark.parametrize(
    ("rule", "alpha"), [("complete_p", 1.0), ("0.75", 0.75), ("depth_mup", 0.5), ("sp", None)]
)
def test_depth_rules_have_names_or_are_exponents(cli, rule, alpha):
    sizes = ["--base=width=8,depth=2", "--target=width=32,depth=8", f"--depth-rule={rule}", "--gamma=4"]
    ran = cli("plan", "user_models.py:residual", *sizes, SAMPLE, "--json")
    assert ran.code == 0, ran.message
    assert (ran.json["depth_rule"], ran.json["gamma"]) == (alpha, 4.0)
    (row,) = [row for row in ran.json["rows"] if row["name"] == "blocks.7.linear.weight"]
    assert row["multiplier"] == pytest.approx(1.0 if alpha is None else 4.0**-alpha)


def test_plans_of_depth_are_explained_and_compared(cli):
    sizes = ["--base=8,depth=2", "--target=8,depth=8", SAMPLE]
    for rule in ("complete_p", "depth_mup"):
        assert (
            cli("plan", "user_models.py:residual", *sizes, f"--depth-rule={rule}", f"--save={rule}.json").code
            == 0
        )
    explained = cli("explain", "complete_p.json", "blocks.5.linear.weight")
    assert "carries: residual branch x0.25: (branches over base's)^-1" in " ".join(explained.out.split())
    compared = cli("diff", "complete_p.json", "depth_mup.json")
    assert compared.code == 1
    assert "depth rule" in compared.out
    assert "alpha 1" in compared.out


@pytest.mark.parametrize("gamma", ["0", "-1", "nan"])
def test_what_is_no_richness_is_told(cli, gamma):
    assert "is no richness" in run(cli, "user_models.py:make", f"--gamma={gamma}").message


@pytest.mark.parametrize("sample", ["batch", "arguments", "no_input", "of_width", "with_default"])
def test_samples_are_objects_or_functions(cli, sample):
    assert run(cli, sample=f"--sample=user_models.py:{sample}").code == 0


def test_a_loss_or_a_data_set_is_traced_in_place_of_the_model(cli):
    plain = run(cli, "user_models.py:make", "--json").json["rows"]
    by_loss = run(cli, "user_models.py:make", "--json", "--loss=user_models.py:mean_loss")
    by_data = run(cli, "user_models.py:make", "--json", sample="--data=digits")
    assert (by_loss.code, by_data.code) == (0, 0)
    for other in (by_loss, by_data):
        assert [(r["name"], r["role"], r["lr"]) for r in other.json["rows"]] == [
            (r["name"], r["role"], r["lr"]) for r in plain
        ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "nothing says what the model is called with. Give --sample module:name"),
        (["--sample=user_models.py:batch", "--data=digits"], "both say what the model is traced with"),
        (["--sample=user_models.py:a_number"], "--sample user_models.py:a_number is a int. Name a tensor"),
        (["--sample=user_models.py:bathc"], "Did you mean user_models.py:batch"),
        (
            ["--sample=user_models.py:failing_input"],
            "user_models.py:failing_input() failed with OSError: no such file",
        ),
        (["--data=digit"], "digits"),
        (
            ["--sample=user_models.py:batch", "--loss=user_models.py:a_number"],
            "a function loss(model, batch)",
        ),
    ],
)
def test_what_is_traced_must_be_given_once(cli, options, text):
    ran = run(cli, "user_models.py:make", *options, sample=None)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.message


@pytest.mark.parametrize(
    ("options", "knobs", "lr"),
    [
        (["--knob.head", "0.5"], {"output": {"multiplier": 0.5}}, 0.125),
        (["--knob", "head=0.5"], {"output": {"multiplier": 0.5}}, 0.125),
        (["--knob.output.lr=2", "--knob.output.init=3"], {"output": {"lr": 2.0, "init": 3.0}}, 0.5),
        (["--knob.head.init", "0"], {"output": {"init": 0.0}}, 0.25),
    ],
)
def test_knobs_by_role_and_part(cli, options, knobs, lr):
    ran = run(cli, "user_models.py:make", "--json", *options)
    assert ran.code == 0
    named = {role: {k: v for k, v in parts.items() if v != 1.0} for role, parts in ran.json["knobs"].items()}
    assert named == knobs
    assert {row["name"]: row["lr"] for row in ran.json["rows"]}["3.weight"] == lr


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--knob.heads=0.5", "Did you mean 'head'"),
        ("--knob.head=-1", "must be a positive number"),
        ("--knob.head=half", "--knob.head half is not a number"),
        ("--knob=0.5", "names no role"),
        ("--knob.head.lr=0", "must be a positive number"),
        ("--knob.query.init=0", "the forward pass has no attention"),
        ("--knob.embedding=2", "no tensor of the model has it"),
    ],
)
def test_wrong_knobs_are_told(cli, option, text):
    ran = run(cli, "user_models.py:make", option)
    assert ran.code == 2
    assert text in ran.message


def test_the_kind_of_weight_decay(cli):
    ran = run(cli, "user_models.py:make", "--json", "--weight-decay", "decoupled", "--save=decoupled.json")
    assert (ran.code, ran.json["weight_decay"]) == (0, "decoupled")
    assert {row["weight_decay"] for row in ran.json["rows"]} == {1.0}
    assert Plan.load("decoupled.json").weight_decay == "decoupled"
    assert "decoupled weight decay" in run(cli, "user_models.py:make", "--weight-decay=decoupled").out
    assert run(cli, "user_models.py:make", "--json").json["weight_decay"] == "independent"
    assert run(cli, "user_models.py:make", "--weight-decay=0.1").code == 2


def test_a_refused_tensor_is_a_bad_verdict_until_its_role_is_named(cli):
    refused = run(cli, "user_models.py:Parametrised", "--json", "--save=refused.json")
    assert refused.code == 1
    assert [r["name"] for r in refused.json["refused"]] == ["net.3.weight"]
    assert Plan.load("refused.json").refused
    named = run(cli, "user_models.py:Parametrised", "--role.net.3.weight", "output", "--json")
    assert named.code == 0
    assert {row["name"]: row["role"] for row in named.json["rows"]}["net.3.weight"] == "output"


@pytest.mark.parametrize(
    ("factory", "options", "text"),
    [
        ("nosuch:make", [], "there is no module 'nosuch'"),
        ("nosuch.py:make", [], "there is no file 'nosuch.py'"),
        ("user_models.py:maker", [], "Did you mean user_models.py:make?"),
        ("user_models.py:no_argument", [], "make must take the width"),
        ("user_models.py:two_arguments", [], "'depth'"),
        ("user_models.py:no_module", [], "returned a list, not an nn.Module"),
        ("user_models.py:deeper", [], "so their depth differs"),
        ("user_models.py:fixed", [], "have the same shapes"),
        ("user_models.py:make", ["--optimizer=Adamax9"], "torch.optim has no optimizer 'Adamax9'"),
        ("user_models.py:make", ["--role.nosuch=input"], "nosuch"),
        ("user_models.py:make", ["--role.1.weight=middle"], "middle"),
        ("user_models.py:make", ["--save=user_models.py/plan.json"], "the plan cannot be written to"),
    ],
)
def test_wrong_use(cli, factory, options, text):
    ran = run(cli, factory, *options)
    assert ran.code == 2
    assert text in ran.message


def test_nothing_is_written_unasked(cli):
    run(cli)
    assert {p.name for p in Path().iterdir()} <= {"user_models.py", "__pycache__"}
