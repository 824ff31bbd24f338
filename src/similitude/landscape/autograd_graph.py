"""Walks through the graph that autograd records."""

from __future__ import annotations

from collections.abc import Container, Iterator

from torch import Tensor
from torch.autograd.graph import Node

Edge = tuple[Node, int]
"""A value in autograd's graph: the node that made it, and which of the node's results it is."""


def walk(start: Tensor, stops: Container[Edge] = ()) -> Iterator[Edge]:
    """Go backward through a graph, not beyond some edges, and give every edge once, those included."""
    todo: list[Edge] = [(start.grad_fn, start.output_nr)] if start.grad_fn is not None else []
    seen: set[Edge] = set()
    while todo:
        edge = todo.pop()
        if edge in seen:
            continue
        seen.add(edge)
        yield edge
        if edge not in stops:
            todo += [(node, number) for node, number in edge[0].next_functions if node is not None]
