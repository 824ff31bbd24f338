"""The kernel of an unmodified module in the limit of infinite width: NNGP and NTK Grams of any inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import torch
from torch import Tensor, nn

import similitude.kernels.rules  # noqa: F401  (registers them, before the first module is read)
from similitude.core.citation import cites
from similitude.core.errors import KernelError
from similitude.core.verdict import Verdict
from similitude.kernels.covariance import Covariances
from similitude.kernels.devices import accelerator_of, home_of, usable
from similitude.kernels.explain import Explanation, explanation
from similitude.kernels.facts import Finite
from similitude.kernels.frames import Frame, Pair, Scales
from similitude.kernels.gradients import frozen, reached
from similitude.kernels.grams import NAMES, GramOptions
from similitude.kernels.labels import SAMPLE, flat
from similitude.kernels.program import record
from similitude.kernels.reader import Reader
from similitude.kernels.readouts import readouts, sums_of_rows
from similitude.kernels.refusals import blamed, not_finite, of_output, with_way_out
from similitude.kernels.run import Run
from similitude.kernels.samples import count, digest, rows, signature, tensors_of
from similitude.kernels.scales import Draw, ScaleTable, drawn
from similitude.kernels.tiled import TiledKernel
from similitude.kernels.values import Wide
from similitude.kernels.verify import verify


@cites(21, "Section 2: the NTK at infinite width")
@cites(8, "Section A: NNGP and NTK recursions")
@dataclass(frozen=True, eq=False)
class Kernel(TiledKernel):
    """The kernel of a module, or of a family of modules, at infinite width. `similitude.kernel` makes it.

    Attributes:
        modules: The module; of a family also its wider member.
        rule: Learning rates of the tangent kernel.
        dtype: Floating-point type of the Grams.
        make: The family, where one was given.
        widths: Its two widths.
        weight_variance: Variance times fan-in of every matrix, instead of what the module's own values say.
        bias_variance: Variance of every bias of a layer, likewise.
        sample: Inputs that were given with the module.
        draws: What many builds of a family say about its initial values.
        device: Where Gram blocks are computed; None for the accelerator that inputs, the sample or the module are on.
    """

    modules: tuple[nn.Module, ...]
    rule: str = "ntp"
    dtype: torch.dtype = torch.float64
    make: Callable[..., nn.Module] | None = None
    widths: tuple[int, ...] = ()
    weight_variance: float | None = None
    bias_variance: float | None = None
    sample: Any = field(default=None, repr=False)
    draws: Mapping[str, Draw] = field(default_factory=dict, repr=False)
    device: torch.device | None = None
    _readers: dict[Any, Reader] = field(default_factory=dict, repr=False)

    def pair(self, x1: Any, x2: Any = None, /, *, which: Sequence[str] = NAMES) -> dict[str, Tensor]:
        """Return one block of the kernels without cutting it into tiles.

        Args:
            x1: Inputs as the module takes them, samples along the first axis of every tensor.
            x2: More inputs; x1 itself where None, with an exact diagonal.
            which: "nngp", "ntk" or both.

        Returns:
            By name (samples of x1, samples of x2), of one output; the average over positions of an output of several.
            On the device that x1 is on.

        Raises:
            KernelError: The module has no kernel on such inputs; names the operation and why.
        """
        reader = self.reader(x1)
        frame = self.frame(reader, x1, x2, tangent="ntk" in which)
        found = self._of_output(reader, frame)
        shape = (frame.left.samples, frame.right.samples)
        blocks: dict[str, Tensor] = {}
        for name, part in (("nngp", found.k), ("ntk", found.t)):
            if name in which:
                block = frame.left.zeros(shape) if part is None else part.mean(-1).expand(shape)
                if not bool(torch.isfinite(block).all()) and (error := not_finite(reader, frame)) is not None:
                    raise error
                block = block.clone() if 0 in block.stride() else block
                blocks[name] = block.to(home_of(x1))
        return blocks

    def by_layer(self, x1: Any, x2: Any = None) -> dict[str, Tensor]:
        """Return what the training of each parameter adds to the tangent kernel; their sum is the tangent kernel.

        Args:
            x1: Inputs.
            x2: More inputs; x1 itself where None.

        Returns:
            By name of the parameter, (samples of x1, samples of x2).
        """
        reader = self.reader(x1)
        found: dict[str, Tensor] = {}
        for name in dict.fromkeys(name for name, _ in reader.scales.rate):
            frame = self.frame(reader, x1, x2, tangent=True, only=name)
            part = self._of_output(reader, frame).t
            shape = (frame.left.samples, frame.right.samples)
            block = frame.left.zeros(shape) if part is None else part.mean(-1).expand(shape).clone()
            found[name] = block.to(home_of(x1))
        return found

    def explain(self, x: Any = None) -> Explanation:
        """Return what each operation of the module became, and how exact that is.

        Args:
            x: Inputs at which error bounds are taken; the sample where None.

        Raises:
            KernelError: No inputs were given, here or before.
        """
        x = self._inputs(x, "explain")
        reader = self.reader(x)
        frame = self.frame(reader, x, tangent=False)
        limit = (
            f"what grows between widths {self.widths[0]} and {self.widths[1]} is infinite"
            if self.widths
            else "every hidden axis is read as infinite"
        )
        modes = {m.training for m in self.modules[0].modules()}
        mode = "training mode" if modes == {True} else "eval mode" if modes == {False} else "mixed modes"
        try:
            return explanation(
                reader,
                module=type(self.modules[0]).__name__,
                limit=f"{limit}, {mode}",
                rule=reader.scales.words(str(self.widths[0]) if self.widths else "that of the module"),
                run=frame.left,
            )
        except KernelError as error:
            raise blamed(reader, frame, error) from error

    def verify(
        self,
        x: Any = None,
        *,
        widths: tuple[int, int] | None = None,
        copies: int = 600,
        seconds: float = 20.0,
        seed: int = 0,
    ) -> Verdict:
        """Compare the kernels with Monte Carlo over wide copies of the module.

        Args:
            x: A few inputs; up to four of the sample where None.
            widths: Widths of the copies of a family; by default 2 and 8 times its larger one.
            copies: Most copies of each width.
            seconds: Most time for each width.
            seed: Seed of the draws.

        Returns:
            "ok" where every entry agrees within 4 standard errors, "inconsistent" where one does not, "too_noisy" where
            the copies do not tell.

        Raises:
            KernelError: No inputs were given, here or before.
        """
        x = self._inputs(x, "verify")
        return verify(self, x, widths=widths, copies=copies, seconds=seconds, seed=seed)

    def _inputs(self, x: Any, name: str) -> Any:
        if x is not None:
            return x
        if self.sample is None:
            raise KernelError(f"{name}() needs inputs: {name}(x), or sample= when the kernel is made.")
        return rows(self.sample, 0, min(4, count(self.sample)))

    def grams(
        self, x1: Any, x2: Any = None, *, names: Sequence[str] = NAMES, **options: Unpack[GramOptions]
    ) -> dict[str, Tensor]:
        """Return both kernels by name for the work of one; see `nngp`."""
        reader = self.reader(x1)
        if x2 is x1:
            x2 = None
        if reader.couples:
            # Every sample changes what the others become, so that a batch cannot be cut.
            options["side"] = max(count(x1), 1 if x2 is None else count(x2))
        named = options.get("device")
        options["device"] = self.device_for(x1) if named is None else usable(named)
        there = replace(self, device=options["device"])  # shares what was read
        return super(Kernel, there).grams(x1, x2, names=names, **options)

    def numbers_per_pair(self, x: Any = None) -> int:
        """Return how many numbers the widest tensor of `pair` holds per pair of samples: of inputs like x."""
        readers = self._readers.values() if x is None else [self.reader(x)]
        return max((reader.numbers for reader in readers), default=1)

    def fingerprint(self, x: Any) -> Mapping[str, Any]:
        """Return what tells this kernel of inputs like `x` from others: operations, variances, rates, fixed numbers."""
        reader = self.reader(x)
        fixed = {
            value.name: digest(reader.program.parameters[value.name])
            for value in reader.program.values
            if value.kind == "parameter" and isinstance(reader.facts.get(value.index), Finite)
        }
        constants = [
            digest(reader.program.seen[value.index])
            for value in reader.program.values
            if value.kind == "const" and value.index in reader.program.seen
        ]
        what = {
            "inputs": repr(signature(x)),
            "operations": [f"{op.node.op} {op.node.args} {op.node.kwargs}" for op in reader.program.ops],
            "variances": {f"{name} {role}": v for (name, role), v in reader.scales.variance.items()},
            "rates": {f"{name} {role}": v for (name, role), v in reader.scales.rate.items()},
            "fixed": fixed,
            "constants": constants,
        }
        text = json.dumps(what, sort_keys=True, default=repr)
        return {"module": type(self.modules[0]).__name__, "digest": hashlib.sha256(text.encode()).hexdigest()}

    def _of_output(self, reader: Reader, frame: Frame) -> Pair:
        output = self.output(reader)
        with torch.no_grad():
            try:
                return frame.left.covariances.cov(output, output, frame, full=False)
            except KernelError as error:
                raise with_way_out(blamed(reader, frame, error), family=self.make is not None) from error

    def frame(
        self, reader: Reader, x1: Any, x2: Any = None, *, tangent: bool, only: str | None = None
    ) -> Frame:
        """Return the pairs of samples of a block.

        Args:
            reader: The module as it was read.
            x1: Inputs.
            x2: More inputs; x1 itself where None.
            tangent: Whether the tangent kernel is wanted.
            only: The one parameter that is trained; all where None.
        """
        if tangent and reader.blocked:
            raise KernelError(
                f"{reader.blocked}, of which a tangent kernel has no rule here; nngp() is as it would be. For parameters "
                "that are not trained use requires_grad_(False)."
            )
        rate = {key: r if only in (None, key[0]) else 0.0 for key, r in reader.scales.rate.items()}
        covariances = Covariances(Scales(reader.scales.variance, rate))
        device = self.device_for(x1)
        left = self._run(reader, x1, covariances, device)
        if x2 is None or x2 is x1:
            return Frame(left, left, zipped=False, tangent=tangent)
        if signature(x2) != signature(x1):
            raise KernelError(
                f"x1 has samples of {_words(x1)} and x2 of {_words(x2)}. Give both the same shapes and types."
            )
        return Frame(left, self._run(reader, x2, covariances, device), zipped=False, tangent=tangent)

    def device_for(self, x: Any) -> torch.device:
        """Return where blocks of some inputs are computed."""
        if self.device is not None:
            return self.device
        sample = () if self.sample is None else tensors_of(self.sample)
        return accelerator_of([*tensors_of(x), *sample, *self.modules[0].parameters()])

    def __getstate__(self) -> dict[str, Any]:
        # Readers hold functions that cannot be pickled; another process reads the module again.
        return {**self.__dict__, "_readers": {}}

    def reader(self, x: Any) -> Reader:
        """Return the module as it was read for inputs of these shapes."""
        key = signature(x)
        found = self._readers.get(key)
        if found is None:
            count(x, "x1")
            with torch.no_grad():
                program = record(self.modules, x, self.dtype)
                draws = self.draws or {name: drawn(p) for name, p in program.parameters.items()}
                scales = ScaleTable(
                    program.parameters,
                    draws,
                    program.wider,
                    self.weight_variance,
                    self.bias_variance,
                    self.rule,
                    frozen(self.modules[0]),
                )
                found = Reader(program, scales)
                try:
                    found.read()
                except KernelError as error:
                    raise with_way_out(error, family=self.make is not None) from error
            wides = [fact for fact in found.facts.values() if isinstance(fact, Wide)]
            scales.weigh(readouts(self.output(found)), sums_of_rows(wides))
            trained = {name for (name, _), rate in scales.rate.items() if rate}
            lost = sorted(trained - reached(self.modules[0], x, self.dtype)) if trained else []
            if lost:
                names = ", ".join(map(repr, lost))
                found.blocked = f"the forward pass cuts the gradient of {names} off (detach, no_grad)"
            self._readers[key] = found
        return found

    def output(self, reader: Reader) -> Wide:
        """Return the module's output as a wide value.

        Raises:
            KernelError: It is none, or there are several.
        """
        wides = [f for i in reader.program.outputs if isinstance(f := reader.facts[i], Wide)]
        if not wides:
            kinds = {type(reader.facts[i]).__name__.lower() for i in reader.program.outputs} or {"no tensor"}
            raise of_output(
                reader,
                f"the module returns {' and '.join(sorted(kinds))} values, none of which is a random function",
                "Return what its last layer gives.",
            )
        output = wides[0]
        if not any(f.kind == SAMPLE for f in flat(output.layout)):
            raise of_output(
                reader, "the module's output has no axis of samples, so that it has no kernel of two of them"
            )
        return output

    def _run(self, reader: Reader, x: Any, covariances: Covariances, device: torch.device) -> Run:
        n = count(x)
        values: dict[int, Tensor] = {}
        for value in reader.program.values:
            if value.kind == "parameter" and isinstance(reader.facts.get(value.index), Finite):
                values[value.index] = reader.program.parameters[value.name]
            elif value.kind == "const" and value.index in reader.program.seen:
                values[value.index] = reader.program.seen[value.index]
        made = {i for op in reader.program.ops for i in op.node.outputs}
        values = {i: t.to(device) for i, t in values.items() if i not in made}
        for index, tensor in zip(reader.program.inputs, tensors_of(x), strict=True):
            tensor = tensor.detach()
            if tensor.is_floating_point():
                if not bool(torch.isfinite(tensor).all()):
                    raise KernelError("the inputs have entries that are not finite (nan or infinite).")
                tensor = tensor.to(self.dtype)
            values[index] = tensor.to(device)
        run = Run(n, self.dtype, device, reader.steps, values, covariances)
        if reader.watches:
            run.finish()
        return run


def _words(x: Any) -> str:
    return ", ".join(
        f"shape {tuple(t.shape[1:])} ({str(t.dtype).removeprefix('torch.')})" for t in tensors_of(x)
    )
