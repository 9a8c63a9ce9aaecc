"""Which device is chosen, and what makes two machines differ."""

from dataclasses import fields, replace

import pytest
import torch

from advisor.errors import UsageError
from profiler import device
from profiler.device import choose_device, fingerprint, usable_cores


@pytest.fixture
def without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def with_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_without_cuda_the_processor_is_chosen(without_cuda):
    assert choose_device(None) == "cpu"
    assert choose_device("cpu") == "cpu"


def test_with_cuda_it_is_chosen_unless_the_processor_is_wanted(with_cuda):
    assert choose_device(None) == "cuda"
    assert choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"


def test_cuda_that_is_not_there_is_refused_with_the_remedy(without_cuda):
    with pytest.raises(UsageError, match="no CUDA device here; use --device cpu") as refused:
        choose_device("cuda")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["gpu", "cuda:0", "CPU", ""])
def test_an_unknown_device_is_refused_with_the_choices(name):
    with pytest.raises(UsageError, match="choose cpu or cuda") as refused:
        choose_device(name)
    assert repr(name) in str(refused.value)


def test_usable_cores_are_those_of_this_process(monkeypatch):
    assert usable_cores() >= 1
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert usable_cores() == 3


def test_the_fingerprint_of_a_processor_names_it_its_cores_and_torch(execution):
    mark = fingerprint(execution)
    assert mark.device == "cpu"
    assert f"{usable_cores()} cores" in mark.device_name
    assert mark.torch == torch.__version__
    assert mark == fingerprint(execution)


@pytest.mark.parametrize(
    "changes", [{"threads": 2}, {"dtype": "bfloat16"}, {"memory_format": "channels_last"}]
)
def test_settings_that_change_the_time_of_a_step_change_the_digest(execution, changes):
    assert fingerprint(replace(execution, **changes)).digest != fingerprint(execution).digest


def test_the_number_of_processes_is_no_part_of_the_fingerprint(execution):
    assert fingerprint(replace(execution, processes=4)) == fingerprint(execution)


def test_the_digest_changes_with_every_field(execution):
    mark = fingerprint(execution)
    digests = {mark.digest}
    for field in fields(mark):
        value = getattr(mark, field.name)
        digests.add(replace(mark, **{field.name: value + (1 if isinstance(value, int) else "x")}).digest)
    assert len(digests) == 1 + len(fields(mark))
