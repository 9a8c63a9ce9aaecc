"""The folder of a run lies in its home."""

from __future__ import annotations

import pytest

from advisor.errors import StorageError
from cli.workflows.home import Home


@pytest.mark.parametrize(
    "relative", ["../x", "/etc", "runs/../../x", "runs/0001/../0002", "runs", "runs/1", "runs/0001/", ""]
)
def test_a_path_that_is_not_that_of_a_run_is_refused(tmp_path, relative):
    with pytest.raises(StorageError, match="must lie in a folder runs/NUMBER of the home"):
        Home(tmp_path).run_folder(relative)


def test_a_home_may_be_a_link_but_no_folder_in_it(tmp_path):
    real = tmp_path / "disk" / "home"
    (real / "runs" / "0001").mkdir(parents=True)
    (tmp_path / "home").symlink_to(real)
    home = Home(tmp_path / "home")
    assert home.run_folder("runs/0001") == tmp_path / "home" / "runs" / "0001"
    (tmp_path / "outside").mkdir()
    (real / "runs" / "0002").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="without links"):
        home.run_folder("runs/0002")
    assert not home.trains("runs/0002")
