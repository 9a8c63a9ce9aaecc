from __future__ import annotations

import pytest
from PIL import Image


def test_equivalents_answer_in_the_promised_form(advisor):
    answer = advisor("equivalents", "resnet-26-16", "--members", "4", "--json")
    assert answer.code == 0
    assert answer.json == {
        "schema_version": 1,
        "single": {"design": "resnet-26-16", "depth": 26, "width": 16, "parameters": 366938},
        "width_equivalent": {
            "design": "4xresnet-8-16",
            "depth": 8,
            "width": 16,
            "parameters": 301160,
            "members": 4,
        },
        "depth_equivalent": {
            "design": "4xresnet-26-7",
            "depth": 26,
            "width": 7,
            "parameters": 283820,
            "members": 4,
        },
    }


def test_an_equivalent_that_does_not_exist_is_null(advisor):
    answer = advisor("equivalents", "vgg-11-1", "--json").json
    assert answer["width_equivalent"] is None
    assert answer["depth_equivalent"] is None


def test_a_tolerance_admits_the_published_width(advisor):
    answer = advisor("equivalents", "resnet-26-16", "--tolerance", "0.008", "--json").json
    assert answer["depth_equivalent"]["width"] == 8


def test_space_lists_designs_within_the_budget_in_the_promised_form(advisor):
    designs = advisor("space", "--budget", "200k", "--family", "resnet", "--json").json["designs"]
    keys = {
        "design",
        "class",
        "equivalent_to",
        "members",
        "depth",
        "width",
        "parameters",
        "budget_share",
        "macs",
    }
    assert all(set(d) == keys for d in designs)
    assert all(d["parameters"] <= 200_000 for d in designs)
    assert all(abs(d["budget_share"] - d["parameters"] / 200_000) < 1e-12 for d in designs)
    assert {d["class"] for d in designs} <= {"single", "depth_equivalent", "width_equivalent", "mixed"}
    assert len({d["design"] for d in designs}) == len(designs)


def test_a_table_of_designs_says_how_many_it_leaves_out(advisor):
    answer = advisor("space", "--budget", "200k", "--family", "resnet", "--limit", "3")
    assert "more: --limit N shows N" in answer.out


def test_other_inputs_and_classes_change_the_counts(advisor):
    plain = advisor("equivalents", "resnet-26-16", "--json").json["single"]["parameters"]
    grey = advisor("equivalents", "resnet-26-16", "--input", "1x28x28", "--classes", "100", "--json").json
    # One input channel instead of three (3×3 kernels), and ninety more classes on 64 features with bias.
    assert grey["single"]["parameters"] == plain - 2 * 9 * 16 + 90 * 65


@pytest.mark.parametrize(
    "command", [("space", "--budget", "20k", "--family", "resnet"), ("equivalents", "resnet-8-8")]
)
def test_a_data_set_gives_shape_and_classes(advisor, command):
    named = advisor(*command, "--dataset", "digits", "--json")
    assert named.json == advisor(*command, "--input", "1x8x8", "--classes", "10", "--json").json
    assert named.json != advisor(*command, "--json").json
    answer = advisor(*command, "--dataset", "digits", "--classes", "3", "--input", "1x8x8")
    assert answer.code == 2
    assert "leave out --input and --classes" in answer.error_line


def test_a_folder_gives_shape_and_classes_too(advisor, tmp_path):
    for split in ("train", "test"):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                Image.new("L", (9, 8)).save(tmp_path / split / name / f"{number}.png")
    command = ("space", "--budget", "20k", "--family", "mlp", "--json")
    found = advisor(*command, "--dataset", f"folder:{tmp_path}").json
    assert found == advisor(*command, "--input", "1x8x9", "--classes", "2").json
