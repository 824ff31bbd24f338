"""Where a model fails, in rules: a small decision tree found on one part of the scenes and judged on the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from similitude.core.errors import SceneError
from similitude.evaluation.aggregate import Estimate
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.comparison import mcnemar
from similitude.scenes.analysis.factors import Factor, factors_of, judged
from similitude.scenes.analysis.pairs import holm
from similitude.scenes.analysis.shares import measured_of, share_of

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

FEWEST = 60
"""Scenes that are enough to find rules on one part and judge them on the other."""

RARER = 9
"""Scenes of the rarer outcome that are needed, so that both parts and every fold have some."""

HELD_OUT = 0.4
"""Share of scenes that rules are judged on."""

DEPTH = 3
"""Conditions that a rule may have."""

LEAVES = (2, 3, 4, 5, 6)
"""Rules that there may be; cross-validation on the first part chooses the fewest that are within one standard error of
the best."""

FOLDS = 5


@dataclass(frozen=True)
class Rule:
    """Scenes that a leaf of the tree holds.

    Attributes:
        conditions: What they have in common, e.g. "occlusion.occlusion_ratio > 0.52".
        found: Share of failures where the rule was found (Wilson).
        judged: Share of failures in scenes that were held out (Wilson); None where none of them is in the leaf.
        p: Fisher's exact test that failures are as frequent here as in all other held-out scenes, two-sided, after Holm
            for all rules.
    """

    conditions: tuple[str, ...]
    found: Estimate
    judged: Estimate | None
    p: float

    @property
    def holds(self) -> bool:
        """Whether held-out scenes bear out that failures are more, or less, frequent here than elsewhere."""
        return self.p < 0.05

    @property
    def text(self) -> str:
        """Its conditions in a line."""
        return " and ".join(self.conditions) or "everywhere"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "conditions": list(self.conditions),
            "found": self.found.to_dict(),
            "judged": None if self.judged is None else self.judged.to_dict(),
            "p": self.p,
        }


@dataclass(frozen=True)
class FailureRules:
    """Where a model fails.

    Attributes:
        rules: All leaves, those with the most failures where they were found first.
        accuracy: Share of held-out scenes for which the tree says rightly whether the model fails (Wilson).
        majority: The same for always saying what is more frequent.
        p: Exact McNemar test that the tree is no better than that.
        depth: Conditions of the longest rule.
    """

    rules: tuple[Rule, ...]
    accuracy: Estimate
    majority: Estimate
    p: float
    depth: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "rules": [rule.to_dict() for rule in self.rules],
            "accuracy": self.accuracy.to_dict(),
            "majority": self.majority.to_dict(),
            "p": self.p,
            "depth": self.depth,
        }


def failure_rules(rows: Iterable[Row], *, seed: int = 0) -> FailureRules:
    """Find rules of up to three conditions that tell where a model fails, and judge them on scenes that were held out.

    Args:
        rows: Rows of one model whose answers are right or wrong.
        seed: Seed of the split.

    Raises:
        SceneError: There are fewer than 60 scenes, or fewer than 9 failures or successes.

    Source: Breiman et al., Classification and Regression Trees (1984); scikit-learn's `DecisionTreeClassifier`.
    """
    from sklearn.model_selection import GridSearchCV, train_test_split
    from sklearn.tree import DecisionTreeClassifier

    kept = judged(rows)
    factors = factors_of(kept)
    fails = measured_of(kept, "right") == 0
    known = np.isfinite(measured_of(kept, "right"))
    columns, titles = _columns(factors, len(kept))
    known &= np.isfinite(columns).all(1)
    columns, fails = columns[known], fails[known]
    rarer = int(min(fails.sum(), len(fails) - fails.sum()))
    if len(fails) < FEWEST or rarer < RARER or not titles:
        raise SceneError(
            f"{len(fails)} scenes, {int(fails.sum())} of them failures: rules take at least {FEWEST} scenes, {RARER} of "
            "the rarer outcome. Raise the policy's count, or widen the ranges until failures and successes both occur."
        )
    parts = train_test_split(columns, fails, test_size=HELD_OUT, stratify=fails, random_state=seed)
    train, test, y, unseen = map(np.asarray, parts)
    search = GridSearchCV(
        DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=max(5, len(y) // 25), random_state=seed),
        {"max_leaf_nodes": list(LEAVES)},
        scoring="neg_brier_score",
        cv=FOLDS,
        refit=_simplest,  # pyright: ignore[reportArgumentType]  # a function may be given
    )
    tree: DecisionTreeClassifier = search.fit(train, y).best_estimator_
    rules = _rules(tree, titles, (train, y), (test, unseen))
    said, usual = tree.predict(test), bool(y.mean() > 0.5)
    right, plain = np.asarray(said == unseen), np.asarray(unseen == usual)
    p = mcnemar(int((right & ~plain).sum()), int((~right & plain).sum()))
    return FailureRules(tuple(rules), share_of(right), share_of(plain), p, tree.get_depth())


def _simplest(results: dict[str, Any]) -> int:
    """Return the place of the smallest tree within one standard error of the best (Breiman's rule)."""
    means = np.asarray(results["mean_test_score"], dtype=float)
    best = int(means.argmax())
    error = float(results["std_test_score"][best]) / (FOLDS - 1) ** 0.5
    return int(np.flatnonzero(means >= means[best] - error)[0])


def _columns(
    factors: dict[str, Factor], rows: int
) -> tuple[np.ndarray, list[tuple[str, tuple[str, ...] | None]]]:
    """Return a column per number and per name of a factor, and what each is: the factor, and its name or both names."""
    columns, titles = [], []
    for factor in factors.values():
        if factor.numeric:
            columns.append(factor.numbers)
            titles.append((factor.name, None))
            continue
        for name in factor.names[:1] if len(factor.names) == 2 else factor.names:
            columns.append(np.array([float(value == name) for value in factor.values]))
            titles.append((factor.name, (name, *[other for other in factor.names if other != name])))
    return np.stack(columns, 1) if columns else np.zeros((rows, 0)), titles


def _rules(
    tree: DecisionTreeClassifier,
    titles: Sequence[tuple[str, tuple[str, ...] | None]],
    found: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
) -> list[Rule]:
    ours, theirs = tree.apply(found[0]), tree.apply(held[0])
    rules: list[tuple[tuple[str, ...], Estimate, Estimate | None]] = []
    ps: list[float] = []
    for leaf, path in _paths(tree):
        mine, fails = theirs == leaf, held[1]
        table = [
            [(fails & mine).sum(), (~fails & mine).sum()],
            [(fails & ~mine).sum(), (~fails & ~mine).sum()],
        ]
        _, p = stats.fisher_exact(table)
        ps.append(float(p))  # pyright: ignore[reportArgumentType]
        rules.append(
            (
                _conditions(path, titles),
                share_of(found[1][ours == leaf]),
                share_of(fails[mine]) if mine.any() else None,
            )
        )
    whole = [Rule(*rule, p) for rule, p in zip(rules, holm(ps), strict=True)]
    return sorted(whole, key=lambda rule: -rule.found.value)


def _paths(tree: DecisionTreeClassifier) -> list[tuple[int, list[tuple[int, float, bool]]]]:
    """Return every leaf with its splits: column, threshold, and whether it lies above."""
    inner = tree.tree_
    out = []
    stack: list[tuple[int, list[tuple[int, float, bool]]]] = [(0, [])]
    while stack:
        node, path = stack.pop()
        left, right = int(inner.children_left[node]), int(inner.children_right[node])
        if left < 0:
            out.append((node, path))
            continue
        split = int(inner.feature[node]), float(inner.threshold[node])
        stack.append((right, [*path, (*split, True)]))
        stack.append((left, [*path, (*split, False)]))
    return out


def _conditions(
    path: list[tuple[int, float, bool]], titles: Sequence[tuple[str, tuple[str, ...] | None]]
) -> tuple[str, ...]:
    """Say splits in words, several of one number as one range."""
    ranges: dict[int, tuple[float, float]] = {}
    for column, threshold, above in path:
        low, high = ranges.get(column, (-math.inf, math.inf))
        ranges[column] = (max(low, threshold), high) if above else (low, min(high, threshold))
    out = []
    for column, (low, high) in ranges.items():
        factor, names = titles[column]
        if names is not None:
            it_is = low > -math.inf
            other = names[1] if len(names) == 2 else f"not {names[0]}"
            out.append(f"{factor} is {names[0] if it_is else other}")
        elif math.isinf(low):
            out.append(f"{factor} <= {high:.3g}")
        elif math.isinf(high):
            out.append(f"{factor} > {low:.3g}")
        else:
            out.append(f"{low:.3g} < {factor} <= {high:.3g}")
    return tuple(out)
