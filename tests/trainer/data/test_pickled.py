"""Pickles of arrays as numpy and Python 2 write them, and pickles that want to do something."""

import contextlib
import io
import pickle
import struct

import numpy as np
import pytest

from advisor.errors import DataError
from trainer.data import pickled
from trainer.data.pickled import read_pickle

ARRAYS = {
    "bytes": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "whole": np.array([[-1, 2**40]], dtype=np.int64),
    "big end": np.array([1, 256, 70_000], dtype=">i4"),
    "real": np.linspace(0, 1, 5),
    "columns": np.asfortranarray(np.arange(6, dtype=np.uint16).reshape(2, 3)),
    "none": np.empty((0, 3072), np.uint8),
}


def written(tmp_path, content):
    path = tmp_path / "batch"
    path.write_bytes(content)
    return path


def refusal(path):
    with pytest.raises(DataError) as error:
        read_pickle(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    assert "fetch it anew" in message
    return message


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_are_read_as_they_were_written(tmp_path, protocol):
    content = {**ARRAYS, "labels": [1, 2, 1000]}
    read = read_pickle(written(tmp_path, pickle.dumps(content, protocol)))
    assert read["labels"] == [1, 2, 1000]
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert np.array_equal(read[name], array)


def test_pickles_that_name_numpy_as_before_version_2_are_read(tmp_path):
    content = pickle.dumps(ARRAYS, 2)
    assert b"numpy._core" in content
    read = read_pickle(written(tmp_path, content.replace(b"numpy._core", b"numpy.core")))
    assert np.array_equal(read["bytes"], ARRAYS["bytes"])


def test_bytes_that_python_2_wrote_as_text_are_read(tmp_path):
    array = np.array([0, 127, 128, 255], np.uint8)
    # What Python 2 writes: BINSTRING, opcode T with a length, instead of a call of _codecs.encode.
    protocol_2 = (
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x04\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + struct.pack("<i", 4) + array.tobytes() + b"tbs."
    )
    assert read_pickle(written(tmp_path, protocol_2))["data"].tolist() == array.tolist()


class Calling:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("where", ["content", "value", "key", "array"])
def test_a_function_that_is_not_numpys_is_neither_found_nor_called(tmp_path, protocol, where):
    import os

    victim = tmp_path / "executed"
    call = Calling(os.mkdir, str(victim))
    content = {
        "content": call,
        "value": {"data": call},
        "key": {("a", call): 1},
        "array": {"data": np.array([call], object)},
    }[where]
    message = refusal(written(tmp_path, pickle.dumps(content, protocol)))
    assert "mkdir" in message
    assert not victim.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("numpy", "ndarray.tofile"),
        ("os", "system"),
    ],
)
def test_only_listed_names_are_answered(tmp_path, module, name):
    content = b"\x80\x04\x8c" + bytes([len(module)]) + module.encode()
    content += b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    assert f"{module}.{name}" in refusal(written(tmp_path, content))


def test_an_array_of_objects_is_refused_before_its_bytes_become_pointers(tmp_path):
    content = pickle.dumps({"data": np.arange(2, dtype=np.int64)}, 2)
    # The type of eight-byte integers becomes that of objects, which are pointers of eight bytes.
    assert content.count(b"X\x02\x00\x00\x00i8") == 1
    content = content.replace(b"X\x02\x00\x00\x00i8", b"X\x02\x00\x00\x00O8")
    assert "O8" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("name", sorted({name for _, name in pickled._REPLACEMENTS}))
def test_the_classes_that_stand_in_cannot_be_changed_by_a_pickle(tmp_path, name):
    module = next(m for m, n in pickled._REPLACEMENTS if n == name)
    before = {cls: dict(vars(cls)) for cls in pickled._REPLACEMENTS.values()}
    # BUILD with state for attributes and slots, applied to the class itself.
    content = b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(}U\x05arrayK\x01s}U\x05arrayK\x01stb."
    refusal(written(tmp_path, content))
    assert {cls: dict(vars(cls)) for cls in before} == before


@pytest.mark.parametrize("kept", [0, 1, 10, 50, 100, 200])
def test_a_truncated_pickle_is_damaged(tmp_path, kept):
    content = pickle.dumps({"data": np.zeros(100, np.uint8)})
    refusal(written(tmp_path, content[:kept]))


def test_a_missing_file_and_other_content_are_refused(tmp_path):
    refusal(tmp_path / "none")
    for content in (b"<html>not found</html>", pickle.dumps([1, 2]), b"\x00" * 100):
        refusal(written(tmp_path, content))


def test_flipped_bytes_never_end_in_anything_but_a_result_or_a_refusal(tmp_path):
    content = pickle.dumps({"data": np.arange(4, dtype=np.uint8), "labels": [1, 2, 3, 4]}, 2)
    generator = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(content)
        changed[generator.integers(len(content))] = generator.integers(256)
        # Any other exception would fail the test.
        with contextlib.suppress(DataError):
            read_pickle(written(tmp_path, bytes(changed)))


def test_a_shape_that_does_not_fit_the_bytes_is_refused(tmp_path):
    buffer = io.BytesIO()
    pickle.Pickler(buffer, 2).dump({"data": np.zeros(3, np.uint8)})
    content = buffer.getvalue().replace(b"K\x03\x85", b"K\x04\x85")
    assert content != buffer.getvalue()
    assert "shape" in refusal(written(tmp_path, content))
