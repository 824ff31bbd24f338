"""The engine's text rewritten for NVIDIA Warp: typed numbers, annotated functions, constants put in, nothing else."""

from __future__ import annotations

import ast
from typing import Any

from similitude.core.errors import WorldError
from similitude.worlds.engine.text import bundle

ARRAYS = {
    "height": ("int16", 3),
    "ground": ("uint8", 3),
    **dict.fromkeys(("meta", "body", "action"), ("float64", 2)),
    **dict.fromkeys(("solids", "things", "hands", "scene"), ("float64", 3)),
    "coarse": ("float32", 3),
    "colors": ("uint8", 4),
    "palette": ("uint8", 2),
    "solid_palette": ("uint8", 2),
    "depth": ("float32", 3),
    "image": ("uint8", 4),
}
"""Element type and dimensions of every array that the engine's functions take, by the name that it has in all of them."""

MATH = {
    "sqrt": "sqrt",
    "sin": "sin",
    "cos": "cos",
    "atan2": "atan2",
    "floor": "floor",
    "fabs": "abs",
    "ceil": "ceil",
}
REAL = "float64"
"""Type of numbers that are not whole."""
PREFIX = "isle_"
"""Before every function's name, so that none is mistaken for one of Warp's own."""

HEAD = '''"""Made from the engine of similitude.worlds; see its modules."""

from typing import Any

import warp as wp

'''


KERNELS = {
    "step": """
@wp.kernel(enable_backward=False)
def step_kernel(lo: int, {arguments}):
    isle_step(lo + wp.tid(), {names})
""",
    "view": """
@wp.kernel(enable_backward=False)
def survey_kernel(lo: int, {arguments}):
    rows = wp.int32(image.shape[1])
    cols = wp.int32(image.shape[2])
    isle_survey(
        lo + wp.tid(), coarse, meta, solids, things, body, hands, palette, solid_palette, rows, cols, scene
    )


@wp.kernel(enable_backward=False)
def column_kernel(lo: int, {arguments}):
    i, column = wp.tid()
    isle_draw_column(lo + i, column, height, coarse, colors, meta, scene, depth, image)
""",
}
"""One thread per environment for the physics and for what is in sight; one per column of pixels for the image."""


def warp_text(part: str, names: str) -> str:
    """Return the text of a part of the engine as functions and kernels of Warp.

    Args:
        part: "step" or "view".
        names: The arrays that it takes, as in `ARRAYS`, with commas between them.

    Raises:
        WorldError: The engine uses something that has no counterpart in Warp.
    """
    tree = ast.parse(bundle(part))
    constants = _constants(tree)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    rewriter = _Rewriter(constants, {f.name for f in functions})
    text = HEAD + "\n\n\n".join(ast.unparse(rewriter.function(f)) for f in functions) + "\n\n"
    arguments = ", ".join(f"{name}: {annotation(name)}" for name in names.split(", "))
    return text + KERNELS[part].format(arguments=arguments, names=names)


def _constants(tree: ast.Module) -> dict[str, int | float]:
    """Return the values of the module's constants."""
    values: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            exec(compile(ast.Module([node], []), "engine", "exec"), values)
    return {k: v for k, v in values.items() if isinstance(v, (int, float)) and not k.startswith("__")}


class _Rewriter(ast.NodeTransformer):
    """Rewrites one function after the other."""

    def __init__(self, constants: dict[str, int | float], functions: set[str]) -> None:
        self.constants = constants
        self.functions = functions
        self.local: set[str] = set()
        self.name = ""

    def function(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Return a function with a decorator and the types of its arguments."""
        self.name = node.name
        self.local = {arg.arg for arg in node.args.args}
        self.local |= {
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        node.body = [self.visit(statement) for statement in body]
        node.name = PREFIX + node.name
        node.decorator_list = [ast.parse("wp.func", mode="eval").body]
        for arg in node.args.args:
            arg.annotation = ast.parse(annotation(arg.arg), mode="eval").body
        return ast.fix_missing_locations(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, float):
            return self._typed(REAL, ast.Constant(node.value))
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and node.id not in self.local and node.id in self.constants:
            return self.visit_Constant(ast.Constant(self.constants[node.id]))
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        target = node.targets[0]
        node.targets = [self.visit(target)]
        node.value = self.visit(node.value)
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            kind = self._element(target.value.id)
            if kind != REAL:
                node.value = self._typed(kind, node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(arg) for arg in node.args]
        called = node.func
        if isinstance(called, ast.Attribute):
            if not (isinstance(called.value, ast.Name) and called.value.id == "math" and called.attr in MATH):
                raise self._unknown(node)
            node.func = ast.parse(f"wp.{MATH[called.attr]}", mode="eval").body
        elif isinstance(called, ast.Name):
            if called.id == "float":
                return self._typed(REAL, node.args[0])
            if called.id == "int":
                return self._typed("int32", node.args[0])
            if called.id in ("min", "max", "abs"):
                node.func = ast.parse(f"wp.{called.id}", mode="eval").body
            elif called.id in self.functions:
                node.func = ast.Name(PREFIX + called.id, ast.Load())
            elif called.id != "range":
                raise self._unknown(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        inside = node.comparators[0]
        if isinstance(node.ops[0], (ast.In, ast.NotIn)) and isinstance(inside, ast.Tuple):
            test: Any = ast.Eq if isinstance(node.ops[0], ast.In) else ast.NotEq
            join: Any = ast.Or if isinstance(node.ops[0], ast.In) else ast.And
            left = self.visit(node.left)
            return ast.BoolOp(
                join(), [ast.Compare(left, [test()], [self.visit(item)]) for item in inside.elts]
            )
        return self.generic_visit(node)  # pyright: ignore[reportReturnType]

    def _element(self, array: str) -> str:
        if array not in ARRAYS:
            raise WorldError(
                f"engine, {self.name}: {array!r} is not an array that Warp is told of in ARRAYS."
            )
        return ARRAYS[array][0]

    @staticmethod
    def _typed(kind: str, value: ast.expr) -> ast.expr:
        return ast.Call(ast.parse(f"wp.{kind}", mode="eval").body, [value], [])

    def _unknown(self, node: ast.expr) -> WorldError:
        return WorldError(
            f"engine, {self.name}: {ast.unparse(node)!r} has no counterpart in Warp. Use functions of the engine, "
            f"math.{', math.'.join(MATH)}, min, max, int and float."
        )


def annotation(name: str) -> str:
    """Return the type of an argument as text: an array by its name, else any scalar."""
    if name in ARRAYS:
        kind, dimensions = ARRAYS[name]
        return f"wp.array(dtype=wp.{kind}, ndim={dimensions})"
    return "Any"
