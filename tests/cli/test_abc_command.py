"""`similitude abc`: where a model lies, as by the library; its files, exit codes and wrong use."""

import json

import pytest
import torch
from torch import nn

import similitude as sim


def make(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


COMMAND = ("abc", "user_models.py:make", "--base=8", "--sample=user_models.py:batch")


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ([], "unstable", 1),
        (["--rule=mup", "--target=32"], "feature learning", 0),
        (["--optimizer=SGD"], "unstable", 1),
    ],
)
def test_it_says_what_the_library_says(cli, options, kind, code):
    ran = cli(*COMMAND, *options)
    assert ran.code == code
    assert f"{kind}: " in ran.out
    assert "output 0" in " ".join(ran.out.split())
    data = cli(*COMMAND, *options, "--json").json
    arguments = dict(option.removeprefix("--").split("=") for option in options)
    found = sim.abc(
        make,
        base=8,
        sample=torch.zeros(2, 64),
        rule=arguments.get("rule", "sp"),
        optimizer=torch.optim.SGD if "optimizer" in arguments else torch.optim.AdamW,
    )
    assert data == json.loads(json.dumps(found.to_dict()))


def test_it_writes_the_map_and_the_page(cli, tmp_path):
    ran = cli(*COMMAND, "--figures=figures", "--html=page.html")
    assert (tmp_path / "figures" / "as-written--AdamW-map.svg").is_file()
    assert "as written, AdamW" in (tmp_path / "page.html").read_text()
    assert "Figure: " in ran.out
    assert "Page: " in ran.out


def test_a_role_may_be_given(cli):
    data = cli(*COMMAND, "--role.3.weight=bottleneck", "--json").json
    assert "output" not in {layer["role"] for layer in data["layers"]}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--target=8"], "both widths are the same"),
        (["--rule=mupp"], "mupp"),
        (["--optimizer=Adan"], "torch.optim has no optimizer 'Adan'"),
    ],
)
def test_wrong_use(cli, options, text):
    ran = cli(*COMMAND, *options)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.message


def test_a_sample_is_needed(cli):
    ran = cli("abc", "user_models.py:make", "--base=8")
    assert ran.code == 2
    assert "Give --sample module:name" in ran.message


def test_a_smaller_target_tells_the_same(cli):
    larger, smaller = (cli(*COMMAND, f"--target={width}", "--json").json for width in (32, 2))
    assert larger["layers"] == smaller["layers"]


@pytest.mark.parametrize("command", ["abc", "diversity"])
def test_a_dial_that_is_not_given_is_named(cli, command):
    ran = cli(command, "user_models.py:dialled", "--base=8", "--sample=user_models.py:batch")
    assert ran.code == 2
    assert "make also takes depth: name it in the size" in ran.message
    assert "--base width=8,depth=4" in ran.message
