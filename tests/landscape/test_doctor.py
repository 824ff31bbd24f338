"""The doctor on models with planted faults: what is wrong is found and named, what is right is not blamed."""

import json
import os
import signal

import pytest
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

import similitude as sim
from similitude.core.errors import BadVerdictError, CurvatureError
from similitude.core.verdict import Outcome
from similitude.landscape import doctor as doctor_module
from similitude.landscape.doctor import doctor
from similitude.landscape.doctor_process import can_fork
from similitude.landscape.doctor_records import Doctor

forks = pytest.mark.skipif(not can_fork(), reason="this process cannot be copied")
X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3
BATCH = (X, Y)


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def net(*inner, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), *inner, nn.Linear(5, 3))


class Apply(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Cube(torch.autograd.Function):
    """x^3 whose backward pass is marked, so that PyTorch takes its gradient for a constant."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return 3 * grad * ctx.saved_tensors[0] ** 2


class Hidden(Cube):
    """x^3 whose backward pass hides from autograd what it depends on."""

    @staticmethod
    def backward(ctx, grad):
        return 3 * grad * ctx.saved_tensors[0].detach() ** 2


class Forward(torch.autograd.Function):
    """tanh with a derivative of forward mode of one's own: the base of planted faults."""

    @staticmethod
    def forward(x):
        return x.tanh()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        return grad / ctx.saved_tensors[0].cosh() ** 2


class Slanted(Forward):
    @staticmethod
    def jvp(ctx, tangent):
        return 1.1 * tangent / ctx.saved_tensors[0].cosh() ** 2


class Deadly(Forward):
    @staticmethod
    def jvp(ctx, tangent):
        os.kill(os.getpid(), signal.SIGSEGV)


# ---------------------------------------------------------------------- right


def test_a_smooth_model_is_right_on_every_other_route():
    found = doctor(net(nn.Tanh()), loss, BATCH, routes=["double_backward", "vjp_grad", "grad_jvp", "dual"])
    assert found.verdict.outcome == Outcome.OK
    assert found.verdict.exit_code == 0
    assert {f.result for f in found.findings} == {"ok"}
    assert found.finding("curvature").error < 1e-8
    assert found.finding("curvature", "float32").error < 1e-4
    assert found.symmetry < 1e-12
    assert found.probes == ()
    assert (found.dim, found.examples, found.dtype) == (43, 12, "float32")
    assert found.graph_bytes > 12 * 5 * 4
    found.raise_if_bad()


def test_operations_are_listed_by_module():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net(nn.Tanh())

        def forward(self, x):
            return self.inner(x) + self.inner(x.tanh())

    found = doctor(Twice(), loss, BATCH, routes=[])
    by_name = {operation.name: operation for operation in found.operations}
    assert by_name["aten::tanh"].modules == ("inner.1", "")
    assert by_name["aten::tanh"].count == 3
    assert by_name["aten::addmm"].modules == ("inner.0", "inner.2")
    assert by_name["aten::addmm"].count == 4
    assert by_name["aten::_log_softmax"].modules == ("",)
    assert by_name["aten::addmm"].differentiated
    assert not by_name["aten::detach"].differentiated
    assert not any(operation.custom for operation in found.operations)


def test_fused_attention_is_ours_alone_to_differentiate_or_torch_has_mended_it():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.qkv = nn.Linear(8, 24)

        def forward(self, x):
            q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4)
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    found = doctor(Attention(), lambda m, b: m(b).square().sum(), x, routes=["double_backward"])
    assert found.verdict.ok
    plain = found.finding("double_backward")
    if plain.result == "fails":
        assert "scaled_dot_product" in plain.operation
        assert [f.result for f in found.findings if f.written_out and f.route == "double_backward"] == ["ok"]


