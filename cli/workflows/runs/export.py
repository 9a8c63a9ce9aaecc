"""`advisor export`: a trained ensemble as one file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from advisor.plans.dataset import DatasetFacts
from cli.workflows.answers.runs.prediction import Export
from cli.workflows.home import Home
from cli.workflows.runs.trained import load_run
from cli.workflows.views import Say
from trainer.ensembles.export import check_export
from trainer.ensembles.export import export as exported


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """A run and the file for its ensemble.

    Attributes:
        run: number of the run, or ``last``.
        form: ``onnx``, ``pt2`` or ``safetensors``.
        output: file to write.
        force: whether an existing file is replaced.
        download: whether a missing data set may be fetched; the file is checked on its test images.
        moved_to: name of the folder in which the data of the run lie now; None for the same.
    """

    run: str
    form: str
    output: Path
    force: bool = False
    download: bool = False
    moved_to: str | None = None


def export(request: ExportRequest, home: Home, say: Say) -> Export:
    """Write a run's ensemble to a file and check that file on test images.

    Args:
        request: the run and the file.
        home: home of the run.
        say: receiver of remarks, one line each.

    Raises:
        UsageError: an unknown run or format, a missing package, or a file that exists.
        RunError: the run is not finished, or file and ensemble predict differently.
        DataError: the data set of the check is missing.
        StorageError: a file of the run is damaged, or the operating system refuses to write.
    """
    check_export(request.form, request.output, request.force)
    trained = load_run(
        request.run, home, say, device="cpu", download=request.download, moved_to=request.moved_to
    )
    data = trained.data_of(home, request.download)
    say(f"writing {trained.run.plan.design} as {request.form}")
    written = exported(
        trained.ensemble, request.form, request.output, data.test.images, overwrite=request.force
    )
    return Export(
        run=trained.run.id,
        design=trained.run.plan.design,
        members=len(trained.ensemble.members),
        format=request.form,
        file=str(written.path),
        bytes=written.bytes,
        checked_by=written.reader,
        checked_images=written.images,
        test_images=len(data.test),
        max_difference=written.difference,
        input=_input_of(trained.run.plan.dataset),
    )


def _input_of(facts: DatasetFacts) -> str:
    """Return what images the file takes, in words."""
    colours = {1: "grey", 3: "RGB"}.get(facts.task.channels, f"{facts.task.channels} channels")
    return f"uint8 {facts.task.text}, {colours}, {facts.preparation_of_files.text}"
