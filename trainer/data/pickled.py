"""Arrays from an untrusted pickle, read without executing it.

A pickle is a program: it names functions, calls them and gives them state. This reader resolves the names
that pickled NumPy arrays need to harmless classes, which only store their arguments and their state. It
refuses every other name. It does not even call the ``__setstate__`` of NumPy, because crafted state can turn
bytes into pointers. Instead it makes a new array from the stored shape, type and bytes.
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

# Types of integers and floating-point numbers as NumPy pickles them: byte order, kind and size in bytes.
_NUMBERS = re.compile(r"[<>|=][uif][1248]")


class _Stored:
    """Stores the arguments of a call in a pickle, and the state that it gets afterwards."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type(_Stored):
    """Replaces `numpy.dtype`. Its first argument is kind and size; its state has the byte order second."""

    def dtype(self) -> np.dtype[Any]:
        code, order = self.arguments[0], self.state[1]
        if not _NUMBERS.fullmatch(f"{order}{code}"):
            raise ValueError(f"an array has the type {order}{code}")
        return np.dtype(f"{order}{code}")


class _Array(_Stored):
    """Replaces an array. Its state is version, shape, type, a flag for Fortran order, and the bytes."""

    def array(self) -> NDArray[Any]:
        _, shape, kind, fortran, content = self.state
        return _filled(content, kind, shape, "F" if fortran else "C")


class _Buffer(_Array):
    """Replaces an array in protocol 5. Its arguments are the bytes, type, shape and order."""

    def array(self) -> NDArray[Any]:
        return _filled(*self.arguments)


class _Bytes(bytes):
    """Replaces bytes in protocol 2, which are `_codecs.encode` of a text, or `bytes` without arguments."""

    def __new__(cls, text: str = "", encoding: str = "latin1") -> _Bytes:
        return super().__new__(cls, text.encode("latin-1"))

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it gives state to bytes")


_REPLACEMENTS: dict[tuple[str, str], type] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Array,
    # Names before and since NumPy 2.
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
            return _REPLACEMENTS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, and only arrays, lists and numbers are read"
            ) from None


def read_pickle(path: Path) -> dict[str, Any]:
    """Return the dictionary of arrays, lists and numbers in a pickle without executing the pickle.

    Raises:
        DataError: the file is missing or damaged, is not a dictionary, or needs more than arrays.
    """
    try:
        with path.open("rb") as file:
            # Pickles of Python 2 contain texts instead of bytes, with one byte for each character.
            content = _Reader(file, encoding="latin-1").load()
        if not isinstance(content, dict):
            raise ValueError("it is not a dictionary")
        return {str(k): v.array() if isinstance(v, _Array) else v for k, v in content.items()}
    except Exception as error:
        # A damaged pickle can raise nearly any exception.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is not a pickle of plain arrays ({reason}): fetch it anew") from None


def _filled(content: Any, kind: _Type, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    if isinstance(content, str):
        content = content.encode("latin-1")
    dtype = kind.dtype()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} has {len(content)} bytes")
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")
