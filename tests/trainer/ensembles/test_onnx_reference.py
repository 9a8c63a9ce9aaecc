"""Pooling over whole maps gives what the interpreter of ONNX gives place by place, and not slowly."""

import time

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from trainer.ensembles.onnx_reference import reference_of  # noqa: E402

RANDOM = np.random.default_rng(0)


def pooling(tmp_path, operation, shape, **settings):
    """Write a file with one pooling of a map of this shape."""
    node = helper.make_node(operation, ["x"], ["y"], **settings)
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in shape]
    graph = helper.make_graph([node], "pooling", value[:1], value[1:])
    path = tmp_path / "pooling.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


@pytest.mark.parametrize("operation", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_shape": [1, 1], "strides": [2, 2]},
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "strides": [1, 2]},
        {"kernel_shape": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    ],
)
def test_pooling_over_whole_maps_is_pooling(tmp_path, operation, settings):
    images = RANDOM.normal(size=(2, 3, 7, 6)).astype(np.float32)
    path = pooling(tmp_path, operation, [("x", images.shape), ("y", None)], **settings)
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": images})
    (found,) = reference_of(path).run(None, {"x": images})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_shortcut_of_256_images_takes_no_time(tmp_path):
    images = RANDOM.normal(size=(256, 16, 32, 32)).astype(np.float32)
    settings = {"kernel_shape": [1, 1], "strides": [2, 2]}
    path = pooling(tmp_path, "AveragePool", [("x", images.shape), ("y", None)], **settings)
    reference, began = reference_of(path), time.process_time()
    (found,) = reference.run(None, {"x": images})
    # Place by place it takes 15 s.
    assert time.process_time() - began < 2
    assert np.array_equal(found, images[:, :, ::2, ::2])
