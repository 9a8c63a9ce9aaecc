"""Which steps of a plan are done, as the checkpoints in the folder of the run tell.

Nothing else is asked: neither the database nor the records that wait for it. Several processes, on several
machines, therefore agree on what can start. A damaged checkpoint counts as one that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from advisor.plans.plan import HatchStep, Step, TrainingPlan
from trainer.run_files import network_folder
from trainer.training.checkpoint import load_checkpoint


def is_done(plan: TrainingPlan, step: Step, run: Path, warn: Callable[[str], None]) -> bool:
    """Return whether a step has come to its end.

    Args:
        plan: plan of the run.
        step: step of the plan.
        run: folder of the run.
        warn: receiver of one line about every damaged checkpoint.

    Raises:
        StorageError: the folder of the network lies outside that of the run.
    """
    own = [each.id for each in plan.steps if each.network == step.network]
    checkpoint = load_checkpoint(network_folder(run, step.network), warn, own)
    if checkpoint is None:
        return False
    reached, wanted = own.index(checkpoint.progress.step), own.index(step.id)
    if reached != wanted:
        return reached > wanted
    return isinstance(step, HatchStep) or checkpoint.progress.done


def unfinished(
    plan: TrainingPlan, steps: Iterable[Step], run: Path, warn: Callable[[str], None]
) -> list[str]:
    """Return the ids of those of some steps that are not done, in their order.

    Args:
        plan: plan of the run.
        steps: steps of the plan.
        run: folder of the run.
        warn: receiver of one line about every damaged checkpoint.

    Raises:
        StorageError: as `is_done`.
    """
    return [step.id for step in steps if not is_done(plan, step, run, warn)]
