"""Equivalent ensembles: the strict rule by scanning graphs, and the published tables row by row."""

import csv
import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.designs.equivalents import equivalents
from advisor.errors import InvalidDesignError, UsageError
from advisor.networks.architecture import lower, parse_network, regular_network
from advisor.networks.layers import Task

ROOT = Path(__file__).resolve().parents[3]
CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
DEPTHS = {
    "resnet": range(8, 50, 6),
    "wrn": range(10, 40, 6),
    "densenet": range(7, 41, 3),
    "vgg": (11, 13, 16, 19),
    "mlp": range(1, 12),
}


def parameters(family, depth, width, task=CIFAR10):
    return lower(regular_network(family, depth, width), task).parameters


def scanned(family, depth, width, members, task, budget):
    """Width and depth of the equivalents, by trying every smaller network."""
    widths = [w for w in range(1, width + 1) if members * parameters(family, depth, w, task) <= budget]
    depths = [
        d for d in DEPTHS[family] if d <= depth and members * parameters(family, d, width, task) <= budget
    ]
    return max(widths, default=None), max(depths, default=None)


def found(equivalent):
    deq, weq = equivalent.depth_equivalent, equivalent.width_equivalent
    return deq and deq.width, weq and weq.depth


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(DEPTHS)).flatmap(
        lambda f: st.tuples(st.just(f), st.sampled_from(list(DEPTHS[f])))
    ),
    st.integers(1, 24),
    st.integers(2, 12),
    st.sampled_from([CIFAR10, Task(channels=1, height=8, width=8, classes=100)]),
)
def test_equivalents_follow_the_strict_rule(shape, width, members, task):
    family, depth = shape
    single = regular_network(family, depth, width)
    answer = equivalents(single, members, task)
    budget = lower(single, task).parameters
    assert found(answer) == scanned(family, depth, width, members, task, budget)
    assert (answer.single, answer.members) == (single, members)
    for network, kept in ((answer.depth_equivalent, "depth"), (answer.width_equivalent, "width")):
        if network is not None:
            assert getattr(network, kept) == getattr(single, kept)


@pytest.mark.parametrize("tolerance", [0.001, 0.008, 0.1, 1.0])
def test_a_tolerance_widens_the_budget_by_its_share(tolerance):
    single = parse_network("densenet-31-12")
    budget = parameters("densenet", 31, 12) * (1 + tolerance)
    expected = scanned("densenet", 31, 12, 3, CIFAR10, budget)
    assert found(equivalents(single, 3, CIFAR10, tolerance)) == expected


def test_an_equivalent_that_does_not_exist_is_none():
    answer = equivalents(parse_network("resnet-8-4"), 4, CIFAR10)
    # 4 · 395 fits 5006 (resnet-8-2 has 1,356, four times of which do not), and no shallower resnet exists.
    one = 27 + 2 + 2 * (9 + 2) + (18 + 4 + 36 + 4) + (72 + 8 + 144 + 8) + 50
    assert answer.depth_equivalent == parse_network("resnet-8-1")
    assert parameters("resnet", 8, 1) == one
    assert answer.width_equivalent is None
    assert found(equivalents(parse_network("resnet-8-1"), 4, CIFAR10)) == (None, None)


def test_equivalents_of_a_network_deeper_than_the_enumerated_space_exist():
    answer = equivalents(parse_network("mlp-500-10"), 2, Task(channels=1, height=8, width=8, classes=10))
    # (64 + 1)·10 + (d − 1)·110 + 110: 650 + 499·110 + 110 = 55,650; half of it holds d = 247.
    assert answer.width_equivalent == parse_network("mlp-247-10")


def test_equivalents_are_refused_for_irregular_networks_single_members_and_odd_tolerances():
    single = parse_network("resnet-26-16")
    with pytest.raises(InvalidDesignError, match="changed layers"):
        equivalents(parse_network("resnet-26-16~b1l1:3x20"), 4, CIFAR10)
    for members in (1, 0, -1):
        with pytest.raises(UsageError, match=f"at least 2 members, got {members}"):
            equivalents(single, members, CIFAR10)
    for tolerance in (-0.001, 1.5, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="between 0 and 1"):
            equivalents(single, 4, CIFAR10, tolerance)


# The published tables.


def published(name):
    """Rows (depth, width, weq depth, deq width) of a transcribed table."""
    with (ROOT / "tests" / "data" / name).open(newline="") as file:
        return [
            tuple(int(row[key]) for key in ("single_depth", "single_width", "weq_depth", "deq_width"))
            for row in csv.DictReader(file)
        ]


