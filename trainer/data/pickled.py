"""Arrays out of a pickle that is not trusted.

A pickle is a program: it names functions, calls them and hands them state. Here the names that pickled numpy
arrays need are answered with inert classes that only keep what they are given, and any other name is refused.
Even numpy's own ``__setstate__`` is not called, since a crafted one turns bytes into pointers: the array is
made anew from the shape, the type and the bytes that were kept.
"""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.errors import DataError

# Integers and floating-point numbers by byte order, kind and bytes, which is how numpy pickles types.
_NUMBERS = re.compile(r"[<>|=][uif][1248]")


class _Kept:
    """Keeps what a pickle calls it with, and the state it is handed afterwards."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type(_Kept):
    """Stands for `numpy.dtype`: called with kind and bytes; the byte order comes second in its state."""

    def dtype(self) -> np.dtype[Any]:
        code, order = self.arguments[0], self.state[1]
        if not _NUMBERS.fullmatch(f"{order}{code}"):
            raise ValueError(f"an array has the type {order}{code}")
        return np.dtype(f"{order}{code}")


class _Array(_Kept):
    """Stands for an array: the state is version, shape, type, whether Fortran's order, and the bytes."""

    def array(self) -> NDArray[Any]:
        _, shape, kind, fortran, content = self.state
        return _filled(content, kind, shape, "F" if fortran else "C")


class _Buffer(_Array):
    """Stands for an array since protocol 5: called with the bytes, type, shape and order."""

    def array(self) -> NDArray[Any]:
        return _filled(*self.arguments)


class _Bytes(bytes):
    """Stands for what protocol 2 writes bytes by: `_codecs.encode` of text, or `bytes` without arguments."""

    def __new__(cls, text: str = "", encoding: str = "latin1") -> _Bytes:
        return super().__new__(cls, text.encode("latin-1"))

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it gives state to bytes")


_STANDINS: dict[tuple[str, str], type] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Array,
    # The names before and since numpy 2.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,
    ("numpy._core.numeric", "_frombuffer"): _Buffer,
    ("_codecs", "encode"): _Bytes,
    ("__builtin__", "bytes"): _Bytes,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return _STANDINS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, and only arrays, lists and numbers are read"
            ) from None


def read_pickle(path: Path) -> dict[str, Any]:
    """Return the dictionary of arrays, lists and numbers in a pickle, without executing any of it.

    Raises:
        DataError: it is missing, damaged, no dictionary, or asks for anything but arrays.
    """
    try:
        with path.open("rb") as file:
            # Pickles of Python 2 have text where bytes belong, one byte a character.
            content = _Reader(file, encoding="latin-1").load()
        if not isinstance(content, dict):
            raise ValueError("it holds no dictionary")
        return {str(k): v.array() if isinstance(v, _Array) else v for k, v in content.items()}
    except Exception as error:
        # A damaged pickle can raise nearly anything.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is no pickle of plain arrays ({reason}): fetch it anew") from None


def _filled(content: Any, kind: _Type, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    if isinstance(content, str):
        content = content.encode("latin-1")
    dtype = kind.dtype()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} has {len(content)} bytes")
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")
