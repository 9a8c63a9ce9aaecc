"""Functions on past runs: `runs`, `diversity` and `load`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cli.workflows.arguments import Folder, Progress, home_of, say_of, speaking_of_arguments
from cli.workflows.views import silent

if TYPE_CHECKING:
    from cli.workflows.answers.runs.diversity import RunDiversity
    from cli.workflows.answers.runs.listing import RunList
    from cli.workflows.answers.runs.run import Run
    from trainer.ensembles.ensemble import Ensemble


@speaking_of_arguments()
def runs(
    *,
    where: Mapping[str, object] | None = None,
    sort: str = "-id",
    limit: int | None = 50,
    home: Folder = None,
) -> RunList:
    """Return past runs, the newest first.

    Args:
        where: values that columns must have: ``{"dataset": "digits", "status": "done"}``.
        sort: column; with ``-`` in front, largest first.
        limit: largest number of runs; None for all.
        home: folder of the database.

    Raises:
        UsageError: an unknown column.
        StorageError: the database cannot be read.
    """
    from cli.workflows.runs.listing import list_runs

    conditions = [f"{column}={value}" for column, value in (where or {}).items()]
    return list_runs(home_of(home), conditions, sort, limit)


@speaking_of_arguments()
def diversity(
    runs: int | str | Sequence[int | str],
    *,
    on: Literal["test", "validation"] = "test",
    dataset: str | None = None,
    device: str | None = None,
    download: bool = False,
    home: Folder = None,
    progress: Progress = None,
) -> RunDiversity:
    """Return how different the members of ensembles are: variance, covariance, correlation, disagreement.

    Args:
        runs: number of a finished run or ``"last"``, or several; those that differ by their seed alone are a
            group, whose variances are over the seeds.
        on: ``test`` for test images, which the networks classify now, or ``validation`` for the stored
            probabilities.
        dataset: folder in which the data of the runs lie now, ``folder:PATH``, if they were moved.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        download: whether a missing data set may be fetched.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: an argument that cannot be understood, or a run that does not exist.
        RunError: a run is not finished, or has no probabilities.
        DataError: the data set of a run is missing.
        StorageError: a file of a run is damaged.
    """
    from advisor.errors import lookup
    from cli.workflows.answers.runs.diversity import ImageSplit
    from cli.workflows.runs.diversity.probabilities import ProbabilityOptions
    from cli.workflows.runs.diversity.report import diversity_of_runs

    split = lookup("value of --on", on, ImageSplit)
    options = ProbabilityOptions(split=split, device=device, download=download, moved_to=dataset)
    numbers = [str(run) for run in ((runs,) if isinstance(runs, int | str) else runs)]
    return diversity_of_runs(home_of(home), numbers, options, say_of(progress))


@speaking_of_arguments()
def load(run: Run | Path | str | int = "last", *, device: str | None = None, home: Folder = None) -> Ensemble:
    """Return a trained ensemble as one `torch.nn.Module` in evaluation mode.

    The module takes images (batch, channels, height, width), uint8 or floats from 0 to 255, and returns the
    average of its members' probabilities, float32 (batch, classes). Other images are refused with a
    `DataError`, also floats that look like images from 0 to 1. Its attribute `classes` has the names of the
    classes by label.

    Args:
        run: answer of `train`, number of a run or ``"last"``, folder of a run, or a file that
            ``advisor export --to safetensors`` wrote.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        home: folder of the runs; it does not matter where `run` is an answer, a folder or a file.

    Raises:
        UsageError: a run that does not exist.
        RunError: a run that is not finished.
        StorageError: a file that is missing or damaged.
    """
    from cli.workflows.runs.trained import load_run
    from profiler.device import choose_device
    from trainer.ensembles.ensemble import load as from_files

    if isinstance(run, int) or isinstance(run, str) and (run == "last" or run.isdecimal()):
        return load_run(str(run), home_of(home), silent, device=device, download=False).ensemble
    path = Path(run) if isinstance(run, str | Path) else run.path
    return from_files(path, choose_device(device))
