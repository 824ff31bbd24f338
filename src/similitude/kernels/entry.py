"""The kernel of a module or a family: exact where every operation has a rule, else estimated where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import torch
from torch import nn

from similitude.core.errors import KernelError
from similitude.kernels.arguments import real, seeded_by, two_widths
from similitude.kernels.devices import usable
from similitude.kernels.infinite import Kernel
from similitude.kernels.monte_carlo import EstimatedKernel, estimated_kernel
from similitude.kernels.program import converted
from similitude.kernels.rule_rates import known_rule
from similitude.kernels.samples import count, rows
from similitude.kernels.scales import ManyDraws
from similitude.scaling.axes import build

_DTYPES = (torch.float32, torch.float64)
_MONTE_CARLO = "monte carlo"
_COPIES = 64


@overload
def kernel(
    module_or_make: nn.Module | Callable[..., nn.Module],
    *,
    sample: Any = ...,
    widths: Sequence[int] | None = ...,
    rule: str = ...,
    dtype: torch.dtype = ...,
    weight_variance: float | None = ...,
    bias_variance: float | None = ...,
    seed: int = ...,
    device: torch.device | str | None = ...,
    fallback: None = ...,
) -> Kernel: ...


@overload
def kernel(
    module_or_make: nn.Module | Callable[..., nn.Module],
    *,
    sample: Any = ...,
    widths: Sequence[int] | None = ...,
    rule: str = ...,
    dtype: torch.dtype = ...,
    weight_variance: float | None = ...,
    bias_variance: float | None = ...,
    seed: int = ...,
    device: torch.device | str | None = ...,
    fallback: Literal["monte carlo"] | None,
    copies: int = ...,
    copy_widths: tuple[int, int] | None = ...,
) -> Kernel | EstimatedKernel: ...


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
    device: torch.device | str | None = None,
    fallback: Literal["monte carlo"] | None = None,
    copies: int = _COPIES,
    copy_widths: tuple[int, int] | None = None,
) -> Kernel | EstimatedKernel:
    """Return the kernel of an unmodified module, or of a family of modules, in the limit of infinite width.

    The module runs on the sample while every operation is recorded. Of a family two widths are recorded, and what
    grows between them is infinite. Of a single module every hidden axis is: all that a random matrix produces.

    Args:
        module_or_make: A module, or a function of the width that returns one. It is copied, not changed, and stays in
            its mode: in training mode dropout drops and batch norm normalizes by the batch.
        sample: Inputs as the module takes them (a tensor, a tuple or a dict), samples along the first axis; read at
            once where given, so that a module without a kernel is refused now and not at the first use.
        widths: Two widths of a family, the smaller one that of your own initialization.
        rule: Learning rates of the tangent kernel: a rule of `similitude.plan`. "ntp": each tensor is its standard
            deviation times one that is trained with rate 1, as in the NTK parametrization; constants (gains, biases of
            one number, matrices of 0) are not trained. Others: SGD of learning rate 1 at the recorded width, and at
            larger ones the plan's factors, tensor by tensor; a power of the width that is left ("sp": width^1) is
            divided off and `explain()` says so. Gains, and biases of norms that start at 0, are left out.
        dtype: float64, or float32 for speed.
        weight_variance: Variance of weights times fan-in, for all matrices and filters, instead of what the module's
            own values say.
        bias_variance: Variance of all biases of layers, likewise.
        seed: Seed of the builds of a family, and of its copies.
        device: Where Gram matrices are computed, e.g. "cuda"; where None, on the accelerator that inputs, the sample or
            the module are on, else on the CPU. They are returned where the inputs are.
        fallback: What to do where a family has no exact kernel. By default it is refused, with the operation and the
            reason. "monte carlo": the kernel is a mean over wide copies, with standard errors; where copies of two widths
            show no limit it is refused all the same, with the numbers. Then `sample` must be given.
        copies: Copies of each width, an even number; errors fall as its root.
        copy_widths: The two widths of the copies; by default 2 and 8 times the larger of `widths`, or less for large
            models.

    Returns:
        The kernel: `.nngp(x1, x2)`, `.ntk(x1, x2)`, `.explain()`, `.verify()`, `.predict(...)`; an estimated one also has
        `.estimate(x1, x2)`, with errors.

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
    known_rule(rule)
    if dtype not in _DTYPES:
        raise KernelError(f"dtype={dtype} is not one of {', '.join(map(str, _DTYPES))}.")
    weight_variance, bias_variance = (
        None if value is None else real(name, value, remedy="That is not a variance: pass e.g. 2.0.")
        for name, value in (("weight_variance", weight_variance), ("bias_variance", bias_variance))
    )
    seed = seeded_by(seed)
    there = None if device is None else usable(device)
    if fallback not in (None, _MONTE_CARLO):
        raise KernelError(f"fallback={fallback!r} is not known. Pass {_MONTE_CARLO!r}, or None to refuse.")
    if fallback is None and (copies != _COPIES or copy_widths is not None):
        raise KernelError(f"copies= and copy_widths= have no effect without fallback={_MONTE_CARLO!r}.")
    if isinstance(module_or_make, nn.Module):
        if fallback is not None:
            raise KernelError(
                f"fallback={fallback!r} needs a family, whose copies can be made wider: pass the function of the width "
                "that builds the module instead of the module."
            )
        if widths is not None:
            raise KernelError(
                "widths= needs a family: pass the function of the width that builds the module instead of the module."
            )
        converted(module_or_make, dtype)
        found = Kernel(
            (module_or_make,), rule, dtype, None, (), weight_variance, bias_variance, sample, device=there
        )
    elif callable(module_or_make):
        small, large = two_widths(
            widths, "A family needs two different widths to see what grows, e.g. widths=(32, 48)."
        )
        modules = tuple(build(module_or_make, width, seed=seed) for width in (small, large))
        found = Kernel(
            modules, rule, dtype, module_or_make, (small, large), weight_variance, bias_variance, sample,
            ManyDraws(module_or_make, small, seed, sum(p.numel() for p in modules[0].parameters()), large), there,
        )  # fmt: skip
    else:
        raise KernelError(
            f"{module_or_make!r} is neither a module nor a function of the width that builds one."
        )
    if fallback is None:
        if sample is not None:
            found.reader(sample)
        return found
    if sample is None:
        raise KernelError(f"fallback={fallback!r} looks at copies on a few inputs. Pass them as sample=.")
    try:
        found.pair(rows(sample, 0, min(2, count(sample))))
    except KernelError as error:
        if error.refusal is not None and not error.refusal.estimable:
            raise
        return _estimated(found, error, copies, copy_widths, seed)
    return found


def _estimated(
    exact: Kernel, reason: KernelError, copies: int, copy_widths: tuple[int, int] | None, seed: int
) -> EstimatedKernel:
    assert exact.make is not None, "a family"
    small, large = exact.widths
    try:
        return estimated_kernel(
            exact.make, exact.sample, (small, large), reason=reason, copies=copies, copy_widths=copy_widths,
            rule=exact.rule, dtype=exact.dtype, weight_variance=exact.weight_variance,
            bias_variance=exact.bias_variance, seed=seed, device=exact.device_for(exact.sample),
        )  # fmt: skip
    except KernelError as error:
        said = str(reason.refusal or reason).rstrip(".")
        raise KernelError(f"{error} (It has no exact kernel either: {said}.)") from reason
