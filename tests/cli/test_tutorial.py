"""docs/tutorial.md works as it stands: its blocks run one after the other, as in a notebook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.workflows.forecast import machine

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
# The same calls, in seconds instead of a minute.
SHORTER = {
    "profile_seconds=8": "profile_seconds=0",
    "profile_seconds=0": "profile_seconds=0, trials=20",
    "minutes=0.5": "minutes=0.05, profile_seconds=0",
    "epochs=20": "epochs=2",
}


@pytest.mark.slow
def test_the_blocks_of_the_tutorial_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # Members train one after the other in this process: starting others takes longer.
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    text = TUTORIAL.read_text()
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 9
    names = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, "tutorial.md", "exec"), names)
    assert names["run"].status == "done"
    assert len(names["ensemble"].members) == len(names["run"].test.member_errors)
    assert names["probabilities"].shape == (8, 10)
    assert (tmp_path / "experiments" / "advisor.sqlite").exists()
    assert "did you mean 'resnet'?" in capsys.readouterr().out
