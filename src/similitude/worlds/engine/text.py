"""The engine as one text: its modules one after the other, without their imports, for compilers that want one module."""

from __future__ import annotations

import ast
from importlib.resources import files

from similitude.core.errors import WorldError

PACKAGE = "similitude.worlds.engine"


def bundle(last: str) -> str:
    """Return a module of the engine with all that it uses as one text, which needs nothing but `math`.

    Args:
        last: Name of the module, such as "step" or "view".

    Raises:
        WorldError: Two modules give one name to different things, or a module holds something that no compiler takes.
    """
    order: list[str] = []
    _visit(last, order)
    homes: dict[str, str] = {}
    parts = ['"""Made from the engine of similitude.worlds; see its modules."""\n\nimport math\n']
    for module in order:
        source = _source(module)
        for node in ast.parse(source).body:
            names, text = _named(node, source)
            if not names:
                if not _droppable(node):
                    raise WorldError(
                        f"{PACKAGE}.{module}, line {node.lineno}: only imports, constants and functions can be "
                        "compiled. Move the rest out of the engine."
                    )
                continue
            for name in names:
                if homes.setdefault(name, module) != module:
                    raise WorldError(
                        f"{PACKAGE}: {homes[name]} and {module} both define {name!r}. Rename one."
                    )
            parts.append(text)
    return "\n\n".join(parts) + "\n"


def _source(module: str) -> str:
    return files(PACKAGE).joinpath(f"{module}.py").read_text(encoding="utf-8")


def _visit(module: str, order: list[str]) -> None:
    """Append a module after those that it uses."""
    if module in order:
        return
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE + "."):
            _visit((node.module or "").rsplit(".", 1)[1], order)
    order.append(module)


def _named(node: ast.stmt, source: str) -> tuple[list[str], str]:
    """Return the names and the text of constants or of a function; no names for anything else."""
    text = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
    if isinstance(node, ast.FunctionDef):
        return [node.name], text
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        return [name.id for name in names if isinstance(name, ast.Name)], text
    return [], text


def _droppable(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names] == ["math"]
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").startswith(PACKAGE + ".") or node.module == "__future__"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