def test_batch_statistics_and_dropout_are_noted_and_left_alone():
    model = net(nn.BatchNorm1d(5), nn.Dropout(0.4))
    before = {name: b.clone() for name, b in model.state_dict().items()}
    state = torch.get_rng_state()
    found = doctor(model, loss, BATCH, routes=["vjp_grad"])
    assert {f.result for f in found.findings} == {"ok"}
    assert found.buffers == ("1.running_mean", "1.running_var", "1.num_batches_tracked")
    assert found.random
    assert any("'1.running_mean'" in note for note in found.notes)
    assert any("one fixed draw" in note for note in found.notes)
    assert all(torch.equal(b, model.state_dict()[name]) for name, b in before.items())
    assert all(p.dtype == torch.float32 and p.grad is None for p in model.parameters())
    assert torch.equal(state, torch.get_rng_state())
    assert model.training


def test_a_module_that_is_used_twice_is_right_on_routes_that_substitute():
    shared = nn.Linear(5, 5)
    found = doctor(net(shared, nn.Tanh(), shared), loss, BATCH, routes=["vjp_grad", "finite_differences"])
    assert found.finding("vjp_grad").result == "ok"
    assert found.finding("finite_differences").result == "ok"


# ---------------------------------------------------------------------- wrong, and named


def test_a_wrong_derivative_of_forward_mode_is_named():
    model = net(Apply(Slanted.apply))
    found = doctor(model, loss, BATCH, routes=["grad_jvp", "vjp_grad"])
    assert found.verdict.ok
    assert "do not use grad_jvp" in found.verdict.next
    assert found.finding("vjp_grad").result == "ok"
    wrong = found.finding("grad_jvp")
    assert (wrong.result, wrong.operation, wrong.modules) == ("wrong", "Slanted", ("1",))
    assert 1e-3 < wrong.error < 1
    assert [f.operation for f in found.blamed("grad_jvp")] == ["Slanted"]


@forks
def test_a_crash_is_survived_and_named():
    found = doctor(net(Apply(Deadly.apply)), loss, BATCH, routes=["grad_jvp"])
    assert found.verdict.ok
    dead = found.finding("grad_jvp")
    assert (dead.result, dead.reason) == ("fails", "the process was ended by SIGSEGV")
    assert (dead.operation, dead.modules) == ("Deadly", ("1",))
    others = [f for f in found.probes if f.operation != "Deadly"]
    assert {f.operation for f in others} >= {
        "aten::addmm",
        "aten::_log_softmax",
    }  # it went on behind the crash
    assert {f.result for f in others} == {"ok"}


@forks
def test_a_route_without_end_is_given_up():
    class Slow(Forward):
        @staticmethod
        def jvp(ctx, tangent):
            while True:
                pass

    found = doctor(net(Apply(Slow.apply)), loss, BATCH, routes=["grad_jvp"], timeout=4)
    assert found.finding("grad_jvp").reason == "it did not end within 4 s"
    assert found.probes == ()


def test_a_marked_backward_pass_is_named():
    found = doctor(net(Apply(Cube.apply)), loss, BATCH, routes=[])
    assert not found.verdict.ok
    assert found.verdict.exit_code == 1
    assert any("Cube" in c and "'1'" in c and "@once_differentiable" in c for c in found.verdict.causes)
    (cube,) = (o for o in found.operations if o.custom)
    assert (cube.name, cube.once, cube.modules) == ("Cube", True, ("1",))
    with pytest.raises(BadVerdictError):
        found.raise_if_bad()


def test_a_backward_pass_that_hides_is_found_though_its_products_are_symmetric():
    found = doctor(net(Apply(Hidden.apply)), loss, BATCH, routes=[])
    assert found.verdict.outcome == Outcome.INCONSISTENT
    assert found.symmetry < 1e-10
    assert found.finding("curvature").error > 0.01
    (cause,) = found.verdict.causes
    assert "Hidden in '1'" in cause
    assert "hides from autograd" in cause


