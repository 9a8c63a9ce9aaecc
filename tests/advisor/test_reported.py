"""CSV files of trainings: what they say is read, and the first thing that is wrong is named."""

from __future__ import annotations

import pytest

from advisor.dataset import Augmentation
from advisor.errors import DataError
from advisor.layers import Task
from advisor.reported import OPTIONAL, REQUIRED, ReportedTraining, read_reported

ROW = {
    "dataset": "fashion-14x14-400",
    "shape": "1x14x14",
    "classes": "10",
    "augmentation": "crop+flip",
    "train_images": "400",
    "test_images": "5000",
    "design": "2xresnet-8-4@g1",
    "clusters": "1",
    "epochs": "40",
    "batch": "20",
    "seed": "2",
    "error": "0.2125",
    "member_errors": "0.25;0.225",
    "device": '"x86_64 CPU, 2 cores"',
    "date": "2026-11-21",
}
TRAINING = ReportedTraining(
    dataset="fashion-14x14-400",
    task=Task(channels=1, height=14, width=14, classes=10),
    augmentation=Augmentation.CROP_FLIP,
    train_images=400,
    test_images=5000,
    design="2xresnet-8-4@g1",
    epochs=40,
    batch=20,
    seed=2,
    error=0.2125,
    member_errors=(0.25, 0.225),
    device="x86_64 CPU, 2 cores",
    date="2026-11-21",
)


def table(*rows: dict[str, str]) -> str:
    return "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"


def test_a_row_is_read_whatever_the_order_of_its_columns():
    backwards = dict(reversed(ROW.items()))
    assert read_reported(table(ROW), "f.csv") == [TRAINING]
    assert read_reported(table(backwards), "f.csv") == [TRAINING]


def test_columns_of_the_benchmark_may_be_there_and_empty_lines_too():
    text = table(ROW | dict.fromkeys(OPTIONAL, "anything")).replace("\n", "\r\n\r\n")
    assert read_reported(text, "f.csv") == [TRAINING]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes": "ten"}, "classes must be a whole number between 2 and"),
        ({"classes": "1"}, "classes must be a whole number between 2 and"),
        ({"epochs": "0"}, "epochs must be a whole number between 1 and 1000000, got '0'"),
        ({"epochs": "1" + 5000 * "0"}, "epochs must be a whole number"),
        ({"epochs": "1_0"}, "epochs must be a whole number"),
        ({"epochs": "-3"}, "epochs must be a whole number"),
        ({"epochs": "١"}, "epochs must be a whole number"),
        ({"batch": "1"}, "batch must be a whole number between 2"),
        ({"seed": str(2**63)}, "seed must be a whole number"),
        ({"test_images": "9" * 40}, "test_images must be a whole number"),
        ({"error": "nan"}, "error must be a share between 0 and 1, got 'nan'"),
        ({"error": "15.3"}, "write 0.153 for 15.3 percent"),
        ({"error": "1e-400000000"}, ""),
        ({"error": ""}, "error must be a share"),
        ({"error": "-0.1"}, "error must be a share"),
        ({"member_errors": "0.25"}, "one error for each of 2 members, got 1"),
        ({"member_errors": "0.25;inf"}, "member_errors must be a share"),
        ({"shape": "14x14"}, "shape: cannot read input shape '14x14'"),
        ({"shape": "1x4x4"}, "shape: input 1x4x4"),
        ({"augmentation": "crop+flop"}, "augmentation: unknown augmentation 'crop+flop': did you mean"),
        ({"design": "2xresnet-9-4@g1"}, "design: resnet has no depth 9"),
        ({"design": ""}, "design must be 1 to"),
        ({"design": "999999xresnet-8-4"}, "design: an ensemble has 1 to 256 members"),
        ({"clusters": "2"}, "clusters must be the 1 of the design, got 2"),
        ({"dataset": "digits"}, "digits has images of 1x8x8 in 10 classes"),
        ({"dataset": " "}, "dataset must be 1 to 200 printable characters"),
        ({"dataset": "a\x1b[31mb"}, "dataset must be 1 to 200 printable characters"),
        ({"device": "x" * 201}, "device must be 1 to 200 printable characters"),
        ({"date": "yesterday"}, "date must be a day as 2026-01-31, got 'yesterday'"),
        ({"date": "2026-02-30"}, "date must be a day"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_value_is_named_with_its_file_and_line(change, told):
    text = table(ROW, ROW | change)
    if not told:
        assert read_reported(text, "f.csv")[1].error == 0
        return
    with pytest.raises(DataError) as caught:
        read_reported(text, "f.csv")
    assert str(caught.value).startswith("f.csv, line 3: ")
    assert told in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "f.csv, line 1: a table of trainings has a header and at least one row"),
        (",".join(REQUIRED), "at least one row"),
        (table(ROW | {"colour": "red"}), "line 1: unknown column 'colour': remove it"),
        (table(ROW | {"datset": "digits"}), "unknown column 'datset': did you mean 'dataset'?"),
        (table(ROW).replace("seed", "batch", 1), "the column 'batch' must stand there once"),
        (table({k: v for k, v in ROW.items() if k != "seed"}), "the column 'seed' is missing: add it"),
        (table(ROW, ROW)[:-40], "line 3: a row must have the 15 cells of the header, got 13"),
        (table(ROW, ROW)[:-30], "line 3: the row must be CSV (unexpected end of data): mend or remove it"),
        (table(ROW).replace("x86_64 CPU, 2 cores", "x\0y"), "line 2"),
        (table(ROW | {"device": '"open'}), "line 2"),
        (table(ROW | {"device": "x" * 200_000}), "line 2"),
    ],
    ids=lambda value: value[-40:],
)
def test_a_damaged_table_is_refused(text, told):
    with pytest.raises(DataError) as caught:
        read_reported(text, "f.csv")
    assert told in str(caught.value)


def test_every_column_is_either_required_or_optional():
    assert not set(REQUIRED) & set(OPTIONAL)
