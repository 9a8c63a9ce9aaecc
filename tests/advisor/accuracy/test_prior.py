"""The prior of the accuracy formula: published errors, and the order of designs."""

import numpy as np
from accuracy_examples import DATASETS, FAMILIES, draws, prior, regular
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.accuracy.posterior import SAMPLES
from advisor.accuracy.prior import ANCHORS
from advisor.accuracy.sources.published import ERRORS
from advisor.plans.recipes.table import RECIPES


def test_the_formula_alone_has_published_errors_within_its_intervals():
    # Publications train one network by several recipes, so one of ten may lie outside.
    inside = []
    for row in (row for row in ERRORS if row.dataset in ANCHORS):
        found = prior().sample_regular(
            row.family,
            row.dataset,
            DATASETS[row.dataset].classes,
            parameters=np.array([row.parameters * 1e6]),
            depth=np.array([float(row.depth)]),
            members=np.array([float(row.members)]),
            epochs=row.epochs,
        )
        estimate = prior().predict(found[:, 0])
        inside.append(estimate.low <= row.error / 100 <= estimate.high)
    assert np.mean(inside) >= 0.85


@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(sorted(DATASETS)),
    st.lists(st.floats(1e2, 1e12), min_size=2, max_size=5),
    st.sampled_from([1, 7, 100, 10_000]),
    st.sampled_from([1, 4, 256]),
    st.sampled_from([2, 10, 1000]),
)
@settings(max_examples=60)
def test_errors_fall_with_size_and_stay_between_nothing_and_chance(
    family, dataset, sizes, epochs, members, classes
):
    found = regular(family, dataset, sorted(sizes), epochs, members, classes)
    assert found.shape == (SAMPLES, len(sizes))
    assert np.all(np.isfinite(found))
    assert np.all(found > 0)
    assert np.all(found <= 1 - 1 / classes + 1e-12)
    assert np.all(np.diff(found, axis=1) <= 1e-12)


@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(sorted(DATASETS)),
    st.integers(1, 10_000),
    st.integers(1, 10_000),
)
@settings(max_examples=40)
def test_errors_fall_with_epochs(family, dataset, epochs, more):
    for members in (1, 4):
        short, long = (regular(family, dataset, [3e5], e, members) for e in (epochs, epochs + more))
        assert np.all(long <= short + 1e-12)


@given(
    st.sampled_from(["4x", "8x"]), st.sampled_from(sorted(DATASETS)), st.sampled_from([1, 10, 250, 10_000])
)
@settings(max_examples=24)
def test_fewer_mothers_mean_more_error_but_less_than_a_hatched_member(count, dataset, epochs):
    member = draws("resnet-14-8", dataset, epochs)
    independent, two, one = (draws(f"{count}resnet-14-8{g}", dataset, epochs) for g in ("", "@g2", "@g1"))
    # Of the worlds in which hatching alone costs a member something, and how much.
    samples, index = prior()._posterior.samples, prior()._index
    cost = np.exp(samples[:, index["log_method/mothernets"]] + samples[:, index[f"hatched_on/{dataset}"]])
    assert np.all((independent <= two + 1e-12) | (cost < 1))
    assert np.all((two <= one + 1e-12) | (cost < 1))
    assert np.all((one <= member * cost + 1e-12) | (cost < 1))
    assert np.all(independent <= member + 1e-12)


def test_after_a_full_schedule_even_one_mother_beats_a_single_member():
    assert draws("4xresnet-20-16@g1").mean() < draws("resnet-20-16").mean()


def test_where_every_network_guesses_averaging_gains_nothing():
    single, ensemble = (draws(f"{k}wrn-10-1", "cifar100", 1).mean() for k in ("", "8x"))
    assert ensemble > 0.995 * single


def test_more_members_of_one_size_never_have_more_error():
    errors = [draws(f"{k}xresnet-20-16" if k > 1 else "resnet-20-16").mean() for k in (1, 2, 4, 8, 16)]
    assert errors == sorted(errors, reverse=True)


def test_cifar100_is_harder_than_cifar10():
    assert np.all(draws("resnet-20-16", "cifar100") > draws("resnet-20-16", "cifar10"))


def test_a_data_set_without_published_errors_has_an_interval_of_an_order_of_magnitude():
    for design in ("resnet-20-16", "mlp-2-64", "4xwrn-10-1"):
        unknown = prior().predict(draws(design, "mine"))
        known = prior().predict(draws(design, "cifar10"))
        assert unknown.high / unknown.low >= 10
        assert unknown.high / unknown.low > 3 * known.high / known.low


def test_every_family_has_a_usual_length_of_training():
    assert set(RECIPES) == set(FAMILIES)
