"""The doctor's table: marks, reasons and places, whole at 80 columns."""

import io

import pytest
from rich.console import Console

from similitude.core.verdict import Outcome, Verdict
from similitude.landscape.doctor_records import Doctor, Finding, Operation, Reference
from similitude.report.doctor_table import doctor_table, facts, size_of

ATTENTION = "aten::_scaled_dot_product_flash_attention_for_cpu"
MODULES = tuple(f"blocks.{i}.attention" for i in range(6))
MISSING = f"RuntimeError: derivative for {ATTENTION}_backward is not implemented"


def examined(**changes):
    given = {
        "operations": (Operation(ATTENTION, 6, MODULES, True), Operation("aten::arange", 1, ("",), False)),
        "reference": Reference("finite differences", 6e-11, 7e-6, "float64", False),
        "findings": (
            Finding("curvature", "float64", "ok", 2e-11, written_out=True),
            Finding("curvature", "float32", "ok", 2e-7, written_out=True),
            Finding("vjp_grad", "float64", "fails", None, MISSING, ATTENTION, MODULES),
            Finding("vjp_grad", "float64", "ok", 2e-11, written_out=True),
            Finding("grad_jvp", "float64", "wrong", 0.17, "", "aten::native_layer_norm", ("norm",)),
            Finding("linearize", "float64", "fails", None, "the process was ended by SIGSEGV"),
        ),
        "probes": (
            Finding("vjp_grad", "float64", "fails", None, MISSING, ATTENTION, MODULES),
            Finding("grad_jvp", "float64", "wrong", 0.2, "", "aten::native_layer_norm", ("norm",)),
            Finding("grad_jvp", "float64", "ok", 1e-11, "", "aten::addmm", ("head",)),
        ),
        "symmetry": 3e-16,
        "graph_bytes": 18_092,
        "buffers": (),
        "random": False,
        "dim": 1_234_567,
        "examples": 3,
        "dtype": "float32",
        "verdict": Verdict(Outcome.OK, "right", next="do not use grad_jvp"),
        "notes": ("a note",),
    }
    return Doctor(**{**given, **changes})


def shown(doctor, width):
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(doctor_table(doctor))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_is_whole(width):
    text = shown(examined(), width)
    assert all(len(line) <= width for line in text.splitlines())
    joined = "".join(text.split())
    for part in (
        "1,234,567 parameters in float32, 3 examples",
        "do not use grad_jvp",
        "WRONG by 0.17",
        "ended by SIGSEGV",
        "'blocks.2.attention' and 3 more",
        "note: a note",
        "17.7 KiB",
        ATTENTION,
    ):
        assert "".join(part.split()) in joined
    assert "aten::addmm" not in text  # operations that break nothing are not listed


def test_rows_are_one_per_route_and_way():
    lines = [line.split() for line in shown(examined(), 160).splitlines()]
    (ours,) = (line for line in lines if line[:2] == ["curvature", "(ours)"])
    assert ours[2:6] == ["ok,", "2e-11", "ok,", "2e-07"]
    (again,) = (line for line in lines if line[:3] == ["fused", "written", "out"])
    assert again[3:] == ["ok,", "2e-11"]


def test_facts_say_what_there_is():
    assert list(facts(examined()))[-1] == "2 operations in a forward pass, 1 of them with gradients"
    less = examined(
        symmetry=None, graph_bytes=None, reference=Reference("routes", 0.0, 1e-9, "float64", True)
    )
    assert len(list(facts(less))) == 1


def test_sizes_have_units():
    assert [size_of(n) for n in (0, 1023, 1024, 2**20, 5 * 2**30, 3 * 2**41)] == [
        "0 B", "1023 B", "1.0 KiB", "1.0 MiB", "5.0 GiB", "6144.0 GiB",
    ]  # fmt: skip
