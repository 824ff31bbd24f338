"""Names of functions and objects: without addresses, equal in every process, different where results may be."""

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from similitude.studies.names import code_of, name_of
from similitude.training.schedule import WarmupCosine
from tests.cases import tiny_experiment, toy_mlp

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Family:
    depth: int
    activation: object = torch.relu

    def make(self, width: int):
        return toy_mlp(width)


class Silent:
    def __call__(self, width: int):
        return toy_mlp(width)


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (toy_mlp, "tests.cases.toy_mlp"),
        (torch.nn.ReLU, "torch.nn.modules.activation.ReLU"),
        (functools.partial(toy_mlp, classes=3), "tests.cases.toy_mlp(classes=3)"),
        (functools.partial(toy_mlp, 8, f=torch.nn.ReLU), "tests.cases.toy_mlp(8, f=torch.nn.modules.activation.ReLU)"),
        (functools.partial(toy_mlp, tags={"b", "a"}), "tests.cases.toy_mlp(tags={'a', 'b'})"),
        (functools.partial(toy_mlp, f=[toy_mlp, {"k": 1.5}]), "tests.cases.toy_mlp(f=[tests.cases.toy_mlp, {'k': 1.5}])"),
        (WarmupCosine(10, 2), "WarmupCosine(steps=10, warmup=2, final=0.0)"),
        (len, "len"),
        (None, "None"),
        ("text", "'text'"),
        (torch.float32, "torch.float32"),
    ],
)  # fmt: skip
def test_names(thing, name):
    assert name_of(thing) == name


def test_no_name_has_an_address():
    for thing in (
        Silent(),
        Family(2, Silent()),
        Family(2).make,
        lambda width: None,
        functools.partial(Silent()),
    ):
        assert " at 0x" not in name_of(thing)
        assert "0x" not in name_of(thing)


def test_options_of_bound_methods_count():
    assert name_of(Family(2).make) != name_of(Family(3).make)
    assert name_of(Family(2).make).endswith(".make")


def test_a_fingerprint_is_the_same_in_every_process():
    program = (
        "import functools, json; from tests.cases import tiny_experiment, toy_mlp\n"
        "print(json.dumps(tiny_experiment(make=functools.partial(toy_mlp, classes=4)).fingerprint()))"
    )
    import json

    mine = tiny_experiment(make=functools.partial(toy_mlp, classes=4)).fingerprint()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == json.loads(json.dumps(mine))


def test_a_script_has_its_files_name_however_it_is_started(tmp_path):
    script = tmp_path / "my_models.py"
    script.write_text(
        "from similitude.studies.names import code_of, name_of\ndef make(width): ...\n"
        "if __name__ == '__main__':\n    print(name_of(make))\n"
    )
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "my_models.make"


def test_code_tells_an_edited_model_from_the_one_before():
    def one(width):
        return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU())

    def other(width):
        return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Tanh())

    assert code_of(one, one(8)) == code_of(functools.partial(one), one(8))
    assert code_of(one, one(8)) != code_of(other, other(8))
    assert "class" not in code_of(len, one(8))
