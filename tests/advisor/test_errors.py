"""Messages that name the nearest known name, and the tree that decides exit codes."""

import pytest

from advisor import errors
from advisor.errors import UnknownNameError
from advisor.networks.families import family_named
from advisor.plans.dataset import dataset_named


@pytest.mark.parametrize(
    ("written", "meant"),
    [("resnett", "resnet"), ("resne", "resnet"), ("dense-net", "densenet"), ("vg", "vgg")],
)
def test_a_misspelt_family_is_answered_with_the_nearest_one(written, meant):
    with pytest.raises(UnknownNameError) as caught:
        family_named(written)
    assert str(caught.value) == f"unknown family {written!r}: did you mean {meant!r}?"


def test_a_name_like_no_other_is_answered_with_the_whole_list_in_order():
    with pytest.raises(UnknownNameError) as caught:
        family_named("qqqq")
    assert str(caught.value) == "unknown family 'qqqq': choose one of densenet, mlp, resnet, vgg, wrn"


@pytest.mark.parametrize(("written", "meant"), [("cifar", "cifar10"), ("digit", "digits"), ("svnh", "svhn")])
def test_a_misspelt_data_set_is_answered_with_the_nearest_one(written, meant):
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        dataset_named(written)


def test_an_unknown_data_set_mentions_that_a_folder_can_be_given():
    with pytest.raises(UnknownNameError, match="folder:PATH"):
        dataset_named("zzz")


def test_an_unknown_name_with_a_line_break_stays_one_line():
    assert "\n" not in str(UnknownNameError("family", "a\nb", ["resnet"]))


def test_unknown_names_and_invalid_designs_are_usage_errors_and_nothing_else_is():
    tree = {
        kind.__name__: kind.__bases__[0].__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AdvisorError)
    }
    assert tree.pop("AdvisorError") == "Exception"
    assert tree.pop("UnknownNameError") == "UsageError"
    assert tree.pop("InvalidDesignError") == "UsageError"
    assert tree.pop("LockedError") == "StorageError"
    assert tree.pop("StepModeError") == "RunError"
    assert set(tree.values()) == {"AdvisorError"}


def test_the_tree_in_the_docstring_names_every_class():
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.AdvisorError):
            assert name in errors.__doc__


def test_an_interruption_carries_its_exit_code():
    assert errors.InterruptedRunError("stopped").exit_code == 130
    assert errors.InterruptedRunError("stopped", exit_code=143).exit_code == 143
