"""The kernel of an unmodified module in the limit of infinite width: NNGP and NTK Grams of any inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import KernelError
from similitude.kernels import rules
from similitude.kernels.covariance import Covariances, Frame, Scales
from similitude.kernels.facts import Finite
from similitude.kernels.labels import SAMPLE, flat
from similitude.kernels.program import converted, record
from similitude.kernels.reader import Reader
from similitude.kernels.run import Run
from similitude.kernels.samples import count, tensors_of
from similitude.kernels.scales import ScaleTable
from similitude.kernels.values import Wide
from similitude.scaling.axes import build

_DTYPES = (torch.float32, torch.float64)


@cites(21, "Section 2: the NTK at infinite width")
@cites(8, "Section A: NNGP and NTK recursions")
@dataclass(frozen=True, eq=False)
class Kernel:
    """The kernel of a module, or of a family of modules, at infinite width. `similitude.kernel` makes it.

    Attributes:
        modules: The module; of a family also its wider member.
        rule: Learning rates of the tangent kernel.
        dtype: Floating-point type of the Grams.
        make: The family, where one was given.
        widths: Its two widths.
        weight_variance: Variance times fan-in of every matrix, instead of what the module's own values say.
        bias_variance: Variance of every bias of a layer, likewise.
    """

    modules: tuple[nn.Module, ...]
    rule: str = "ntp"
    dtype: torch.dtype = torch.float64
    make: Callable[..., nn.Module] | None = None
    widths: tuple[int, ...] = ()
    weight_variance: float | None = None
    bias_variance: float | None = None
    _readers: dict[Any, Reader] = field(default_factory=dict, repr=False)

    def nngp(self, x1: Any, x2: Any = None) -> Tensor:
        """Return the covariance of the outputs at initialization.

        Args:
            x1: Inputs as the module takes them, samples along the first axis of every tensor.
            x2: More inputs; x1 itself where not given, with an exact diagonal.

        Returns:
            (samples of x1, samples of x2), of one output; the average over positions where the output has several.
        """
        return self.pair(x1, x2, which=("nngp",))["nngp"]

    def ntk(self, x1: Any, x2: Any = None) -> Tensor:
        """Return the inner products of the outputs' gradients, weighed by the learning rates of `rule`.

        Args:
            x1: Inputs as the module takes them, samples along the first axis of every tensor.
            x2: More inputs; x1 itself where not given.

        Returns:
            (samples of x1, samples of x2), of one output; the average over positions where the output has several.
        """
        return self.pair(x1, x2)["ntk"]

    def pair(
        self, x1: Any, x2: Any = None, *, symmetric: bool = False, which: Sequence[str] = ("nngp", "ntk")
    ) -> dict[str, Tensor]:
        """Return one block of the kernels without cutting it into tiles.

        Args:
            x1: Inputs.
            x2: More inputs; x1 itself where not given.
            symmetric: Whether both are the same samples.
            which: "nngp", "ntk" or both.
        """
        reader = self.reader(x1)
        scales = Scales(reader.scales.variance, reader.scales.rate)
        covariances = Covariances(scales)
        left = self._run(reader, x1, covariances)
        if x2 is None or symmetric or x2 is x1:
            right = left
        else:
            if _signature(x2) != _signature(x1):
                raise KernelError(
                    f"x1 has samples of {_words(x1)} and x2 of {_words(x2)}. Give both the same shapes and types."
                )
            right = self._run(reader, x2, covariances)
        frame = Frame(left, right, zipped=False, tangent="ntk" in which)
        output = self._output(reader)
        with torch.no_grad():
            found = covariances.cov(output, output, frame, full=False)
        shape = (left.samples, right.samples)
        blocks: dict[str, Tensor] = {}
        for name, part in (("nngp", found.k), ("ntk", found.t)):
            if name not in which:
                continue
            block = torch.zeros(shape, dtype=self.dtype) if part is None else part.mean(-1).expand(shape)
            if not bool(torch.isfinite(block).all()):
                raise KernelError(
                    f"the {name.upper()} of these inputs is not finite. Look for inputs that are not finite, or that are zero "
                    "before a normalization without eps."
                )
            blocks[name] = block.clone() if block.stride()[-1] == 0 or block.stride()[0] == 0 else block
        return blocks

    def reader(self, x: Any) -> Reader:
        """Return the module as it was read for inputs of these shapes."""
        key = _signature(x)
        found = self._readers.get(key)
        if found is None:
            count(x, "x1")
            with torch.no_grad():
                program = record(self.modules, x, self.dtype)
                scales = ScaleTable(program.parameters, program.wider, self.weight_variance, self.bias_variance)
                found = Reader(program, scales)
                found.read()
            self._output(found)
            self._readers[key] = found
        return found

    def _output(self, reader: Reader) -> Wide:
        """Return the module's output as a wide value.

        Raises:
            KernelError: It is none, or there are several.
        """
        wides = [f for i in reader.program.outputs if isinstance(f := reader.facts[i], Wide)]
        if not wides:
            kinds = {type(reader.facts[i]).__name__.lower() for i in reader.program.outputs} or {"no tensor"}
            raise KernelError(
                f"the module returns {' and '.join(sorted(kinds))} values, none of which is a random function of the inputs. "
                "Return what its last layer gives."
            )
        output = wides[0]
        if not any(f.kind == SAMPLE for f in flat(output.layout)):
            raise KernelError("the module's output has no axis of samples, so that it has no kernel of two of them.")
        return output

    def _run(self, reader: Reader, x: Any, covariances: Covariances) -> Run:
        n = count(x)
        values: dict[int, Tensor] = {}
        for value in reader.program.values:
            if value.kind == "parameter" and isinstance(reader.facts.get(value.index), Finite):
                values[value.index] = reader.program.parameters[value.name]
            elif value.kind == "const" and value.index in reader.program.seen:
                values[value.index] = reader.program.seen[value.index]
        made = {i for op in reader.program.ops for i in op.node.outputs}
        values = {i: t for i, t in values.items() if i not in made}
        for index, tensor in zip(reader.program.inputs, tensors_of(x), strict=True):
            tensor = tensor.detach()
            if tensor.is_floating_point():
                if not bool(torch.isfinite(tensor).all()):
                    raise KernelError("the inputs have entries that are not finite (nan or infinite).")
                tensor = tensor.to(self.dtype)
            values[index] = tensor.cpu()
        return Run(n, self.dtype, reader.steps, values, covariances)


def kernel(
    module_or_make: nn.Module | Callable[..., nn.Module],
    *,
    sample: Any = None,
    widths: Sequence[int] | None = None,
    rule: str = "ntp",
    dtype: torch.dtype = torch.float64,
    weight_variance: float | None = None,
    bias_variance: float | None = None,
    seed: int = 0,
) -> Kernel:
    """Return the kernel of an unmodified module, or of a family of modules, in the limit of infinite width.

    The module runs on the sample while every operation is recorded. Of a family two widths are recorded, and what
    grows between them is infinite. Of a single module every hidden axis is: all that a random matrix produces.

    Args:
        module_or_make: A module, or a function of the width that returns one. It is copied, not changed, and stays in
            its mode: in training mode dropout drops and batch norm normalizes by the batch.
        sample: Inputs as the module takes them (a tensor, a tuple or a dict), samples along the first axis; read at
            once where given, so that a module without a kernel is refused now and not at the first use.
        widths: Two widths of a family, the smaller one that of your own initialization.
        rule: Learning rates of the tangent kernel. "ntp": each tensor is its standard deviation times one that is
            trained with rate 1, as in the NTK parametrization.
        dtype: float64, or float32 for speed.
        weight_variance: Variance of weights times fan-in, for all matrices and filters, instead of what the module's
            own values say.
        bias_variance: Variance of all biases of layers, likewise.
        seed: Seed of the builds of a family.

    Returns:
        The kernel: `.nngp(x1, x2)`, `.ntk(x1, x2)`, `.explain()`, `.verify()`, `.predict(...)`.

    Raises:
        KernelError: The module has no kernel at infinite width that can be computed; names the operation and why.

    Example:
        >>> import torch, similitude as sim
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        >>> k = sim.kernel(net, weight_variance=2.0, bias_variance=0.0)
        >>> x = torch.eye(3, dtype=torch.float64)[:1]
        >>> round(float(k.nngp(x)), 12), round(float(k.ntk(x)), 12)  # |x|^2 / 3 times 2, and twice that
        (0.666666666667, 1.333333333333)

    Source: Yang 2019 (arXiv:1910.12478) and 2020 (arXiv:2006.14548), Tensor Programs I and II.
    """
    if dtype not in _DTYPES:
        raise KernelError(f"dtype={dtype} is not one of {', '.join(map(str, _DTYPES))}.")
    for name, value in (("weight_variance", weight_variance), ("bias_variance", bias_variance)):
        if value is not None and not 0 <= value < float("inf"):
            raise KernelError(f"{name}={value!r} is not a variance. Pass a number that is 0 or larger.")
    if isinstance(module_or_make, nn.Module):
        if widths is not None:
            raise KernelError(
                "widths= needs a family: pass the function of the width that builds the module instead of the module."
            )
        converted(module_or_make, dtype)
        found = Kernel((module_or_make,), rule, dtype, None, (), weight_variance, bias_variance)
    elif callable(module_or_make):
        small, large = _two_widths(widths)
        modules = tuple(build(module_or_make, width, seed=seed) for width in (small, large))
        found = Kernel(modules, rule, dtype, module_or_make, (small, large), weight_variance, bias_variance)
    else:
        raise KernelError(
            f"{module_or_make!r} is neither a module nor a function of the width that builds one."
        )
    if sample is not None:
        found.reader(sample)
    return found


def _two_widths(widths: Sequence[int] | None) -> tuple[int, int]:
    found = tuple(widths) if widths is not None else ()
    if len(found) != 2 or not all(isinstance(w, int) and w > 0 for w in found) or found[0] == found[1]:
        raise KernelError(
            f"widths={widths!r}: a family needs two different widths to see what grows, e.g. widths=(32, 48)."
        )
    small, large = sorted(found)
    return small, large


def _signature(x: Any) -> Any:
    """Return what a program depends on: the nest, and shapes and types without the number of samples."""
    if isinstance(x, Tensor):
        return (tuple(x.shape[1:]), x.dtype if not x.is_floating_point() else "float")
    if isinstance(x, Mapping):
        return tuple((key, _signature(part)) for key, part in x.items())
    if isinstance(x, tuple | list):
        return tuple(_signature(part) for part in x)
    return repr(x)


def _words(x: Any) -> str:
    return ", ".join(f"shape {tuple(t.shape[1:])} ({str(t.dtype).removeprefix('torch.')})" for t in tensors_of(x))


