"""The Gram matrix of the tangent kernel against the ways of PyTorch's tutorial: contracted Jacobians, and products.

Every measurement is a process of its own on one thread: CPU seconds of the second of two calls (the first warms caches),
peak memory, and the relative difference from the kernel by contracted Jacobians in float64 where that is affordable.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from similitude.landscape.ntk import ntk_gram

SIZES = {"mlp": (16, 64, 256, 512), "resnet": (16, 64), "resnet-bn": (16,), "gpt": (16,)}
SLOW = {("mlp", 16, "products")} | {
    (net, n, way) for net, sizes in SIZES.items() for n in sizes for way in ("jacobian", "products") if n > 16
}
"""Measurements that run into minutes or out of memory; left out unless asked for."""


class Block(nn.Module):
    """Two convolutions and norms beside a strided one."""

    def __init__(self, before: int, after: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(before, after, 1, stride, bias=False)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(after) if batch_norm else nn.GroupNorm(4, after) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(inner)) + self.skip(x))


def build(name: str, n: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    if name == "mlp":
        layers = [nn.Linear(3072, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
        return nn.Sequential(*layers), torch.randn(n, 3072)
    if name == "gpt":
        from similitude.studies.reference import make_gpt

        model = make_gpt(64, vocabulary=64, context=32)
        return nn.Sequential(model, Last()), torch.randint(64, (n, 32))
    blocks = [
        Block(*sizes, batch_norm=name == "resnet-bn") for sizes in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
    ]
    body = [nn.Conv2d(3, 16, 3, 1, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*body), torch.randn(n, 3, 32, 32)


class Last(nn.Module):
    """Ten outputs at the last position."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1, :10]


def structured(model: nn.Module, inputs: Tensor) -> Tensor:
    return ntk_gram(model, inputs).matrix


def trace(model: nn.Module, inputs: Tensor) -> Tensor:
    return ntk_gram(model, inputs, of="trace").matrix


def jacobian(model: nn.Module, inputs: Tensor) -> Tensor:
    """The tutorial's first way: per-example Jacobians by vmap, contracted parameter by parameter."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    single = lambda p, x: functional_call(model, p, (x[None],))[0]  # noqa: E731
    jacobians = vmap(jacrev(single), (None, 0), chunk_size=32)(parameters, inputs)
    rows = len(inputs) * next(iter(jacobians.values())).shape[1]
    return sum(j.reshape(rows, -1) @ j.reshape(rows, -1).T for j in jacobians.values())


def products(model: nn.Module, inputs: Tensor) -> Tensor:
    """The tutorial's second way: a vjp and a jvp on the identity for every pair of examples."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    single = lambda p, x: functional_call(model, p, (x[None],))[0]  # noqa: E731

    def block(a: Tensor, b: Tensor) -> Tensor:
        output, pull = vjp(lambda p: single(p, a), parameters)
        push = lambda u: jvp(lambda p: single(p, b), (parameters,), pull(u))[1]  # noqa: E731
        return vmap(push)(torch.eye(len(output)))

    blocks = vmap(lambda a: vmap(lambda b: block(a, b), chunk_size=16)(inputs), chunk_size=1)(inputs)
    n, _, c, _ = blocks.shape
    return blocks.permute(0, 2, 1, 3).reshape(n * c, n * c)


WAYS = {"structured": structured, "trace": trace, "jacobian": jacobian, "products": products}


def measure(net: str, n: int, way: str) -> dict[str, float | str]:
    """Run one measurement in this process."""
    torch.set_num_threads(1)
    model, inputs = build(net, n)
    if net == "resnet-bn" and way in ("jacobian", "products"):
        return {
            "failed": "vmap takes examples one by one: not the kernel of batch normalization in train mode"
        }
    for _ in range(2):
        started, wall = time.process_time(), time.perf_counter()
        try:
            found = WAYS[way](model, inputs)
        except RuntimeError as error:
            return {"failed": str(error).splitlines()[0][:100]}
        seconds, elapsed = time.process_time() - started, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    result: dict[str, float | str] = {"cpu": seconds, "wall": elapsed, "peak": peak}
    if way != "trace" and n <= 16 and net not in ("resnet-bn", "gpt"):
        exact = jacobian(copy.deepcopy(model).double(), inputs.double())
        result["error"] = float((found - exact).norm() / exact.norm())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument(
        "--examples", type=int, nargs="*", help="numbers of examples; those of the table if none"
    )
    parser.add_argument("--all", action="store_true", help="also what takes minutes or runs out of memory")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one measurement")
    parser.add_argument("--one", nargs=3, metavar=("NET", "N", "WAY"), help="one measurement, as JSON")
    options = parser.parse_args()
    if options.one:
        net, n, way = options.one
        print(json.dumps(measure(net, int(n), way)))
        return
    print(f"torch {torch.__version__}, one thread, C = 10 outputs", flush=True)
    print(f"{'net':<11}{'n':>5} {'way':<12}{'cpu s':>8}{'wall s':>8}{'peak GB':>9}{'error':>10}", flush=True)
    for net in options.nets:
        for n in options.examples or SIZES[net]:
            for way in options.ways:
                if (net, n, way) in SLOW and not options.all:
                    continue
                command = [sys.executable, __file__, "--one", net, str(n), way]
                try:
                    done = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout)
                    row = (
                        json.loads(done.stdout)
                        if done.returncode == 0
                        else {"failed": f"exit {done.returncode}"}
                    )
                except subprocess.TimeoutExpired:
                    row = {"failed": f"not finished in {options.timeout:.0f} s"}
                if "failed" in row:
                    print(f"{net:<11}{n:>5} {way:<12}  {row['failed']}", flush=True)
                    continue
                error = f"{row['error']:.1e}" if "error" in row else ""
                times = f"{row['cpu']:>8.2f}{row['wall']:>8.2f}{row['peak']:>9.2f}"
                print(f"{net:<11}{n:>5} {way:<12}{times}{error:>10}", flush=True)


if __name__ == "__main__":
    main()
