"""Compare a kernel with wide copies of its module: plain Monte Carlo over initializations, at two widths where it can."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from similitude.core.errors import KernelError
from similitude.core.seeding import derive, seeded, torch_generator
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.kernels.arguments import real, seeded_by, two_widths, whole
from similitude.kernels.devices import CPU
from similitude.kernels.grams import NAMES
from similitude.kernels.program import converted
from similitude.kernels.samples import count, moved
from similitude.kernels.tangent_rates import tangent_rates
from similitude.scaling.axes import build
from similitude.scaling.dataflow.passes import call_of

if TYPE_CHECKING:
    from similitude.kernels.infinite import Kernel
    from similitude.kernels.reader import Reader
    from similitude.kernels.scales import ScaleTable

_SIGMAS = 4.0  # of about twenty entries: by chance in fewer than one comparison of five hundred
_NOISY = 0.05  # relative standard error above which nothing is said
_WANTED = 0.02  # relative standard error at which copies are enough
_FEWEST = 24
_SLACK = 4.0  # what one width may differ by, times its inverse
_LOOSE = 0.5  # largest such difference, relative, at which a comparison says something
_MOST_FORWARD = 20_000
_WIDER = 4  # ratio of the two widths


@dataclass(frozen=True)
class Copies:
    """Means over wide copies.

    Attributes:
        width: Width of the copies; 0 where it is the module's own.
        number: Copies.
        mean: By kernel, (n, n).
        error: Standard errors, likewise.
    """

    width: int
    number: int
    mean: Mapping[str, Tensor]
    error: Mapping[str, Tensor]


def verify(
    kernel: Kernel,
    x: Any,
    *,
    widths: tuple[int, int] | None = None,
    copies: int = 600,
    seconds: float = 20.0,
    seed: int = 0,
) -> Verdict:
    """Compare both kernels with means over wide copies.

    Weights of the copies are drawn anew with the variances that the kernel assumes. A family is built at two widths, and
    what its copies say is extrapolated to infinite width by their fall as 1/width. A single module has one width only and
    cannot be made wider: means over its draws know its own kernels to 2 %, which may differ from those at infinite width
    by 4/width, and an error below that is not seen. With fewer than eight neurons nothing is said.

    Args:
        kernel: The kernel.
        x: A few inputs.
        widths: Widths of the copies of a family; by default 2 and 8 times its larger one.
        copies: Most copies of each width.
        seconds: Most time for each width.
        seed: Seed of the draws.

    Returns:
        "ok" where every entry agrees within 4 standard errors, "inconsistent" where one does not, "too_noisy" where the
        copies do not tell.
    """
    whole("copies", copies, least=1, remedy="The comparison takes at least one copy of each width.")
    real("seconds", seconds, remedy="Pass the most time for each width, e.g. 20.")
    seeded_by(seed)
    if widths is not None and kernel.make is None:
        raise KernelError(
            "widths= is for families; a single module is compared with copies of its own width."
        )
    if widths is not None:
        widths = two_widths(
            widths, "Copies are built at two different widths, to follow them to infinite width."
        )
    x = moved(x, CPU)  # the copies are drawn and run there
    exact = kernel.pair(x)
    if kernel.make is None:
        found = [_copies(kernel, kernel.modules[0], None, x, copies, seconds, seed)]
        narrow = _narrowest(kernel, x)
    else:
        narrow = 0
        widths = widths or (2 * kernel.widths[1], 2 * _WIDER * kernel.widths[1])
        found = []
        for width in sorted(widths):
            found.append(_copies(kernel, None, width, x, copies, seconds, seed))
    return _verdict(exact, found, narrow)


def _narrowest(kernel: Kernel, x: Any) -> int:
    fans = [n for n in kernel.reader(x).widths() if n > 1]
    return min(fans, default=1)


def _copies(
    kernel: Kernel,
    module: nn.Module | None,
    width: int | None,
    x: Any,
    copies: int,
    seconds: float,
    seed: int,
) -> Copies:
    started = time.monotonic()
    base = kernel.reader(x)
    if module is None:
        assert kernel.make is not None, "a family"
        assert width is not None, "its width"
        first = build(kernel.make, width, seed=derive(seed, "verify"))
        at = _scaled(
            kernel, type(kernel)((first,), kernel.rule, kernel.dtype, device=kernel.device_for(x)), x
        )
    else:
        first, at = module, base
    own = converted(first, kernel.dtype)
    x = tree_map_only(Tensor, lambda t: t.to(kernel.dtype) if t.is_floating_point() else t, x)
    deviations = _deviations(at.scales)
    rates = tangent_rates(at.scales)
    sums: dict[str, list[Tensor]] = {name: [] for name in NAMES}
    for index in range(_MOST_FORWARD):
        _draw(own, deviations, derive(seed, "copy", index))
        gradients = index < copies and (index < _FEWEST or _noise(sums["ntk"]) > _WANTED)
        nngp, ntk = _kernels(own, x, rates if gradients else {}, derive(seed, "forward", index))
        sums["nngp"].append(nngp)
        if gradients:
            sums["ntk"].append(ntk)
        if index + 1 >= _FEWEST and index % 8 == 7:
            done = not gradients and _noise(sums["nngp"]) < _WANTED
            if done or time.monotonic() - started > seconds:
                break
    stats = {name: _mean(parts) for name, parts in sums.items()}
    return Copies(
        width or 0,
        len(sums["nngp"]),
        {n: m for n, (m, _) in stats.items()},
        {n: e for n, (_, e) in stats.items()},
    )


def _scaled(kernel: Kernel, wide: Kernel, x: Any) -> Reader:
    """Return a wide member as it was read, with variances for which its own kernel is the family's.

    Those are its own where its initialization keeps the kernel (also where its forward pass has powers of the width in
    it), else those of the member that was recorded.
    """
    base, own = kernel.reader(x), wide.reader(x)
    wanted = kernel.pair(x, which=("nngp",))["nngp"]
    names = base.renamed(own)
    variance = {(names[name], role): v for (name, role), v in base.scales.variance.items()}
    rate = {(names[name], role): v for (name, role), v in base.scales.rate.items()}
    before = dict(own.scales.variance), dict(own.scales.rate)
    far: list[float] = []
    for each_variance, each_rate in ((variance, rate), before):
        own.scales.variance.update(each_variance)
        own.scales.rate.update(each_rate)
        far.append(float((wide.pair(x, which=("nngp",))["nngp"] - wanted).norm()))
    if far[0] <= far[1]:
        own.scales.variance.update(variance)
        own.scales.rate.update(rate)
    return own


def _deviations(scales: ScaleTable) -> dict[str, float]:
    """Return the standard deviation of an entry of every parameter; those left out stay as they are."""
    found: dict[str, float] = {}
    for (name, role), variance in scales.variance.items():
        if role == "bias" and scales.start(name):
            continue
        fan = scales.fans[name, role] if role == "matrix" else 1
        found[name] = math.sqrt(variance / fan) / abs(scales.factors.get((name, role), 1.0))
    return found


def _draw(net: nn.Module, deviations: Mapping[str, float], seed: int) -> None:
    generator = torch_generator(seed)
    for name, p in net.named_parameters():
        if name in deviations:
            p.data.normal_(generator=generator).mul_(deviations[name])


def _kernels(net: nn.Module, x: Any, rates: Mapping[str, float], seed: int) -> tuple[Tensor, Tensor]:
    """Return mean products of one copy's outputs, and the tangent kernel of one of its outputs."""
    for name, p in net.named_parameters():
        p.requires_grad_(rates.get(name, 0) > 0)
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    with seeded(seed), torch.set_grad_enabled(bool(trained)):
        out = output_tensor(call_of(x, None)(net))
    n = count(x)
    flat = out.reshape(n, -1)
    place = int(torch.randint(flat.shape[1], (), generator=torch_generator(seed, "output")))
    ntk = torch.zeros(n, n, dtype=flat.dtype)
    if trained:
        rows = []
        for i in range(n):
            grads = torch.autograd.grad(
                flat[i, place], list(trained.values()), retain_graph=True, allow_unused=True
            )
            rows.append(
                torch.cat([
                    torch.zeros_like(p).flatten() if g is None else g.flatten() * math.sqrt(rates[name])
                    for (name, p), g in zip(trained.items(), grads, strict=True)
                ])
            )  # fmt: skip
        gradients = torch.stack(rows)
        ntk = gradients @ gradients.T
    return (flat @ flat.T / flat.shape[1]).detach(), ntk


