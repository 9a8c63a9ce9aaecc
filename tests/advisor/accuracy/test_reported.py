"""CSV files of trainings: they are read, and the first mistake is named."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from advisor.accuracy.sources.reported import OPTIONAL, REQUIRED, ReportedTraining, read_reported
from advisor.errors import DataError
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation

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
CURVES = {
    "validation_images": "1000",
    "errors_by_members": "0.25;0.2125",
    "member_curve": ";".join(["0.9"] * 40 + ["0.3"] * 12),
    "ensemble_curve": ";".join(["0.8"] * 40 + ["0.25"] * 12),
}
WITH_CURVES = replace(
    TRAINING,
    validation_images=1000,
    errors_by_members=(0.25, 0.2125),
    member_curve=(0.9,) * 40 + (0.3,) * 12,
    ensemble_curve=(0.8,) * 40 + (0.25,) * 12,
)
ALONE = {"design": "2xresnet-8-4", "clusters": "2", "epochs": "3"}


def table(*rows: dict[str, str]) -> str:
    return "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"


def test_a_row_is_read_whatever_the_order_of_its_columns():
    backwards = dict(reversed(ROW.items()))
    assert read_reported(table(ROW), "f.csv") == [TRAINING]
    assert read_reported(table(backwards), "f.csv") == [TRAINING]


def test_columns_of_the_benchmark_may_be_there_and_empty_lines_too():
    ignored = set(OPTIONAL) - {field.name for field in fields(ReportedTraining)}
    # The weight decay is read too.
    assert len(ignored) == len(OPTIONAL) - len(CURVES) - 1
    text = table(ROW | dict.fromkeys(ignored, "anything")).replace("\n", "\r\n\r\n")
    assert read_reported(text, "f.csv") == [TRAINING]


@pytest.mark.parametrize(
    "written",
    [
        lambda text: "sep=,\r\n" + text,
        lambda text: text + "," * (len(ROW) - 1) + "\n , \n",
        lambda text: text.replace("\n", ",\n"),
        lambda text: "," + text.replace("\nfashion", "\n0,fashion"),
        lambda text: text.replace("dataset,shape", "Dataset, SHAPE "),
        lambda text: text.replace("1x14x14", "1×14×14"),
        lambda text: text.replace(",10,", ",10.0,").replace(",400,", ",400.00,"),
        lambda text: text.replace("2026-11-21", "2026-11-21 14:03:00"),
        lambda text: text.replace("\n", "\r"),
    ],
    ids=["sep", "empty rows", "commas", "index", "header", "times", "decimals", "time", "carriage returns"],
)
def test_tables_of_spreadsheets_and_data_frames_are_read(written):
    assert read_reported(written(table(ROW)), "f.csv") == [TRAINING]


def test_curves_and_errors_by_members_are_read_where_they_are_reported():
    text = table(ROW | CURVES, ROW | dict.fromkeys(CURVES, ""), ROW | dict.fromkeys(CURVES, " "))
    assert read_reported(text, "f.csv") == [WITH_CURVES, TRAINING, TRAINING]


@pytest.mark.parametrize(
    "filled",
    [
        ("validation_images",),
        ("errors_by_members",),
        *[("validation_images", curve) for curve in ("member_curve", "ensemble_curve")],
    ],
    ids="+".join,
)
def test_an_optional_column_needs_no_other(filled):
    missing = {name: None for name in CURVES if name not in filled}
    (training,) = read_reported(table(ROW | {name: CURVES[name] for name in filled}), "f.csv")
    assert training == replace(WITH_CURVES, **missing)


@pytest.mark.parametrize("last", ["0.2125", "0.2126", "0.2127", "0.2123"])
def test_the_error_of_all_members_may_differ_by_rounding_and_one_image(last):
    (training,) = read_reported(table(ROW | {"errors_by_members": f"0.25;{last}"}), "f.csv")
    assert training.errors_by_members == (0.25, float(last))


def test_the_curve_of_independent_members_has_an_error_an_epoch():
    change = ALONE | {"validation_images": "50", "member_curve": "0.5;0.4;1", "ensemble_curve": "0.5;0.3;0"}
    (training,) = read_reported(table(ROW | change), "f.csv")
    assert (training.member_curve, training.ensemble_curve) == ((0.5, 0.4, 1), (0.5, 0.3, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation_images": "0"}, "validation_images must be a whole number between 1 and"),
        ({"validation_images": "some"}, "validation_images must be a whole number between 1 and"),
        ({"validation_images": ""}, "member_curve must have the validation_images that it was measured on"),
        ({"validation_images": "", "member_curve": ""}, "ensemble_curve must have the validation_images"),
        ({"errors_by_members": "0.2125"}, "errors_by_members must be one error for each of 2 members, got 1"),
        ({"errors_by_members": "0.25;2"}, "errors_by_members must be a share between 0 and 1, got '2'"),
        (
            {"errors_by_members": "0.2125;0.25"},
            "end with the error of all members, 0.2125, got 0.25: correct",
        ),
        ({"errors_by_members": "0.25;0.2129"}, "errors_by_members must end with the error of all members"),
        ({"member_curve": "0.5;;0.5"}, "member_curve must be a share between 0 and 1, got ''"),
        ({"ensemble_curve": "nan"}, "ensemble_curve must be a share between 0 and 1, got 'nan'"),
        (
            {"member_curve": ";".join(["0.5"] * 40)},
            "member_curve of hatched members must be the 40 errors of a mother and then theirs, got 40",
        ),
        ({"member_curve": ";".join(["0.5"] * 51)}, "must be equally long, got 51 and 52 errors: correct one"),
        (ALONE | {"member_curve": "0.5;0.4"}, "member_curve must be one error for each of 3 epochs, got 2"),
        (
            ALONE | {"member_curve": "", "ensemble_curve": "0.5;0.4;0.4;0.4"},
            "ensemble_curve must be one error for each of 3 epochs, got 4",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_curve_is_named_with_its_file_and_line(change, message):
    with pytest.raises(DataError) as caught:
        read_reported(table(ROW | CURVES, ROW | CURVES | change), "f.csv")
    assert str(caught.value).startswith("f.csv, line 3: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
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
        ({"error": "0_1"}, "error must be a share between 0 and 1, got '0_1'"),
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
def test_a_wrong_value_is_named_with_its_file_and_line(change, message):
    text = table(ROW, ROW | change)
    if not message:
        assert read_reported(text, "f.csv")[1].error == 0
        return
    with pytest.raises(DataError) as caught:
        read_reported(text, "f.csv")
    assert str(caught.value).startswith("f.csv, line 3: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.csv, line 1: a table of trainings has a header and at least one row"),
        (",".join(REQUIRED), "at least one row"),
        (table(ROW).replace(",", ";"), "line 1: cells must be separated by commas"),
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
def test_a_damaged_table_is_refused(text, message):
    with pytest.raises(DataError) as caught:
        read_reported(text, "f.csv")
    assert message in str(caught.value)


def test_every_column_is_either_required_or_optional():
    assert not set(REQUIRED) & set(OPTIONAL)
