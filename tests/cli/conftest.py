"""Running the command line inside the test process: exit code, standard output, standard error."""

import json
import sys
import textwrap
from dataclasses import dataclass

import pytest

from similitude.cli.app import main

MODELS = """
    import torch
    from torch import nn
    from similitude.models import GPT
    from similitude.models.resmlp import ResMLP

    def make(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def no_argument():
        return nn.Linear(1, 1)

    def two_arguments(width, depth):
        return nn.Linear(1, 1)

    def no_module(width):
        return [width]

    def deeper(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), *(nn.Linear(10, 10) for _ in range(width // 8)))

    def fixed(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def tied(width):
        return GPT(64, 32, width=width, depth=1, head_dim=8, tie=True)

    class Table(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.pos = nn.Parameter(torch.zeros(3, width))
            self.net = make(width)

        def forward(self, x):
            return self.net(x) + self.pos.mean()

    class Parametrised(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.width = width
            self.net = make(width)

        def forward(self, x):
            return self.net(x) / self.width

    def talkative(width):
        print("I talk on standard output")
        return make(width)

    def nan_loss(model, batch):
        return model(batch[0]).mean() * float("nan")

    def bad_loss(model, batch):
        return model(batch[0], batch[1])

    batch = torch.zeros(2, 64)
    arguments = (batch,)
    tokens = torch.zeros(2, 32, dtype=torch.long)

    def no_input():
        return batch

    def of_width(width):
        return torch.zeros(2, 64)

    def with_default(rows=2):
        return {"input": torch.zeros(rows, 64)}

    def failing_input():
        raise OSError("no such file")

    def mean_loss(model, sample):
        return model(sample).square().mean()

    def dialled(width, depth):
        layers = [nn.Linear(64, width), *(nn.Linear(width, width) for _ in range(depth)), nn.Linear(width, 10)]
        return nn.Sequential(*layers)

    def residual(width, depth):
        return ResMLP(64, 10, width=width, depth=depth, block="act_first")

    a_number = 3
    no_batches = object()

    def failing_batches():
        raise OSError("no such disk")
"""


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON object on standard output, read strictly."""

        def refuse(constant):
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.out, parse_constant=refuse)

    @property
    def message(self):
        """Standard error on one line, without the frames that cyclopts draws."""
        return " ".join(self.err.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run `similitude` with some arguments in an empty folder with a file of models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("SIMILITUDE_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "user_models.py").write_text(textwrap.dedent(MODELS))
    before = set(sys.modules)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err + captured.out
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    yield run
    for name in set(sys.modules) - before:  # the next test has a file of its own under the same name
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def transfer(cli):
    """Run a tiny `similitude transfer`; options given later win over the tiny ones."""

    def run(factory: str = "user_models.py:make", **options: object) -> Ran:
        tiny: dict[str, object] = {
            "data": "digits", "widths": "8,16", "points": 3, "steps": 4, "seeds": 2, "batch_size": 8,
        }  # fmt: skip
        given = {**tiny, **options}
        as_json = given.pop("json", False)
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        return cli("transfer", factory, *arguments, *(["--json"] if as_json else []))

    return run