RESNET, DENSENET = published("table_c_resnet.csv"), published("table_b_densenet.csv")
WIDE_RESNET = published("table_d_wrn.csv")


def excess(family, single, depth, width):
    return 4 * parameters(family, depth, width) / parameters(family, *single) - 1


def test_the_tables_are_transcribed_whole():
    assert [row[:2] for row in RESNET] == [(d, w) for d in (26, 38, 50, 62) for w in (16, 24, 32, 48)]
    complete = [(d, w) for d in (40, 64, 88, 112) for w in (12, 20, 28, 36, 48)]
    assert [row[:2] for row in DENSENET] == complete[:-1]
    assert [row[:2] for row in WIDE_RESNET] == [(d, w) for d in (28, 52, 58) for w in (4, 8, 12)]


@pytest.mark.parametrize(("depth", "width", "weq", "deq"), WIDE_RESNET)
def test_the_strict_rule_gives_every_row_of_the_published_wide_resnet_table(depth, width, weq, deq):
    assert found(equivalents(regular_network("wrn", depth, width), 4, CIFAR10)) == (deq, weq)


@pytest.mark.parametrize(("depth", "width", "weq", "deq"), RESNET)
def test_every_published_resnet_weq_is_strict_and_every_deq_is_half_as_wide(depth, width, weq, deq):
    strict = equivalents(regular_network("resnet", depth, width), 4, CIFAR10)
    assert found(strict) == (width // 2 - 1, weq)
    assert 2 * deq == width
    assert 0 < excess("resnet", (depth, width), depth, deq) <= 0.008


@pytest.mark.parametrize(("depth", "width", "weq", "deq"), RESNET)
def test_a_tolerance_of_0_8_percent_reproduces_the_published_resnet_table(depth, width, weq, deq):
    tolerant = equivalents(regular_network("resnet", depth, width), 4, CIFAR10, tolerance=0.008)
    assert found(tolerant) == (deq, weq)


def test_the_densenet_table_agrees_with_the_strict_rule_in_exactly_these_rows():
    weq_agrees, deq_agrees = set(), set()
    for depth, width, weq, deq in DENSENET:
        strict = equivalents(regular_network("densenet", depth, width), 4, CIFAR10)
        if found(strict)[1] == weq:
            weq_agrees.add((depth, width))
        if found(strict)[0] == deq:
            deq_agrees.add((depth, width))
    assert deq_agrees == {(40, width) for width in (12, 20, 28, 36, 48)}
    assert weq_agrees == {(40, w) for w in (12, 20, 28, 36)} | {(64, w) for w in (20, 28, 36)} | {
        (88, 28),
        (88, 36),
    }


def test_where_the_densenet_deq_differs_it_is_half_as_wide_one_wider_than_strict_and_too_large():
    for depth, width, _, deq in DENSENET:
        if depth == 40:
            continue
        strict = equivalents(regular_network("densenet", depth, width), 4, CIFAR10)
        assert 2 * deq == width
        assert strict.depth_equivalent.width == deq - 1
        assert 0.0134 < excess("densenet", (depth, width), depth, deq) < 0.0684


def test_where_the_densenet_weq_differs_it_is_one_step_shallower_than_the_budget_allows():
    for depth, width, weq, _ in DENSENET:
        strict = equivalents(regular_network("densenet", depth, width), 4, CIFAR10)
        assert strict.width_equivalent.depth - weq in (0, 3)
        assert excess("densenet", (depth, width), weq, width) < 0


# The document.


@pytest.fixture(scope="module")
def script():
    location = importlib.util.spec_from_file_location(
        "equivalents_document", ROOT / "benchmarks" / "equivalents.py"
    )
    module = importlib.util.module_from_spec(location)
    # Dataclasses look their own module up while they are made.
    sys.modules[location.name] = module
    try:
        location.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[location.name]


def test_the_document_is_what_the_script_writes(script):
    document = ROOT / "docs" / "papers" / "equivalents.md"
    assert document.read_text(encoding="utf-8") == script.render(), "run python benchmarks/equivalents.py"


def test_the_document_has_a_row_for_every_published_row(script):
    text = script.render()
    for family, table in (("resnet", RESNET), ("densenet", DENSENET), ("wrn", WIDE_RESNET)):
        for depth, width, weq, deq in table:
            row = next(line for line in text.splitlines() if line.startswith(f"| {family}-{depth}-{width} |"))
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            assert (cells[2], cells[6]) == (f"{family}-{weq}-{width}", f"{family}-{depth}-{deq}")
