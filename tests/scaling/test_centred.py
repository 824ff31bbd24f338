"""A centred model is 0 at the start whatever its layers draw, and is the difference of two models after."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from similitude.core.errors import PlanError
from similitude.models import MLP
from similitude.scaling.centred import Centred
from similitude.scaling.outputs import Divided, entry_of, with_entry
from similitude.scaling.plan import plan


class Noisy(nn.Module):
    """Dropout, batch statistics, and a tensor that is used twice."""

    def __init__(self, width=16):
        super().__init__()
        self.first = nn.Linear(6, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)
        self.inner = nn.Linear(width, width, bias=False)
        self.again = nn.Linear(width, width, bias=False)
        self.again.weight = self.inner.weight
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.drop(self.norm(self.first(x)).relu())
        return self.head(self.drop(self.again(self.drop(self.inner(x)))))


def batch(seed=0, n=8):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def moved(model, by=0.1):
    """Change every parameter in place, by its own amount."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_nothing_is_learned_at_the_start(mode):
    centred = getattr(Centred(Noisy()), mode)()
    for step in range(3):  # the running statistics move between the calls
        assert not centred(batch(step)).any()


def test_it_is_the_difference_of_two_models():
    model = Noisy().eval()
    before, centred = copy.deepcopy(model), Centred(model)
    moved(model)
    assert torch.equal(centred.eval()(batch()), model(batch()) - before(batch()))


def test_both_passes_draw_the_same_masks():
    """At one seed a model with dropout and its frozen copy run the same masks, and the generator moves once."""
    model = Noisy().train()
    before, centred = copy.deepcopy(model), Centred(model).train()
    moved(model)
    reference = copy.deepcopy(model)
    torch.manual_seed(3)
    found, after = centred(batch()), torch.get_rng_state()
    torch.manual_seed(3)
    expected = reference(batch())
    assert torch.equal(after, torch.get_rng_state())
    torch.manual_seed(3)
    assert torch.equal(found, expected - before(batch()))


def test_running_statistics_of_the_model_move_once_per_call():
    model = Noisy().train()
    plain = copy.deepcopy(model)
    Centred(model)(batch())
    plain(batch())
    assert torch.equal(model.norm.running_mean, plain.norm.running_mean)
    assert int(model.norm.num_batches_tracked) == 1


def test_gradients_are_those_of_the_model():
    model = MLP(6, 3, width=8, depth=2)
    moved(model)
    centred = Centred(model)
    centred(batch()).sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    model(batch()).sum().backward()
    assert all(torch.equal(found[name], p.grad) for name, p in model.named_parameters())


def test_the_copy_is_no_parameter_and_names_stay():
    model = Noisy()
    names = [name for name, _ in model.named_parameters()]
    centred = Centred(model)
    assert [name for name, _ in model.named_parameters()] == names
    assert [name for name, _ in centred.named_parameters()] == [f"model.{name}" for name in names]
    assert len(list(centred.parameters())) == len(list(model.parameters()))


def test_it_comes_back_from_a_checkpoint_and_a_copy():
    model = MLP(6, 3, width=8)
    centred = Centred(model)
    moved(model)
    expected = centred(batch())
    other = Centred(MLP(6, 3, width=8))
    other.load_state_dict(centred.state_dict())
    assert torch.equal(other(batch()), expected)
    again = copy.deepcopy(centred)
    moved(model)  # the copy is its own
    assert torch.equal(again(batch()), expected)
    assert not torch.equal(centred(batch()), expected)


def test_it_follows_the_dtype():
    centred = Centred(MLP(6, 3, width=8)).double()
    assert centred(batch().double()).dtype == torch.float64


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_it_compiles(mode):
    centred = getattr(Centred(Noisy()), mode)()
    compiled = torch.compile(centred, backend="aot_eager")
    assert not compiled(batch()).any()
    moved(centred.model)
    centred.eval()
    assert torch.allclose(compiled(batch()), centred(batch()), atol=1e-6)


def test_it_runs_inside_vmap_of_grad():
    """As an ensemble calls it: parameters and the copy both swapped, with one more axis."""
    centred = Centred(MLP(6, 3, width=8, depth=1))
    params = {name: torch.stack([p.detach(), p.detach() + 0.1]) for name, p in centred.named_parameters()}
    buffers = {name: torch.stack([b, b]) for name, b in centred.named_buffers()}

    x = batch()

    def loss(p, b):
        return functional_call(centred, (p, b), (x,)).square().sum()

    gradients = vmap(grad(loss))(params, buffers)
    sizes = gradients["model.head.weight"].flatten(1).norm(dim=1)
    assert sizes[0] == 0 < sizes[1]


def test_the_plan_is_made_for_the_plain_model():
    def make(width):
        return MLP(6, 3, width=width, depth=2)

    made = plan(make, base=8, target=32, sample=batch())
    model = make(32)
    made.apply_(model)
    groups = made.groups(model, lr=0.1)
    centred = Centred(model)
    assert not centred(batch()).any()
    optimizer = torch.optim.AdamW(groups)
    centred(batch()).sub(1).square().mean().backward()
    optimizer.step()
    assert centred(batch()).abs().max() > 0


def test_entries_of_other_outputs():
    class Output(dict):
        pass

    x, y = torch.zeros(2), torch.ones(2)
    pair = with_entry((x, "cache"), y, 0)
    assert pair[1] == "cache"
    assert torch.equal(pair[0], y)
    given = Output(logits=x, hidden=x)
    found = with_entry(given, y)
    assert isinstance(found, Output)
    assert torch.equal(found["logits"], y)
    assert torch.equal(given["logits"], x)
    assert torch.equal(entry_of({"a": x, "b": y}, "b"), y)


def test_outputs_of_hugging_face():
    modeling = pytest.importorskip("transformers.modeling_outputs")

    class Model(nn.Linear):
        def forward(self, x, labels=None):
            logits = super().forward(x)
            loss = None if labels is None else logits.mean()
            return modeling.CausalLMOutput(loss=loss, logits=logits)

    centred = Centred(Model(6, 3))
    output = centred(batch())
    assert type(output).__name__ == "CausalLMOutput"
    assert not output.logits.any()
    assert not output["logits"].any()
    with pytest.raises(PlanError, match="loss of its own, computed from 'logits'"):
        centred(batch(), labels=1)


def test_an_output_without_logits_names_what_it_has():
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), "cache"

    with pytest.raises(
        PlanError, match=r"returns a tuple, whose 'logits' is missing; its tensors are 0\. .*output="
    ):
        Centred(Pair(6, 3))(batch())
    assert not Centred(Pair(6, 3), output=0)(batch())[0].any()


def test_divided_divides():
    model = MLP(6, 3, width=8)
    assert torch.allclose(4 * Divided(model, 4.0)(batch()), model(batch()))
    with pytest.raises(PlanError, match="gamma=0"):
        Divided(model, 0)


def test_what_is_no_module_is_named():
    with pytest.raises(PlanError, match=r"model=3 is not an nn.Module"):
        Centred(3)  # pyright: ignore[reportArgumentType]
