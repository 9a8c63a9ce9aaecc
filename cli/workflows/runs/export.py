"""`advisor export`: a trained ensemble as one file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.workflows.home import SCHEMA_VERSION, Home
from cli.workflows.runs.predict import load_run
from cli.workflows.views import Say
from trainer.ensembles.export import check_export
from trainer.ensembles.export import export as exported


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to write where.

    Attributes:
        run: its number, or ``last``.
        form: ``onnx``, ``pt2`` or ``safetensors``.
        output: file to write.
        force: whether an existing file is replaced.
        download: whether a missing data set may be fetched, on which the file is checked.
    """

    run: str
    form: str
    output: Path
    force: bool = False
    download: bool = False


def export(request: ExportRequest, home: Home, say: Say) -> dict[str, Any]:
    """Write a run's ensemble, check the file on test images, and return what was written as plain JSON.

    Raises:
        UsageError: an unknown run or format, a missing package, or a file that exists.
        RunError: the run is not finished, or the file does not answer as the ensemble does.
        DataError: the data set to check on is missing.
        StorageError: a file of the run is damaged, or the disk refuses.
    """
    check_export(request.form, request.output, request.force)
    trained = load_run(request.run, home, say, device="cpu", download=request.download)
    data = trained.data_of(home, request.download)
    say(f"writing {trained.run.plan.design} as {request.form}")
    written = exported(
        trained.ensemble, request.form, request.output, data.test.images, overwrite=request.force
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "run": trained.run.id,
        "design": trained.run.plan.design,
        "members": len(trained.ensemble.members),
        "format": request.form,
        "file": str(written.path),
        "bytes": written.bytes,
        "checked_by": written.reader,
        "checked_images": written.images,
        "test_images": len(data.test),
        "max_difference": written.difference,
    }
