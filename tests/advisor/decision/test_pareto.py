"""Non-dominated designs against the definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from advisor.decision.pareto import non_dominated

# Few distinct values, so that ties and equal rows are common.
tables = arrays(
    float,
    st.tuples(st.integers(1, 25), st.integers(1, 4)),
    elements=st.one_of(st.sampled_from([0.0, 1.0, 2.0, 3.0]), st.floats(-1e6, 1e6)),
)


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


@given(tables)
def test_a_row_is_on_the_front_if_no_row_dominates_it(values):
    expected = [not any(dominates(other, row) for other in values) for row in values]
    assert non_dominated(values).tolist() == expected


@given(tables)
def test_the_front_is_never_empty_and_holds_the_best_of_each_objective(values):
    front = values[non_dominated(values)]
    assert len(front) >= 1
    assert np.array_equal(front.min(axis=0), values.min(axis=0))


@given(tables)
def test_every_row_off_the_front_is_dominated_by_one_on_it(values):
    kept = non_dominated(values)
    for row in values[~kept]:
        assert any(dominates(best, row) for best in values[kept])


@given(tables, st.randoms())
def test_the_order_of_rows_does_not_matter(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    assert non_dominated(values[order]).tolist() == non_dominated(values)[order].tolist()


def test_equal_rows_are_all_kept():
    assert non_dominated(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 2.0]])).tolist() == [True, True, False]