def test_functions_are_as_they_were():
    before = vars(Cube)["forward"], vars(Hidden).get("forward")
    doctor(net(Apply(Cube.apply), Apply(Hidden.apply)), loss, BATCH, routes=[])
    assert (vars(Cube)["forward"], vars(Hidden).get("forward")) == before


def test_what_hides_between_operations_is_told_from_an_operation():
    """The scale is taken from the weights without a gradient: no operation is wrong, the Hessian is."""
    layer = nn.Linear(5, 5)
    found = doctor(net(layer, Apply(lambda x: x * layer.weight.detach().norm())), loss, BATCH, routes=[])
    assert found.verdict.outcome == Outcome.INCONSISTENT
    (cause,) = found.verdict.causes
    assert "every operation is right alone" in cause


def test_an_operation_without_second_derivative_is_named():
    @torch.library.custom_op("similitude_tests::cube", mutates_args=())
    def cube(x: torch.Tensor) -> torch.Tensor:
        return x**3

    @torch.library.custom_op("similitude_tests::cube_backward", mutates_args=())
    def cube_backward(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return 3 * grad * x**2

    def save(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    cube.register_autograd(lambda ctx, grad: cube_backward(grad, ctx.saved_tensors[0]), setup_context=save)
    found = doctor(net(Apply(cube)), loss, BATCH, routes=[])
    assert found.verdict.outcome == Outcome.REFUSED
    assert found.finding("curvature").operation == "similitude_tests::cube"
    assert found.finding("curvature").modules == ("1",)
    assert "similitude_tests::cube in '1'" in found.verdict.causes[0]


def test_parameters_in_a_second_place_are_noted():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(4, 3)
            self.weights = [self.layer.weight]

        def forward(self, x):
            return (x @ self.weights[0].T).tanh()

    found = doctor(Listed(), loss, BATCH, routes=["vjp_grad", "double_backward"])
    assert found.verdict.ok
    assert found.finding("double_backward").result == "ok"
    assert found.finding("vjp_grad").result == "wrong"
    assert any("second place" in note for note in found.notes)


# ---------------------------------------------------------------------- what it is compared with


def test_kinks_are_stepped_over():
    model = nn.Sequential(nn.Linear(4, 400), nn.ReLU(), nn.Linear(400, 3))
    found = doctor(model, loss, BATCH, routes=["vjp_grad"])
    assert found.verdict.ok
    assert found.finding("curvature").error < 1e-7


def test_kinks_at_the_point_leave_it_to_independent_routes():
    model = net(nn.ReLU())
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    found = doctor(model, loss, BATCH, routes=["jvp_grad"])
    assert found.reference.kind == "routes"
    assert found.reference.rough
    assert found.verdict.ok
    alone = doctor(model, loss, BATCH, routes=["vjp_grad"])  # the same formulas as ours: no evidence
    assert alone.verdict.outcome == Outcome.CANNOT_TELL
    assert alone.verdict.exit_code == 3
    assert {f.result for f in alone.findings} == {"unsure"}


def test_a_model_with_a_dtype_of_its_own_is_examined_in_it():
    table = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
    found = doctor(
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), Apply(lambda x: x @ table)), loss, BATCH, routes=[]
    )
    assert found.reference.dtype == "float32"
    assert {f.dtype for f in found.findings} == {"float32"}
    assert found.verdict.ok
    assert any("cannot be taken in float64" in note for note in found.notes)


def test_rounding_inside_a_model_is_no_error():
    half = Apply(lambda x: F.softmax(x, -1, dtype=torch.float32).to(x.dtype))
    found = doctor(net(half), loss, BATCH, routes=[])
    assert found.verdict.ok


def test_a_pass_that_is_another_function_in_float32_is_compared_with_itself():
    """Numbers drawn in float32 are not those drawn in float64, and so is not the loss."""
    found = doctor(net(Apply(lambda x: (x + torch.randn_like(x)).tanh())), loss, BATCH, routes=["vjp_grad"])
    assert found.random
    assert {f.result for f in found.findings} == {"ok"}
    assert found.finding("curvature").error < 1e-7


