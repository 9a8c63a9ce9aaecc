"""What a person reads of a run's figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from rich.cells import cell_len
from rich.console import Console

from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import RunStatus
from cli.console import shortened
from cli.render.evaluation.comparison import comparison
from cli.render.runs import run, run_list
from cli.workflows.answers.runs.comparison import RunComparison
from cli.workflows.answers.runs.listing import RunList
from cli.workflows.answers.runs.run import EnsembleFigures, Run

TEST = EnsembleFigures(
    error=0.04,
    voting_error=0.045,
    super_learner_error=0.035,
    super_learner_weights=(0.75, 0.25),
    best_member=1,
    best_member_error=0.0525,
    mean_member_error=0.0625,
    member_errors=(0.0725, 0.0525),
    errors_by_members=(0.0625, 0.04),
    oracle_error=0.01,
    disagreement=0.03,
    nll=0.1234,
    calibration_error=0.015,
)
LATER = ("voting_error", "super_learner_error", "super_learner_weights", "best_member", "best_member_error")
EARLIER = replace(TEST, **dict.fromkeys((*LATER, "calibration_error", "errors_by_members")))


def run_with(test: EnsembleFigures | None, number: int = 7) -> Run:
    return Run(
        id=number,
        created_at="2026-11-21T12:00:00+00:00",
        status=RunStatus.DONE,
        message="",
        design="2xresnet-8-4",
        method=Method.FULL_DATA,
        dataset="digits",
        epochs=3,
        batch=32,
        seed=1,
        execution=Execution(
            device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"
        ),
        parameters=10012,
        folder="runs/0007",
        train_seconds=2.0,
        test=test,
        predicted=None,
        networks=(),
        steps=(),
        augmentation=Augmentation.NONE,
        hint=None,
        by_class=None,
        path=Path("/home/runs/0007"),
        # No table shows it.
        plan=cast(TrainingPlan, SimpleNamespace()),
    )


def text_of(renderable: object, width: int = 200) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def test_an_ensemble_is_shown_with_its_rivals_and_what_stands_behind_it():
    shown = text_of(run(run_with(TEST)))
    assert "test error 4.00 % averaged over 2 members, voting 4.50 %, super learner 3.50 %\n" in shown
    assert (
        "best member 5.25 %, mean member 6.25 %, oracle 1.00 %, disagreement 3.00 %, "
        "calibration error 1.50 %, negative log-likelihood 0.123\n"
        "error by members  1: 6.25 %  2: 4.00 %\n"
    ) in shown


@pytest.mark.parametrize(
    ("members", "line"),
    [
        (3, "error by members  1: 20.0 %  2: 10.0 %  3: 6.67 %\n"),
        (4, "error by members  1: 20.0 %  2: 10.0 %  4: 5.00 %\n"),
        (9, "error by members  1: 20.0 %  2: 10.0 %  4: 5.00 %  8: 2.50 %  9: 2.22 %\n"),
    ],
)
def test_smaller_ensembles_are_shown_at_powers_of_two_and_the_last(members, line):
    errors = tuple(0.2 / (i + 1) for i in range(members))
    test = replace(TEST, member_errors=(0.2,) * members, errors_by_members=errors)
    assert line in text_of(run(run_with(test)))


def test_a_single_network_is_shown_without_an_ensembles_figures():
    shown = text_of(run(run_with(replace(TEST, member_errors=(0.04,)))))
    assert "test error 4.00 %, calibration error 1.50 %, negative log-likelihood 0.123\n" in shown
    assert "voting" not in shown
    assert "by members" not in shown


def test_a_run_on_a_busy_machine_is_shown_as_one():
    line = "The machine was busy: the forecast is for its usual speed, and these seconds are no evidence."
    assert line in text_of(run(replace(run_with(TEST), busy_machine=True)))
    assert "busy" not in text_of(run(run_with(TEST)))


def test_an_older_run_is_shown_with_the_figures_that_it_has():
    shown = text_of(run(run_with(EARLIER)))
    assert "test error 4.00 % averaged over 2 members\n" in shown
    assert "mean member 6.25 %, oracle 1.00 %, disagreement 3.00 %, negative log-likelihood 0.123\n" in shown
    assert "None" not in shown
    assert "by members" not in shown


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("voting", "4.50 %"),
        ("super learner", "3.50 %"),
        ("best member", "5.25 %"),
        ("calibration error", "1.50 %"),
    ],
)
def test_runs_side_by_side_have_a_dash_where_a_figure_is_not_known(figure, value):
    answer = RunComparison(
        runs=(run_with(TEST), run_with(EARLIER, 8), run_with(None, 9)), groups=(), differences=()
    )
    (line,) = [line for line in text_of(comparison(answer)).splitlines() if figure in line]
    cells = line.replace("│", " ").split(figure)[1].split("  ")
    assert [cell.strip() for cell in cells if cell.strip()] == [value, "–", "–"]


@pytest.mark.parametrize("width", [80, 120])
def test_a_listed_run_is_one_line_however_long_its_names_are(width):
    def listed(number: int, design: str, dataset: str) -> SimpleNamespace:
        return SimpleNamespace(
            id=number,
            status="interrupted",
            design=design,
            dataset=dataset,
            epochs=120,
            test_error=0.0812,
            train_seconds=7412.0,
            created_at="2026-01-31T10:00:00+00:00",
        )

    runs = [
        listed(100, "4xresnet-20-16@g1", "folder:/home/someone/a very/long/path/to/pictures-of-2026"),
        listed(3, "+".join(f"mlp-1-{width}" for width in range(10, 30)), "folder:" + "写真" * 40),
        listed(1, "mlp-1-4", "digits"),
    ]
    lines = text_of(run_list(cast(RunList, SimpleNamespace(runs=runs))), width).splitlines()
    assert len(lines) == 1 + len(runs)
    assert all(line.split()[-1] == "2026-01-31" for line in lines[1:])
    assert all(word in lines[1] for word in ("interrupted", "120", "8.12 %", "2.06 h"))
    # Both ends of a path are left.
    assert "fol" in lines[1]
    assert "2026 " in lines[1]


@pytest.mark.parametrize("width", range(1, 12))
def test_a_shortened_text_has_the_width_it_may_have(width):
    for text in ("abcdefghijkl", "写真写真写真", "short"):
        assert cell_len(shortened(text, width)) <= width
    assert shortened("abcdefghijkl", 12) == "abcdefghijkl"
    assert shortened("abcdefghijkl", 8) == "abc…ijkl"
