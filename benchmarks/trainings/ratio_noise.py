"""How far the error of an ensemble over that of its own members lies from one training to the next.

    python benchmarks/trainings/ratio_noise.py   # a second, trains nothing

`advisor.accuracy.noise` rests on two constants. R is the logarithm of that ratio.

1. Seeds: the standard deviation of R over seeds, over that of a member's log error, on the same test images.
   Both are pooled over the designs of a data set that have several seeds.
2. Images: R on the validation images less R on the test images. Seeds cancel. If the ensemble erred on a part
   of the images only on which a member errs, the variance of R would be (1 − e^R)/k for k errors of the
   ensemble. The excess of the measured squares over that, as a share of the variance of its count, is the
   second constant.

Rows of both grids are read, without the data set that is set aside. Data sets with fewer than `LEAST_ERRORS`
errors of an ensemble (digits) do not count for the first constant: there R is mostly the noise of counting.
Writes results/ratio_noise.json.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common_errors import GRIDS, rows_of
from grid_runner import Row

from advisor.accuracy.noise import error_count
from advisor.designs.design import parse_design
from advisor.estimate import Floats

RESULT = Path(__file__).parent / "results" / "ratio_noise.json"
LEAST_ERRORS = 30


class Counts(NamedTuple):
    """Errors of an ensemble, and of its members in the mean, on so many images."""

    ensemble: float
    member: float
    images: int

    @property
    def log_ratio(self) -> float:
        return float(np.log(self.ensemble / self.member))

    @property
    def variance(self) -> float:
        """Variance of the logarithm of the count of the ensemble."""
        return (1 - min(self.ensemble / self.images, 1.0)) / self.ensemble

    @property
    def nested_variance(self) -> float:
        """Variance of R if the ensemble erred on a part of the images only on which a member errs."""
        return (1 - min(self.ensemble / self.member, 1.0)) / self.ensemble


def counts_of(ensemble: float, member: float, images: str) -> Counts:
    number = int(images)
    return Counts(error_count(ensemble, number), error_count(member, number), number)


def on_test(row: Row) -> Counts:
    return counts_of(float(row["error"]), float(np.mean(_numbers(row["member_errors"]))), row["test_images"])


def on_validation(row: Row) -> Counts:
    ends = (_numbers(row[name])[-1] for name in ("ensemble_curve", "member_curve"))
    return counts_of(*ends, row["validation_images"])


def by_seeds(rows: Iterable[Row]) -> dict[str, float] | None:
    """Return the standard deviations of R and of a member's log error over seeds; None for too few errors."""
    designs: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        place = (row["design"], row["budget"], row["epochs"], row["weight_decay"])
        designs[place].append(row)
    ratios, members, errors = _Pooled(), _Pooled(), []
    for found in (rows for rows in designs.values() if len(rows) > 1):
        ratios.add([on_test(row).log_ratio for row in found])
        errors += [on_test(row).ensemble for row in found]
        for row in found:
            members.add(np.log(np.maximum(_numbers(row["member_errors"]), 0.5 / int(row["test_images"]))))
    if not errors or np.median(errors) < LEAST_ERRORS:
        return None
    return {"trainings": len(errors), "std_ratio": ratios.std, "std_member": members.std}


class _Pooled:
    """A standard deviation that is pooled over groups, each with a mean of its own."""

    def __init__(self) -> None:
        self.squares, self.freedom = 0.0, 0

    def add(self, values: Sequence[float] | Floats) -> None:
        self.squares += float(np.var(values)) * len(values)
        self.freedom += len(values) - 1

    @property
    def std(self) -> float:
        return float(np.sqrt(self.squares / self.freedom))


def by_images(rows: Sequence[Row]) -> dict[str, float]:
    """Return the root of the mean square of R on validation less R on test images, and what nesting makes."""
    squares, nested, variances = [], [], []
    for row in rows:
        pair = (on_validation(row), on_test(row))
        squares.append((pair[0].log_ratio - pair[1].log_ratio) ** 2)
        variances.append(sum(counts.variance for counts in pair))
        nested.append(sum(counts.nested_variance for counts in pair))
    return {
        "trainings": len(rows),
        "root_mean_square": float(np.sqrt(np.mean(squares))),
        "of_nested_errors": float(np.sqrt(np.mean(nested))),
        "excess_share": float((np.mean(squares) - np.mean(nested)) / np.mean(variances)),
    }


def _numbers(cell: str) -> list[float]:
    return [float(x) for x in cell.split(";")]


def main() -> None:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in (row for name in GRIDS for row in rows_of(name)):
        design = parse_design(row["design"])
        if design.homogeneous and len(design.members) > 1 and row["member_curve"]:
            independent = "independent" if design.independent else "hatched"
            groups[f"{row['dataset']}, {independent}"].append(row | {"weight_decay": row.get("weight_decay")})
    seeds = {name: found for name, rows in groups.items() if (found := by_seeds(rows)) is not None}
    images = {name: by_images(rows) for name, rows in groups.items()}
    ratios = [s["std_ratio"] / s["std_member"] for name, s in seeds.items() if name.endswith("independent")]
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "ratio_over_member_std": float(np.median(ratios)),
        "excess_share": float(np.median([found["excess_share"] for found in images.values()])),
        "seeds": seeds,
        "images": images,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for name in groups:
        print(f"{name:40}", seeds.get(name), images[name])
    print({name: result[name] for name in ("ratio_over_member_std", "excess_share")})


if __name__ == "__main__":
    main()