def output_tensor(output: Any) -> Tensor:
    """Return the first tensor of what a module returned.

    Raises:
        KernelError: There is none.
    """
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, Mapping) else output
    for value in values:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Mapping | tuple | list):
            return output_tensor(value)
    raise KernelError("the module returns no tensor.")


def _noise(parts: list[Tensor]) -> float:
    return _relative(*_mean(parts))


def _mean(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    stack = torch.stack(parts)
    return stack.mean(0), stack.std(0) / math.sqrt(len(parts))


def _relative(mean: Tensor, error: Tensor) -> float:
    scale = mean.diagonal().abs().sqrt()
    scale = (scale[:, None] * scale).clamp_min(1e-300)
    return float((error / scale).max())


def _verdict(exact: Mapping[str, Tensor], found: list[Copies], narrow: int) -> Verdict:
    evidence: list[Evidence] = []
    worst, noise = 0.0, 0.0
    for name in NAMES:
        k = exact[name]
        size = k.diagonal().abs().sqrt()
        size = (size[:, None] * size).clamp_min(1e-300)
        last = found[-1]
        if not bool(k.any()) and not bool(last.mean[name].any()):
            continue
        mean, error = last.mean[name], last.error[name]
        if len(found) == 2:
            a, b = found
            share = b.width / (b.width - a.width)
            mean = share * b.mean[name] - (share - 1) * a.mean[name]
            error = torch.hypot(share * b.error[name], (share - 1) * a.error[name])
        slack = 0.0 if len(found) == 2 else _SLACK / max(1, narrow)
        off = ((mean - k).abs() - slack * size).clamp_min(0) / error.clamp_min(1e-12 * size)
        worst = max(worst, float(off.max()))
        noise = max(noise, float((error / size).max()))
        for part in found:
            deviation = float(((part.mean[name] - k).abs() / size).max())
            at = f"at width {part.width}" if part.width else "at its own width"
            evidence.append(
                Evidence(
                    f"largest relative deviation of the {name.upper()} {at} ({part.number} copies)",
                    deviation,
                    expected=f"0 within standard errors up to {float((part.error[name] / size).max()):.2g}, and 1/width",
                )
            )
        evidence.append(
            Evidence(
                f"{name.upper()}: largest distance in standard errors",
                float(off.max()),
                expected=f"below {_SIGMAS:g}",
            )
        )
    how = (
        "extrapolated to infinite width"
        if len(found) == 2
        else f"at its own {narrow} neurons, whose number may add {_SLACK:g}/{narrow} = {_SLACK / max(1, narrow):.0%}"
    )
    family = (
        "give a family of the width: one module cannot be made wider, and an error of the kernel below "
        f"{_SLACK:g}/{narrow} is not seen in it"
    )
    if len(found) == 1 and _SLACK / max(1, narrow) > _LOOSE:
        return Verdict(
            Outcome.TOO_NOISY,
            f"a module with {narrow} neurons says nothing about infinite width: its kernels may differ by a few times "
            f"1/{narrow}",
            tuple(evidence),
            next=family,
        )
    if noise > (_NOISY if len(found) == 2 else max(_NOISY, _SLACK / max(1, narrow) / 4)):
        return Verdict(
            Outcome.TOO_NOISY,
            f"wide copies know the kernels to {noise:.1%} only",
            tuple(evidence),
            next="verify(x, copies=..., seconds=...) with more of both",
        )
    if worst > _SIGMAS:
        return Verdict(
            Outcome.INCONSISTENT,
            f"the kernels differ from wide copies ({how}) by {worst:.1f} standard errors",
            tuple(evidence),
            causes=(
                "an axis that does not grow with the width was taken as infinite",
                "the copies are too narrow for a fall as 1/width",
                "a rule is wrong",
            ),
            next="verify at larger widths; look at explain()"
            if len(found) == 2
            else f"{family}; look at explain()",
        )
    return Verdict(
        Outcome.OK,
        f"the kernels agree with wide copies ({how}) within {worst:.1f} standard errors",
        tuple(evidence),
        next="" if len(found) == 2 else family,
    )
