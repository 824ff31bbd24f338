"""Kernels estimated from wide copies of a module, with standard errors, where an operation has no rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor, nn

from similitude.core.errors import KernelError, SimilitudeError
from similitude.core.seeding import derive
from similitude.core.verdict import Verdict
from similitude.kernels.devices import CPU, home_of, usable
from similitude.kernels.explain import Explanation, Row
from similitude.kernels.grams import NAMES, GramOptions
from similitude.kernels.monte_carlo_copies import WideCopies, wide_copies
from similitude.kernels.monte_carlo_law import WidthLaw, width_law
from similitude.kernels.monte_carlo_limit import Limit, limits
from similitude.kernels.prediction import Prediction
from similitude.kernels.samples import count, digest, rows, signature, tensors_of
from similitude.kernels.tiled import TiledKernel
from similitude.scaling.axes import build_shapes

_SIDE = 512
_FEWEST = 8
_MOST_PARAMETERS = 20_000_000
_WIDER = ((2, 8), (1, 4), (1, 2))  # widths of the copies over the larger recorded width
_PARTS = ("", "_error", "_narrow", "_narrow_error")


@dataclass(frozen=True)
class Estimate:
    """A kernel estimated from wide copies.

    Of copies of widths n < N with means K_n and K_N, and a deviation that falls as 1 / width, the bias of K_N is
    (K_n - K_N) / (N / n - 1), and the limit K_N less that.

    Attributes:
        value: Mean over the wider copies, (n1, n2): positive semi-definite between equal samples.
        error: Its standard error, by entry.
        bias: By how much it is off from infinite width, by entry.
        bias_error: Standard error of the bias.
        limit_error: Standard error of the limit.
    """

    value: Tensor
    error: Tensor
    bias: Tensor
    bias_error: Tensor
    limit_error: Tensor

    @property
    def limit(self) -> Tensor:
        """The kernel at infinite width, extrapolated; of few copies it may have eigenvalues below 0."""
        return self.value - self.bias


def extrapolated(
    wide: Tensor, wide_error: Tensor, narrow: Tensor, narrow_error: Tensor, *, ratio: float
) -> Estimate:
    """Put the means over copies of two widths together.

    Args:
        wide: Mean over the wider copies.
        wide_error: Its standard error.
        narrow: Mean over the narrower ones, independent of the others.
        narrow_error: Its standard error.
        ratio: The wider width over the narrower.

    Example:
        >>> import torch
        >>> k = torch.ones(1, 1)  # 1 + 0.4 narrow / width
        >>> found = extrapolated(1.1 * k, 0.03 * k, 1.4 * k, 0.04 * k, ratio=4.0)
        >>> round(float(found.bias), 3), round(float(found.limit), 3), round(float(found.limit_error), 3)
        (0.1, 1.0, 0.042)
    """
    share = 1 / (ratio - 1)
    return Estimate(
        wide,
        wide_error,
        share * (narrow - wide),
        share * torch.hypot(wide_error, narrow_error),
        torch.hypot((1 + share) * wide_error, share * narrow_error),
    )


@dataclass(frozen=True, eq=False)
class EstimatedKernel(TiledKernel):
    """The kernel of a family of modules as a mean over wide copies. `similitude.kernel(..., fallback=...)` makes it.

    Gram matrices are means over the wider copies, of the same draws in every tile, and so positive semi-definite.
    `estimate` has their standard errors, and by how much they are off from infinite width.

    Attributes:
        make: The family.
        widths: The two widths that it was recorded at.
        law: How copies are drawn.
        narrow: Copies of the smaller width.
        wide: Copies of the larger width.
        copies: Their number, for tangent kernels; outputs are averaged over four times as many.
        rule: Learning rates of the tangent kernel.
        dtype: Floating-point type of the Grams.
        reason: Why the kernel is not exact.
        limits: What the copies say of each kernel on the sample.
        sample: Inputs that were given with the module.
    """

    gives: ClassVar[tuple[str, ...]] = tuple(f"{name}{part}" for name in NAMES for part in _PARTS)

    make: Callable[..., nn.Module]
    widths: tuple[int, int]
    law: WidthLaw
    narrow: WideCopies
    wide: WideCopies
    copies: int
    rule: str
    dtype: torch.dtype
    reason: KernelError
    limits: Mapping[str, Limit]
    sample: Any = field(default=None, repr=False)

    def pair(self, x1: Any, x2: Any = None, /, *, which: Sequence[str] = NAMES) -> dict[str, Tensor]:
        """Return one block of the kernels without cutting it into tiles.

        Args:
            x1: Inputs as the module takes them, samples along the first axis of every tensor.
            x2: More inputs; x1 itself where None.
            which: Of "nngp" and "ntk", alone or followed by "_error" for standard errors, "_narrow" for means over the
                narrower copies, "_narrow_error" for their standard errors.

        Returns:
            By name (samples of x1, samples of x2), averaged over all outputs. On the device that x1 is on.

        Raises:
            KernelError: Inputs are not finite, or of another shape than two sets of samples can have.
        """
        for name, x in (("x1", x1), ("x2", x2)):
            if x is not None:
                finite_inputs(x, name)
        if x2 is not None and signature(x2) != signature(x1):
            raise KernelError("x1 and x2 have samples of different shapes or types. Give both the same.")
        found: dict[str, Tensor] = {}
        for kernel in NAMES:
            for copies, part in ((self.wide, ""), (self.narrow, "_narrow")):
                if f"{kernel}{part}" in which or f"{kernel}{part}_error" in which:
                    sums = (
                        copies.nngp(x1, x2, self.copies)
                        if kernel == "nngp"
                        else copies.ntk(x1, x2, self.copies)
                    )
                    found[f"{kernel}{part}"] = sums.mean.to(self.dtype)
                    found[f"{kernel}{part}_error"] = sums.error.to(self.dtype)
        return {name: found[name].to(home_of(x1)) for name in which}

    def grams(
        self, x1: Any, x2: Any = None, *, names: Sequence[str] = NAMES, **options: Unpack[GramOptions]
    ) -> dict[str, Tensor]:
        """Return both kernels by name for the work of one; see `nngp`."""
        x2 = None if x2 is x1 else x2
        device = options.get("device")
        if device is not None and usable(device).type != self.wide.device.type:
            raise KernelError(
                f"device={str(device)!r}: the copies of this kernel are on {self.wide.device}. Pass device= to "
                "sim.kernel, which draws them."
            )
        if self.wide.couples:
            # Every sample changes what the others become, so that a batch cannot be cut.
            options["side"] = max(count(x1), 1 if x2 is None else count(x2))
        elif options.get("side") is None:
            options["side"] = max(8, min(_SIDE, self.wide.block))
        return super().grams(x1, x2, names=names, **options)

    def estimate(
        self, x1: Any, x2: Any = None, *, names: Sequence[str] = NAMES, **options: Unpack[GramOptions]
    ) -> dict[str, Estimate]:
        """Return kernels with standard errors, their bias for finite width, and what they are without it.

        Args:
            x1: n1 samples.
            x2: n2 samples; those of x1 where None.
            names: Which kernels.
            options: How they are computed, see `gram_matrices`.

        Returns:
            By name.
        """
        parts = [f"{name}{part}" for name in names for part in _PARTS]
        found = self.grams(x1, x2, names=parts, **options)
        ratio = self.wide.width / self.narrow.width
        return {
            name: extrapolated(*(found[f"{name}{part}"] for part in _PARTS), ratio=ratio) for name in names
        }

    def by_layer(self, x1: Any, x2: Any = None) -> dict[str, Tensor]:
        """Return what the training of each parameter adds to the tangent kernel; their sum is the tangent kernel.

        Args:
            x1: Inputs.
            x2: More inputs; x1 itself where None.

        Returns:
            By name of the parameter, (samples of x1, samples of x2).
        """
        return {
            name: self.wide.ntk(x1, x2, self.copies, only=(name,)).mean.to(home_of(x1), self.dtype)
            for name in self.wide.rates
        }

    def explain(self, x: Any = None) -> Explanation:
        """Return which operation has no rule, and how well the copies know the kernels.

        Args:
            x: Inputs at which errors are told; up to four of the sample where None.
        """
        found = self.limits if x is None else limits(self.narrow, self.wide, x, self.copies)
        said = "; ".join(f"{name.upper()}: {limit}" for name, limit in found.items())
        why = self.reason.refusal
        row = Row(-1, "forward", "", str(self.reason), "estimated")
        if why is not None:
            row = Row(why.index, why.op, why.module, f"no rule: {why.reason}", "estimated")
        return Explanation(
            module=type(self.wide.net).__name__,
            limit=f"mean over {self.copies} copies of width {self.wide.width}, beside {self.copies} of width "
            f"{self.narrow.width}. {said}",
            rule=self.law.rule,
            rows=(row,),
            parameters=dict(self.law.notes),
        )

    def verify(
        self,
        x: Any = None,
        *,
        width: int | None = None,
        copies: int = 600,
        seconds: float = 20.0,
        seed: int = 0,
    ) -> Verdict:
        """Compare with copies of a third width: the kernels there must be where the law of 1 / width puts them.

        Args:
            x: A few inputs; up to four of the sample where None.
            width: The third width; twice the larger one where None.
            copies: Most copies of it.
            seconds: About how long they may take.
            seed: Seed of their draws.

        Returns:
            "ok" where every entry agrees within 4 standard errors, "inconsistent" where one does not, "too_noisy" where
            the copies do not tell.

        Raises:
            KernelError: The family cannot be built at that width.
        """
        from similitude.kernels.monte_carlo_verify import verify_estimated  # here: it needs this class

        x = few(self.sample) if x is None else x
        return verify_estimated(self, x, width=width, copies=copies, seconds=seconds, seed=seed)

    def predict(self, x_train: Any, y_train: Tensor, x_test: Any, **options: Any) -> Prediction:
        """Predict the targets of test samples with the estimated kernels; see `TiledKernel.predict`."""
        made = super().predict(x_train, y_train, x_test, **options)
        errors = ", ".join(f"{limit.error:.1%} ({name.upper()})" for name, limit in self.limits.items())
        note = f"kernels are means over {self.copies} wide copies, with standard errors of up to {errors} of an entry"
        return replace(made, notes=(*made.notes, note))

    def fingerprint(self, x: Any) -> Mapping[str, Any]:
        """Return what tells this kernel of inputs like `x` from others: operations, and how copies are drawn."""
        parts = [
            {
                "width": part.width,
                "seed": part.seed,
                "deviations": dict(part.deviations),
                "rates": dict(part.rates),
                "kept": {n: digest(t) for n, t in part.net.state_dict().items() if n not in part.deviations},
            }
            for part in (self.narrow, self.wide)
        ]
        what = {
            "inputs": repr(signature(x)),
            "operations": self.law.operations,
            "parts": parts,
            "copies": self.copies,
        }
        text = json.dumps(what, sort_keys=True, default=repr)
        return {"module": type(self.wide.net).__name__, "digest": hashlib.sha256(text.encode()).hexdigest()}


def estimated_kernel(
    make: Callable[..., nn.Module],
    sample: Any,
    widths: tuple[int, int],
    *,
    reason: KernelError,
    copies: int,
    copy_widths: tuple[int, int] | None,
    rule: str,
    dtype: torch.dtype,
    weight_variance: float | None,
    bias_variance: float | None,
    seed: int,
    device: torch.device = CPU,
) -> EstimatedKernel:
    """Estimate the kernel of a family whose operations have no rule, and see on the sample whether it has a limit.

    Args:
        make: The family.
        sample: Inputs; up to four of them are looked at.
        widths: The two widths that it was recorded at.
        reason: Why it has no exact kernel.
        copies: Copies of each width.
        copy_widths: Their two widths; by default 2 and 8 times the larger recorded one, or less for large models.
        rule: Learning rates of the tangent kernel.
        dtype: Floating-point type.
        weight_variance: Variance times fan-in of every matrix, instead of what its values say.
        bias_variance: Variance of every bias, likewise.
        seed: Seed of all draws.
        device: Where the copies are.

    Raises:
        KernelError: Copies cannot be drawn, or show no limit.
    """
    if copies < _FEWEST or copies % 2:
        raise KernelError(
            f"copies={copies}: standard errors take pairs of copies. Give an even number from {_FEWEST}."
        )
    if copy_widths is not None and (len(copy_widths) != 2 or not 0 < min(copy_widths) < max(copy_widths)):
        raise KernelError(
            f"copy_widths={copy_widths!r}: copies are made at two different widths, to tell what their width changes."
        )
    finite_inputs(sample, "sample")
    law = width_law(
        make, sample, widths, rule=rule, weight_variance=weight_variance, bias_variance=bias_variance, seed=seed
    )  # fmt: skip
    x = few(sample)
    n, m = sorted(copy_widths) if copy_widths is not None else _copy_widths(make, widths[1])
    narrow, wide = (
        wide_copies(make, width, law, x, dtype=dtype, seed=derive(seed, "copies", width), device=device)
        for width in (n, m)
    )
    found = limits(narrow, wide, x, copies)
    return EstimatedKernel(make, widths, law, narrow, wide, copies, rule, dtype, reason, found, sample)


def few(sample: Any) -> Any:
    """Return up to four of some samples."""
    return rows(sample, 0, min(4, count(sample)))


def finite_inputs(x: Any, name: str) -> None:
    """Raise where inputs are none, or not finite.

    Raises:
        KernelError: They are.
    """
    count(x, name)
    if not all(bool(torch.isfinite(t).all()) for t in tensors_of(x) if t.is_floating_point()):
        raise KernelError(f"{name} has entries that are not finite (nan or infinite).")


def _copy_widths(make: Callable[..., nn.Module], width: int) -> tuple[int, int]:
    for few_times, many_times in _WIDER:
        try:
            size = sum(p.numel() for p in build_shapes(make, many_times * width).parameters())
        except SimilitudeError:
            continue
        if size <= _MOST_PARAMETERS:
            return few_times * width, many_times * width
    raise KernelError(
        f"the family has no copies of {_WIDER[-1][0]} and {_WIDER[-1][1]} times width {width} with fewer than "
        f"{_MOST_PARAMETERS:,} parameters. Pass copy_widths= that can be built, or record it at smaller widths="
    )
