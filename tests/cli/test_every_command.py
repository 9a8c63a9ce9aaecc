"""Every command that prints JSON, once: what it prints keeps the schema that is committed."""

from __future__ import annotations

from cli.workflows.answers.commands import ANSWERS
from cli.workflows.forecast import machine

ASKED = ("--dataset", "digits", "--epochs", "2")
PRICED = ("--price-per-hour", "v100")
QUICK = ("--family", "resnet", "--profile-seconds", "0")
# In an order in which each finds what it needs; run 2 is stopped by its time limit before it is resumed.
LINES = (
    ("data", "digits"),
    ("recommend", "--budget", "15k", *ASKED, *QUICK, "--trials", "20", *PRICED, "--max-usd", "9"),
    ("probe", "--dataset", "digits", "--minutes", "0.05", "--profile-seconds", "0"),
    ("probe", "list"),
    ("probe", "delete", "--all", "--yes"),
    ("train", "2xmlp-1-8@g1", *ASKED),
    ("extend", "1", "--add-members", "mlp-1-8"),
    ("train", "mlp-1-8", *ASKED, "--no-start"),
    ("step", "last", "train", "member-1"),
    ("step", "last", "evaluate"),
    ("explain", "1"),
    ("whatif", "mlp-1-8", "--epochs", "x2", "--images", "x2", *ASKED[:2], *PRICED),
    ("frontier", "2xmlp-1-8", *ASKED, *PRICED),
    ("est", "--family", "resnet", *ASKED),
    ("space", "--budget", "15k", "--family", "resnet"),
    ("equivalents", "resnet-14-8"),
    ("equivalents", "mlp-2-8", "--members", "2", "--compare", *ASKED, *PRICED),
    ("predict", "1", "--test"),
    ("export", "1", "--to", "safetensors", "--output", "ensemble.safetensors"),
    ("runs", "list"),
    ("runs", "show", "1", *PRICED),
    ("runs", "compare", "1", "2", *PRICED),
    ("runs", "diversity", "1"),
    ("db", "path"),
    ("db", "check"),
    ("db", "backup", "copy.sqlite"),
    ("runs", "delete", "2", "--yes"),
)


def test_the_json_of_every_command_keeps_its_schema(advisor, monkeypatch):
    # Everything trains in this process: starting others takes longer.
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    for line in LINES:
        answer = advisor(*line, "--json", "--quiet")
        assert answer.code == 0, (line, answer.err)
        # Reading it checks it (conftest.py).
        assert answer.json
    assert advisor("runs", "export", "--format", "json").json["runs"]
    assert advisor("train", "mlp-1-8", *ASKED[:2], "--epochs", "60", "--time-limit", "0.3s").code == 75
    assert advisor("resume", "last", "--json", "--quiet").json["run"]["status"] == "done"
    pairs = (" ".join(line[:2]) for line in LINES)
    tried = {pair if pair in ANSWERS else pair.split()[0] for pair in pairs}
    # Tests of imports and profiles read theirs.
    assert set(ANSWERS) - tried == {"runs export", "resume", "db import", "profile"}