def test_a_linear_loss_has_no_curvature_and_that_is_right():
    found = doctor(nn.Linear(4, 3), lambda m, b: m(b[0]).mean(), BATCH, routes=["vjp_grad"])
    assert found.verdict.ok
    assert {f.error for f in found.findings} == {0.0}


def test_without_copies_of_the_process_the_findings_are_the_same(monkeypatch):
    one = doctor(net(nn.BatchNorm1d(5), nn.Tanh()), loss, BATCH, routes=["vjp_grad"], seed=3)
    monkeypatch.setattr(doctor_module, "can_fork", lambda: False)
    model = net(nn.BatchNorm1d(5), nn.Tanh())
    before = {name: b.clone() for name, b in model.state_dict().items()}
    other = doctor(model, loss, BATCH, routes=["vjp_grad", "linearize"], seed=3)
    assert other.finding("linearize").result == "untried"
    assert other.finding("vjp_grad").error == pytest.approx(one.finding("vjp_grad").error, abs=1e-12)
    assert other.operations == one.operations
    assert any("cannot be copied" in note for note in other.notes)
    assert all(torch.equal(b, model.state_dict()[name]) for name, b in before.items())


def test_the_first_of_several_batches_is_used():
    def loader():
        yield X[:5], Y[:5]
        raise AssertionError("a second batch is not asked for")

    found = doctor(net(nn.Tanh()), loss, loader(), routes=[])
    assert found.examples == 5
    assert "the first batch was used" in found.notes


def test_batches_may_be_dicts():
    found = doctor(
        net(nn.Tanh()), lambda m, b: loss(m, (b["x"], b["y"])), {"x": X, "y": Y}, routes=["vjp_grad"]
    )
    assert found.finding("vjp_grad").result == "ok"


# ---------------------------------------------------------------------- records


def test_a_result_goes_through_json():
    found = doctor(net(Apply(Slanted.apply)), loss, BATCH, routes=["grad_jvp"])
    assert Doctor.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    with pytest.raises(CurvatureError, match="no result of the doctor: KeyError"):
        Doctor.from_dict({"operations": []})


def test_a_result_is_text():
    text = str(doctor(net(Apply(Slanted.apply)), loss, BATCH, routes=["grad_jvp"]))
    assert text.startswith("ok: Hessian products by similitude.Curvature are right")
    assert "grad_jvp, float64: WRONG by" in text


def test_it_is_public():
    assert sim.doctor is doctor
    assert sim.Doctor is Doctor


# ---------------------------------------------------------------------- bad input


def test_a_route_that_was_not_tried_is_refused():
    found = doctor(net(nn.Tanh()), loss, BATCH, routes=[])
    with pytest.raises(CurvatureError, match="'dual' was not tried in float64"):
        found.finding("dual")


def nan_in(model):
    model[2].weight.data[0, 0] = float("nan")
    return model


def frozen(model):
    return model.requires_grad_(False)


@pytest.mark.parametrize(
    ("model", "objective", "batch", "says"),
    [
        (net(), lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="none"), BATCH, r"shape \(12,\)"),
        (net(), lambda m, b: 1.0, BATCH, "returned a float"),
        (net(), lambda m, b: m(b[0]).mean().detach(), BATCH, "does not depend on any"),
        (nan_in(net(nn.Tanh())), loss, BATCH, "'2.weight' hold values that are not finite"),
        (net(), loss, (X[:0], Y[:0]), "no examples"),
        (net(), loss, [], "without batches"),
        (frozen(net()), loss, BATCH, "no trainable parameter"),
        (net(), loss, (X[:, :2], Y), "failed on the batch with RuntimeError: mat1 and mat2"),
    ],
)
def test_bad_input_is_told(model, objective, batch, says):
    with pytest.raises(CurvatureError, match=says):
        doctor(model, objective, batch, routes=[])
