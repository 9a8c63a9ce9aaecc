"""The type of every command's answer. A test checks that no command with ``--json`` is missing."""

from __future__ import annotations

from cli.workflows.answers.advise.advice import Advice
from cli.workflows.answers.advise.probing import DeletedProbes, ProbeList, Probing
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.database import DatabaseBackup, DatabaseCheck, DatabasePath, ImportedTrainings
from cli.workflows.answers.examine.class_comparison import EquivalentComparison
from cli.workflows.answers.examine.clusters import ClusterProfile
from cli.workflows.answers.examine.data import DataLook
from cli.workflows.answers.examine.explanation import Explanation
from cli.workflows.answers.examine.frontier import Frontier
from cli.workflows.answers.examine.profile import Profile
from cli.workflows.answers.examine.space import DesignSpace, EquivalentDesigns
from cli.workflows.answers.examine.switchover import SwitchoverMap
from cli.workflows.answers.examine.whatif import WhatIf
from cli.workflows.answers.runs.comparison import RunComparison
from cli.workflows.answers.runs.diversity import RunDiversity
from cli.workflows.answers.runs.executed_step import ExecutedStep
from cli.workflows.answers.runs.listing import DeletedRun, RunList
from cli.workflows.answers.runs.prediction import Export, Prediction, TestSetPrediction
from cli.workflows.answers.runs.run import Run

# A command that answers in one of several forms has a tuple.
ANSWERS: dict[str, type[Answer] | tuple[type[Answer], ...]] = {
    "data": DataLook,
    "space": DesignSpace,
    "equivalents": (EquivalentDesigns, EquivalentComparison),
    "recommend": Advice,
    "probe": Probing,
    "probe list": ProbeList,
    "probe delete": DeletedProbes,
    "train": Run,
    "resume": Run,
    "extend": Run,
    "step": (ExecutedStep, Run),
    "predict": (Prediction, TestSetPrediction),
    "export": Export,
    "runs list": RunList,
    "runs show": Run,
    "runs compare": RunComparison,
    "runs diversity": RunDiversity,
    "runs export": RunList,
    "runs delete": DeletedRun,
    "db path": DatabasePath,
    "db check": DatabaseCheck,
    "db backup": DatabaseBackup,
    "db import": ImportedTrainings,
    "explain": Explanation,
    "whatif": WhatIf,
    "frontier": Frontier,
    "profile": (Profile, ClusterProfile),
    "est": SwitchoverMap,
}
