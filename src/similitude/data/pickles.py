"""Read the plain data in a pickle (dicts, lists, text, numbers, byte arrays) with no power to run anything.

Python's unpickler calls whatever the file names. This is a reader of the format instead: it has no way to
import or call, and every global but those that arrays and bytes are written with is refused by name.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import DataError
from similitude.data.files import reading

_NUMPY = ("numpy.core", "numpy._core")
_RECONSTRUCT = {f"{package}.multiarray._reconstruct" for package in _NUMPY}
_FROM_BUFFER = {f"{package}.numeric._frombuffer" for package in _NUMPY}
_ENCODE = {"_codecs.encode"}
_DTYPE = {"numpy.dtype"}
_EMPTY_BYTES = {"__builtin__.bytes", "builtins.bytes"}  # how protocol 2 writes b""
KNOWN = _RECONSTRUCT | _FROM_BUFFER | _ENCODE | _DTYPE | _EMPTY_BYTES | {"numpy.ndarray"}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUSHED = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_PUSHED |= {"BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass
class _Dtype:
    code: Any


@dataclass
class _Array:
    state: Any = None


def read_plain_pickle(data: bytes | bytearray, where: str) -> Any:
    """Return the plain value that a pickle of protocol 1 to 5 holds.

    Args:
        data: The pickle.
        where: The file that it comes from, for messages.

    Returns:
        Nested dict, list, tuple, str, bytes, int, float, bool, None and uint8 arrays. Strings of Python 2
        arrive as bytes.

    Raises:
        DataError: The pickle is damaged, or wants anything else; nothing is executed either way.
    """
    with reading(where):
        return _Machine(where).run(bytes(data))


class _Machine:
    """A stack machine for the opcodes that build plain values."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        try:
            for opcode, arg, _position in pickletools.genops(data):
                if opcode.name == "STOP":
                    return _finished(self.stack.pop(), self.where)
                self.step(opcode.name, arg)
        except (IndexError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self.where}: a damaged pickle: its instructions do not fit its stack ({error!r}). Get the "
                "file again."
            ) from error
        raise DataError(f"{self.where}: a pickle without an end. Get the file again.")

    def step(self, op: str, arg: Any) -> None:
        stack = self.stack
        if op in _PUSHED:
            stack.append(arg)
        elif op in ("BINSTRING", "SHORT_BINSTRING"):
            stack.append(arg.encode("latin-1"))
        elif op in _CONSTANTS:
            stack.append(_CONSTANTS[op])
        elif op in ("BINPUT", "LONG_BINPUT"):
            self.memo[arg] = stack[-1]
        elif op == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif op in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[arg])
        elif op == "MARK":
            self.marks.append(len(stack))
        elif op in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[op]())
        elif op in _TUPLES:
            items = [stack.pop() for _ in range(_TUPLES[op])]
            stack.append(tuple(reversed(items)))
        elif op == "TUPLE":
            stack.append(tuple(self.since_mark()))
        elif op in ("APPEND", "APPENDS"):
            items = [stack.pop()] if op == "APPEND" else self.since_mark()
            self.target(list).extend(items)
        elif op in ("SETITEM", "SETITEMS"):
            items = [stack.pop(), stack.pop()][::-1] if op == "SETITEM" else self.since_mark()
            self.set_items(self.target(dict), items)
        elif op in ("GLOBAL", "STACK_GLOBAL"):
            name = ".".join(arg.split(" ")) if op == "GLOBAL" else ".".join([stack.pop(), stack.pop()][::-1])
            stack.append(self.known(name))
        elif op == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self.reduce(function.name, arguments))
        elif op == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], _Array):
                stack[-1].state = state
            elif not isinstance(stack[-1], _Dtype):
                self.refuse("sets the state of an object")
        elif op not in ("PROTO", "FRAME"):
            self.refuse(f"uses the instruction {op}")

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def target(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"a {type(self.stack[-1]).__name__} where a {kind.__name__} belongs")
        return self.stack[-1]

    def set_items(self, target: dict[Any, Any], items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Only plain keys: hashing a deeply shared tuple could take for ever.
            if not isinstance(key, str | bytes | int):
                self.refuse(f"has a key of type {type(key).__name__}")
            target[key] = value

    def known(self, name: str) -> _Global:
        if name not in KNOWN:
            self.refuse(f"names '{name}'")
        return _Global(name)

    def reduce(self, function: str, arguments: tuple[Any, ...]) -> Any:
        if function in _DTYPE:
            return _Dtype(arguments[0])
        if function in _RECONSTRUCT:
            return _Array()
        if function in _FROM_BUFFER:
            raw, dtype, shape, order = arguments
            return _Array((1, shape, dtype, order == "F", raw))
        if function in _ENCODE and arguments[1] in ("latin1", "latin-1"):
            return arguments[0].encode("latin-1")
        if function in _EMPTY_BYTES and arguments == ():
            return b""
        self.refuse(f"calls '{function}'")
        return None

    def refuse(self, what: str) -> None:
        raise DataError(
            f"{self.where}: the pickle {what}, but only dict, list, tuple, text, numbers and uint8 arrays "
            "are read. Nothing was executed. Do not open it with pickle.load unless you trust its origin; "
            "save the data as .npz."
        )


def _finished(value: Any, where: str) -> Any:
    """Replace arrays at the top two levels, where they may stand, by NumPy's own."""
    if isinstance(value, _Array):
        return _to_numpy(value, where)
    if isinstance(value, dict):
        return {k: _to_numpy(v, where) if isinstance(v, _Array) else v for k, v in value.items()}
    return value


def _to_numpy(array: _Array, where: str) -> np.ndarray:
    _version, shape, dtype, fortran, raw = array.state
    code = dtype.code.decode("latin-1") if isinstance(dtype.code, bytes) else dtype.code
    if code not in ("u1", "|u1"):
        raise DataError(
            f"{where}: holds an array of type {code!r}, but only uint8 ('u1') is read. Save it as uint8."
        )
    if not isinstance(raw, bytes | bytearray) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise DataError(
            f"{where}: holds an array without bytes or with a shape {shape!r}. Get the file again."
        )
    return np.frombuffer(bytearray(raw), np.uint8).reshape(shape, order="F" if fortran else "C")
