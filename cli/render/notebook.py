"""Answers as HTML for a notebook: the tables of the command line, drawn by rich."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

from cli.render.advice import recommendation
from cli.render.evaluation.comparison import comparison
from cli.render.evaluation.diversity import diversity
from cli.render.examine.class_comparison import class_comparison
from cli.render.examine.cluster import profiled_kinds
from cli.render.examine.data import data_look
from cli.render.examine.explain import explanation
from cli.render.examine.frontier import frontier
from cli.render.examine.switchover import switchover
from cli.render.examine.whatif import comparison as changes
from cli.render.formats import facts
from cli.render.predictions import export, prediction
from cli.render.probe import probe_list, probing
from cli.render.profile import profile
from cli.render.runs import run, run_list
from cli.render.space import equivalents, space
from cli.render.steps import executed_step
from cli.render.watched import advice_preview, forecast_history, run_curves
from cli.workflows.answers.advise.advice import Advice
from cli.workflows.answers.advise.preview import AdvicePreview
from cli.workflows.answers.advise.probing import DeletedProbes, ProbeList, Probing
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.database import DatabaseBackup, DatabaseCheck, DatabasePath, ImportedTrainings
from cli.workflows.answers.examine.class_comparison import EquivalentComparison
from cli.workflows.answers.examine.clusters import ClusterProfile
from cli.workflows.answers.examine.data import DataLook
from cli.workflows.answers.examine.explanation import Explanation
from cli.workflows.answers.examine.forecast_history import ForecastHistory
from cli.workflows.answers.examine.frontier import Frontier
from cli.workflows.answers.examine.profile import Profile
from cli.workflows.answers.examine.space import DesignSpace, EquivalentDesigns
from cli.workflows.answers.examine.switchover import SwitchoverMap
from cli.workflows.answers.examine.whatif import WhatIf
from cli.workflows.answers.runs.comparison import RunComparison
from cli.workflows.answers.runs.curves import RunCurves
from cli.workflows.answers.runs.diversity import RunDiversity
from cli.workflows.answers.runs.executed_step import ExecutedStep
from cli.workflows.answers.runs.listing import DeletedRun, RunList
from cli.workflows.answers.runs.prediction import Export, Prediction, TestSetPrediction
from cli.workflows.answers.runs.run import Run

COLUMNS = 100
RENDERERS: dict[type[Answer], Callable[[Any], RenderableType]] = {
    DataLook: data_look,
    DesignSpace: space,
    EquivalentDesigns: equivalents,
    EquivalentComparison: class_comparison,
    Advice: recommendation,
    Probing: probing,
    ProbeList: probe_list,
    DeletedProbes: facts,
    Run: run,
    ExecutedStep: executed_step,
    RunComparison: comparison,
    RunDiversity: diversity,
    RunList: run_list,
    DeletedRun: facts,
    Prediction: prediction,
    TestSetPrediction: prediction,
    Export: export,
    DatabasePath: facts,
    DatabaseCheck: facts,
    DatabaseBackup: facts,
    ImportedTrainings: facts,
    Explanation: explanation,
    WhatIf: changes,
    Frontier: frontier,
    Profile: profile,
    ClusterProfile: profiled_kinds,
    SwitchoverMap: switchover,
    RunCurves: run_curves,
    ForecastHistory: forecast_history,
    AdvicePreview: advice_preview,
}


def as_html(answer: Answer) -> str:
    """Return an answer as an HTML fragment; names of files and runs are escaped."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(RENDERERS[type(answer)](answer))
    return console.export_html(inline_styles=True, code_format='<pre style="line-height: 1.2">{code}</pre>')
