"""Covariances of wide values, and inner products of their gradients: recursively over the atoms that they consist of.

K(a, b) = E[a b] and T(a, b) = sum over parameters of lr (da/dtheta)(db/dtheta), of one neuron: bilinear in sums of atoms;
Yang 2019 (NETSOR, arXiv:1910.12478) and 2020 (arXiv:2006.14548).
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.contraction import contract, contract_data, mixed
from similitude.kernels.duals import Cross, Dual, cross
from similitude.kernels.frames import ZERO, Frame, Pair, Scales
from similitude.kernels.functions import Function
from similitude.kernels.reads import (
    each,
    equal_positions,
    fill_diagonal,
    read_mean,
    read_pairs,
    read_where,
    run_matrix,
    times_in_place,
    times_leaves,
)
from similitude.kernels.run import Run
from similitude.kernels.values import (
    Atom,
    Data,
    Dropped,
    Field,
    Filter,
    Heads,
    Image,
    Linear,
    Mix,
    One,
    Operator,
    Product,
    Rows,
    Term,
    Wide,
    shared,
    single,
)

_BOTH = (
    "the parameter '{}' is contracted with finite data and with infinitely many neurons, which has no rule."
)


class Covariances:
    """Computes covariances of values.

    Args:
        scales: Variances of the parameters.
    """

    def __init__(self, scales: Scales) -> None:
        self.scales = scales
        self._own: dict[Run, Frame] = {}
        self._whole: dict[Run, Frame] = {}

    def variance(self, value: Wide, run: Run) -> Tensor:
        """Return E v^2: (n or 1, positions)."""
        found = self.cov(value, value, self.own(run), full=False).k
        return run.zeros((1, 1)) if found is None else found

    def own(self, run: Run) -> Frame:
        """Return the frame of a run's samples with themselves."""
        return self._own.setdefault(run, Frame(run, run, zipped=True, tangent=False))

    def whole(self, run: Run) -> Frame:
        """Return the frame of all pairs of a run's samples."""
        return self._whole.setdefault(run, Frame(run, run, zipped=False, tangent=False))

    def mean(self, value: Wide, run: Run) -> Tensor | None:
        """Return E v: (n or 1, positions or 1)."""
        total = None
        for term in value.terms:
            mean = self.atom_mean(term.atom, run)
            if mean is None:
                continue
            if term.where is not None:
                mean = read_mean(mean, term.where)
            mean = times_leaves(mean, term.coefficient, run)
            total = mean if total is None else total + mean
        return total

    def atom_mean(self, atom: Atom, run: Run) -> Tensor | None:
        """Return the mean of an atom: (n or 1, positions or 1), None where it is zero."""
        match atom:
            case One():
                return torch.ones(1, 1, dtype=run.dtype, device=run.device)
            case Image():
                return atom.function.dual.mean(run.variance(atom.root))
            case Mix():
                mean = run.mean(atom.source)
                if mean is None:
                    return None
                matrix = run.read(atom)
                return (mean.expand(mean.shape[0], matrix.shape[-2])[:, None] @ matrix)[:, 0]
            case Dropped():
                return run.mean(atom.source)
            case Field():
                return run.read(atom).mean(-1)
            case Heads():
                mean = self.atom_mean(atom.source, run)
                return None if mean is None or mean.shape[1] == 1 else mean.repeat(1, atom.number)
            case Product():
                left, right = run.mean(atom.left), run.mean(atom.right)
                return None if left is None or right is None else left * right
            case Operator():
                return atom.rule.mean(run, atom)
            case _:
                return None

    def cov(self, a: Wide, b: Wide, frame: Frame, *, full: bool) -> Pair:
        """Return K(a, b) and T(a, b) at equal positions, or at all pairs of positions.

        What it returns is shared: nobody may write into it.
        """
        if a.positions == 1 and b.positions == 1 and full:
            return each(self.cov(a, b, frame, full=False), lambda x: x[..., None])
        key = (a, b, full)
        found = frame.memo.get(key)
        if found is not None:
            return found
        if not full and (whole := frame.memo.get((a, b, True))) is not None:
            pair = each(whole, equal_positions)
        else:
            pair = self._sum(a, b, frame, full)
        frame.memo[key] = pair
        return pair

    def _sum(self, a: Wide, b: Wide, frame: Frame, full: bool) -> Pair:
        total: list[Tensor | None] = [None, None]
        fresh = [False, False]
        for one in a.terms:
            for two in b.terms:
                pair, new = self._terms(one, two, frame, full)
                for i, part in enumerate(pair):
                    if part is None:
                        continue
                    held = total[i]
                    if held is None:
                        total[i], fresh[i] = part, new
                    elif fresh[i] and held.shape == np.broadcast_shapes(held.shape, part.shape):
                        held.add_(part)
                    else:
                        total[i], fresh[i] = held + part, True
        return Pair(*total)

    def _terms(self, one: Term, two: Term, frame: Frame, full: bool) -> tuple[Pair, bool]:
        """Return the covariance of two terms, and whether its tensors may be written into."""
        if one.where is None and two.where is None:
            pair, new = self.atoms(one.atom, two.atom, frame, full)
        elif (
            not full
            and one.where is not None
            and two.where is not None
            and (one.where is two.where or torch.equal(one.where, two.where))
        ):
            pair, new = self.atoms(one.atom, two.atom, frame, False)
            where = one.where
            pair, new = each(pair, lambda x: read_where(x, where, -1)), True
        else:
            pair, new = self._read_apart(one, two, frame, full), True
        for coefficient, place, run in (
            (one.coefficient, frame.first, frame.left),
            (two.coefficient, frame.second, frame.right),
        ):
            if coefficient.scale != 1:
                pair = each(pair, lambda x, c=coefficient, w=new: x.mul_(c.scale) if w else x * c.scale)
                new = True
            for leaf in coefficient.leaves:
                factor = place(run.read(leaf), full)
                pair, new = each(pair, lambda x, f=factor, w=new: times_in_place(x, f, w)), True
        return pair, new

    def _read_apart(self, one: Term, two: Term, frame: Frame, full: bool) -> Pair:
        """Read different positions of two atoms."""
        pair, _ = self.atoms(one.atom, two.atom, frame, True)
        if full:
            pair = each(pair, lambda x: x if one.where is None else read_where(x, one.where, -2))
            return each(pair, lambda x: x if two.where is None else read_where(x, two.where, -1))
        rows = torch.arange(one.atom.positions) if one.where is None else one.where
        columns = torch.arange(two.atom.positions) if two.where is None else two.where
        rows, columns = torch.broadcast_tensors(rows, columns)
        return each(pair, lambda x: read_pairs(x, rows, columns))

    def atoms(self, a: Atom, b: Atom, frame: Frame, full: bool) -> tuple[Pair, bool]:
        """Return K and T of two atoms, and whether their tensors may be written into."""
        if not full and a.positions != b.positions and not (a.positions == 1 or b.positions == 1):
            raise AssertionError("equal positions of atoms with different numbers of them")
        match a, b:
            case One(), One():
                axes = (1 if frame.zipped else 2) + (2 if full else 1)
                one = torch.ones([1] * axes, dtype=frame.left.dtype, device=frame.left.device)
                return Pair(one), True
            case One(), _:
                mean = self.atom_mean(b, frame.right)
                return Pair(None if mean is None else frame.second(mean, full)), False
            case _, One():
                mean = self.atom_mean(a, frame.left)
                return Pair(None if mean is None else frame.first(mean, full)), False
            case Mix(), _:
                pair = self.cov(a.source, single(b), frame, full=True)
                pair = each(pair, lambda x: mixed(x, run_matrix(frame, a, True), -2))
                return (pair if full else each(pair, equal_positions)), full
            case _, Mix():
                pair = self.cov(single(a), b.source, frame, full=True)
                pair = each(pair, lambda x: mixed(x, run_matrix(frame, b, False), -1))
                return (pair if full else each(pair, equal_positions)), full
            case Dropped(), Dropped() if a is b:
                return self._dropped(a, frame, full), True
            case Dropped(), _:
                return self.cov(a.source, single(b), frame, full=full), False
            case _, Dropped():
                return self.cov(single(a), b.source, frame, full=full), False
            case Operator(), _:
                return a.rule.cov(self, frame, a, b, full), True
            case _, Operator():
                return b.rule.cov(self, frame, a, b, full), True
            case Product(), _:
                return self._product(a, b, frame, full), True
            case _, Product():
                return self._product(a, b, frame, full), True
            case Image(), Image():
                return self._images(a, b, frame, full), True
            case Image(), _ if b.gaussian:
                return self._stein(
                    a, self.cov(a.root, single(b), frame, full=full), frame, full, left=True
                ), True
            case _, Image() if a.gaussian:
                return self._stein(
                    b, self.cov(single(a), b.root, frame, full=full), frame, full, left=False
                ), True
            case (Filter(), _) | (_, Filter()):
                return self._filters(a, b, frame, full), True
            case Linear(), Linear() if a.weight == b.weight and a.part == b.part:
                return self._linear(a, b, frame, full), True
            case Rows(), Rows() if a.weight == b.weight and a.part == b.part:
                return self._rows(a, b, frame, full), True
            case Heads(), Heads() if (a.number, a.slow) == (b.number, b.slow):
                return self._heads(a, b, frame, full), True
            case Field(), Field():
                return self._fields(a, b, frame, full), True
            case _ if not shared(a.support, b.support):
                return ZERO, True
            case _:
                raise KernelError(
                    f"a covariance of {type(a).__name__.lower()} and {type(b).__name__.lower()} values of the same "
                    f"parameters ({', '.join(shared(a.support, b.support))}) has no rule."
                )

    def _linear(self, a: Linear, b: Linear, frame: Frame, full: bool) -> Pair:
        variance = self.scales.variance[a.weight, "matrix"]
        rate = self.scales.rate[a.weight, "matrix"]
        if isinstance(a.source, Data):
            if not isinstance(b.source, Data):
                raise KernelError(_BOTH.format(a.weight))
            k = contract_data(frame.left.read(a.source), frame.right.read(b.source), frame.zipped, full)
            t = None
        else:
            if not isinstance(b.source, Wide):
                raise KernelError(_BOTH.format(a.weight))
            apart = a.taps is not b.taps and (a.taps is None or b.taps is None or a.taps.key != b.taps.key)
            inner = self.cov(a.source, b.source, frame, full=full or apart)
            k, t = contract(inner.k, a.taps, b.taps, full), contract(inner.t, a.taps, b.taps, full)
        if k is not None and frame.tangent and rate:
            # In place: a tile's tensors stay in the cache.
            t = k * rate if t is None else t.mul_(variance).add_(k, alpha=rate)
        elif t is not None:
            t = t.mul_(variance)
        return Pair(None if k is None else k.mul_(variance), t if frame.tangent else None)

    def _filters(self, a: Atom, b: Atom, frame: Frame, full: bool) -> Pair:
        """Return the covariance with a filter, whose mean is 0: nothing, but for what the same filter gave."""
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Filter) and one.weight not in {part[0] for part in other.support}:
                return ZERO
        if (
            isinstance(a, Filter)
            and isinstance(b, Filter)
            and (a.weight, a.part) == (b.weight, b.part)
            and not any(
                isinstance(f.source, Wide) and f.weight in {part[0] for part in f.source.support}
                for f in (a, b)
            )
        ):
            return self._linear(a, b, frame, full)
        name = a.weight if isinstance(a, Filter) else b.weight if isinstance(b, Filter) else ""
        raise KernelError(
            f"the filter '{name}' of single neurons acts twice on the same ones: powers of it have no rule."
        )

    def _rows(self, a: Rows, b: Rows, frame: Frame, full: bool) -> Pair:
        variance, rate = self.scales.variance[a.weight, a.role], self.scales.rate[a.weight, a.role]
        one, two = frame.left.read(a), frame.right.read(b)
        same = (frame.first(one, full) == frame.second(two, full)).to(frame.left.dtype)
        return Pair(same * variance if variance else None, same * rate if frame.tangent and rate else None)

    def _images(self, a: Image, b: Image, frame: Frame, full: bool) -> Pair:
        inner = self.cov(a.root, b.root, frame, full=full)
        q1, q2 = frame.left.variance(a.root), frame.right.variance(b.root)
        q1, q2 = frame.first(q1, full), frame.second(q2, full)
        k = inner.k
        if k is None:
            k = q1.new_zeros([1] * q1.dim())
        elif frame.exact and a.root is b.root:
            fill_diagonal(k, frame.left.variance(a.root), full)
        if a.function == b.function:
            dual = a.function.dual
            if inner.t is None:
                return Pair(dual.covariance(k, q1, q2))
            value, slope = dual.both(k, q1, q2)
        else:
            both = _cross(a.function, b.function)
            value = both.covariance(k, q1, q2)
            if inner.t is None:
                return Pair(value)
            slope = both.derivative(k, q1, q2)
        return Pair(value, slope.mul_(inner.t) if slope.shape == inner.t.shape else slope * inner.t)

    def _stein(self, image: Image, inner: Pair, frame: Frame, full: bool, *, left: bool) -> Pair:
        run, place = (frame.left, frame.first) if left else (frame.right, frame.second)
        dual, q = image.function.dual, run.variance(image.root)
        k = None if inner.k is None else inner.k * place(dual.stein(q), full)
        return Pair(k, None if inner.t is None else inner.t * place(dual.slope(q), full))

    def _product(self, a: Atom, b: Atom, frame: Frame, full: bool) -> Pair:
        """Return the covariance of products: their factors are matched by the parameters that they share."""
        left = [a.left, a.right] if isinstance(a, Product) else [single(a)]
        right = [b.left, b.right] if isinstance(b, Product) else [single(b)]
        if len(left) == len(right) == 2 and (
            shared(left[0].support, right[1].support) or shared(left[1].support, right[0].support)
        ):
            right.reverse()
        for i, one in enumerate(left):
            if any(shared(one.support, two.support) for j, two in enumerate(right) if i != j):
                raise KernelError(
                    "factors of two products depend on each other crosswise (parameters "
                    f"{', '.join(sorted({name for v in left for name, *_ in v.support}))}): an expectation of over "
                    "two Gaussians, which has no rule. Monte Carlo over wide copies is what is left."
                )
        if len(left) == len(right):
            x, y = (self.cov(u, v, frame, full=full) for u, v in zip(left, right, strict=True))
            t = None
            if x.t is not None and y.k is not None:
                t = x.t * y.k
            if y.t is not None and x.k is not None:
                t = x.k * y.t if t is None else t + x.k * y.t
            return Pair(None if x.k is None or y.k is None else x.k * y.k, t)
        if len(left) == 2:
            many, (other,), run, place = left, right, frame.left, frame.first
        else:
            many, (other,), run, place = right, left, frame.right, frame.second
        many.sort(key=lambda v: not shared(v.support, other.support))
        mean = run.mean(many[1])
        if mean is None:
            return ZERO
        pair = (
            self.cov(many[0], other, frame, full=full)
            if many is left
            else self.cov(other, many[0], frame, full=full)
        )
        return each(pair, lambda x: x * place(mean, full))

    def _dropped(self, a: Dropped, frame: Frame, full: bool) -> Pair:
        pair = self.cov(a.source, a.source, frame, full=full)
        factor = 1 / (1 - a.probability)
        if not frame.zipped and not frame.exact:
            return each(pair, torch.clone)

        def scale(x: Tensor) -> Tensor:
            n, p = frame.left.samples, a.positions
            shape = ([n] if frame.zipped else [n, n]) + ([p, p] if full else [p])
            x = x.expand(shape).clone()
            same = x if frame.zipped else x.diagonal(0, 0, 1)
            if full:
                same = same.diagonal(0, -2, -1) if frame.zipped else x.diagonal(0, 2, 3).diagonal(0, 0, 1)
            same.mul_(factor)
            return x

        return each(pair, scale)

    def _heads(self, a: Heads, b: Heads, frame: Frame, full: bool) -> Pair:
        """Return the covariance of neurons cut into groups: groups are independent but of the same law."""
        pair, _ = self.atoms(a.source, b.source, frame, full)
        number = a.number

        def grouped(x: Tensor) -> Tensor:
            if not full:
                return x.repeat(*[1] * (x.dim() - 1), number)
            p, r = a.source.positions, b.source.positions
            *head, _, _ = x.shape
            eye = torch.eye(number, dtype=x.dtype, device=x.device)
            return (eye[:, None, :, None] * x.expand(*head, p, r)[..., None, :, None, :]).reshape(
                *head, number * p, number * r
            )

        pair = each(pair, grouped)
        one, two = self.atom_mean(a.source, frame.left), self.atom_mean(b.source, frame.right)
        if not full or one is None or two is None:
            return pair
        # Different groups are independent, so that their products have the product of the means.
        means = frame.first(one, True) * frame.second(two, True)
        p, r = a.source.positions, b.source.positions
        means = means.expand(*means.shape[:-2], p, r)
        apart = 1 - torch.eye(number, dtype=means.dtype, device=means.device)
        blocks = apart[:, None, :, None] * means[..., None, :, None, :]
        off = blocks.reshape(*means.shape[:-2], number * p, number * r)
        return Pair(off if pair.k is None else pair.k + off, pair.t)

    def _fields(self, a: Field, b: Field, frame: Frame, full: bool) -> Pair:
        one, two = frame.left.read(a), frame.right.read(b)
        return Pair(contract_data(one, two, frame.zipped, full))


@functools.lru_cache(maxsize=256)
def _cross(f: Function, g: Function) -> Dual | Cross:
    return cross(f.dual, g.dual)
