"""Where a step of a DenseNet goes: kinds of work, rates and the bound."""

from __future__ import annotations

import pytest

from benchmarks.speed_dense import kind_of, row

FEATURE_MAP, WIDE, NARROW = [128, 160, 32, 32], [160, 160, 1, 1], [12, 148, 3, 3]


def test_convolutions_are_told_apart_by_pass_and_by_the_kernel_of_their_weight():
    assert kind_of("aten::mkldnn_convolution", [FEATURE_MAP, NARROW]) == "convolution 3x3, forward"
    assert kind_of("aten::convolution_backward", [FEATURE_MAP, FEATURE_MAP, WIDE]) == (
        "convolution 1x1, backward"
    )


def test_what_has_no_name_of_its_own_is_all_else():
    assert kind_of("aten::cat", []) == "concatenation"
    assert kind_of("aten::avg_pool2d", [FEATURE_MAP]) == "all else"


def test_a_step_with_half_its_time_in_convolutions_could_be_twice_as_fast_at_most():
    found = row(
        "resnet-20-16",
        "float32",
        [1.0, 9.0, 2.0],
        {"convolution 3x3, backward": 0.4, "convolution 1x1, forward": 0.1, "concatenation": 0.5},
    )
    # 40.55 million multiply-adds an image, three times over, for 128 images.
    assert found["gmacs"] == pytest.approx(3 * 128 * 0.04055, rel=1e-3)
    assert found["step_seconds"] == 2.0
    assert found["bound_without_all_but_convolutions"] == 2.0
    assert found["gmacs_per_second_of_convolutions"] == pytest.approx(15.57, abs=0.1)
