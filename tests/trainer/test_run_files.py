"""Checkpoints stay below the folder of their run."""

from __future__ import annotations

import pytest

from advisor.errors import StorageError
from trainer.run_files import network_folder


@pytest.mark.parametrize("name", ["../../0001/networks/member-2", "..", ".", "a/b", ""])
def test_no_name_leads_out_of_the_run(tmp_path, name):
    with pytest.raises(StorageError, match="would lie outside"):
        network_folder(tmp_path / "0002", name)


def test_an_absolute_name_leads_nowhere_else(tmp_path):
    with pytest.raises(StorageError, match="would lie outside"):
        network_folder(tmp_path / "0002", str(tmp_path / "elsewhere"))


@pytest.mark.parametrize("linked", ["networks", "networks/member-1"])
def test_no_link_is_followed_out_of_the_run(tmp_path, linked):
    run, elsewhere = tmp_path / "0001", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run / linked).parent.mkdir(parents=True)
    (run / linked).symlink_to(elsewhere)
    with pytest.raises(StorageError, match="remove the link"):
        network_folder(run, "member-1")


def test_a_home_that_is_reached_by_a_link_is_as_good_as_any(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "real")
    folder = network_folder(tmp_path / "home" / "0001", "member-1")
    assert folder == tmp_path / "home" / "0001" / "networks" / "member-1"
