"""Export of a trained ensemble to one file for other programs; the file is read back and compared.

======================  ==============================================================================
``onnx``                ONNX with the dynamo exporter: input ``images``, uint8 (batch, channels, height,
                        width), output ``probabilities``, float32 (batch, classes)
``pt2``                 `torch.export`: a program with the same input and output, for CPUs
``safetensors``         weights, normalisation and plan, for `trainer.load`
======================  ==============================================================================

The batch may have any size. Every format contains averaging, normalisation, and the description of the
ensemble as JSON with the names of the classes and the plan.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advisor.errors import RunError, StorageError, UnknownNameError, UsageError
from advisor.files import check_replaceable, replacing
from trainer.ensembles.description import description_to_json
from trainer.ensembles.ensemble import METADATA_KEY, Ensemble, load, save_ensemble

# Largest accepted difference of a probability. Rounding in float32 stays below a hundredth of it; a wrong
# weight exceeds it.
TOLERANCE = 1e-4
# Largest number of images for the comparison, and of their pixels: 256 images of 32×32, 5 of 224×224. The
# reference interpreter of ONNX is slow, and copies every map once for each weight of a kernel. Below 3 images
# there are no two batches of different size.
CHECKED_IMAGES, CHECKED_PIXELS = 256, 256 * 32 * 32
LEAST_CHECKED_IMAGES = 3
REMEDY = "pip install 'ensemble-advisor[export]'"

# Function from images, uint8 (batch, channels, height, width), to probabilities, float32 (batch, classes).
Predict = Callable[[Tensor], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An exported file and its comparison with the ensemble.

    Attributes:
        path: path of the file.
        bytes: size of the file.
        reader: name of the library that read the file back.
        images: number of images in the comparison.
        difference: largest difference of a probability.
    """

    path: Path
    bytes: int
    reader: str
    images: int
    difference: float


@dataclass(frozen=True, slots=True)
class Format:
    """Format of an exported ensemble.

    Attributes:
        write: function that writes an ensemble to a path.
        read: function that reads a path back; it returns the name of the reader and the predictor.
        packages: packages that writing needs.
    """

    write: Callable[[Ensemble, Path], None]
    read: Callable[[Path], tuple[str, Predict]]
    packages: tuple[str, ...] = ()


def check_export(form: str, output: Path, overwrite: bool) -> None:
    """Refuse an export that cannot succeed before anything is loaded.

    Args:
        form: key of `FORMATS`.
        output: file to write.
        overwrite: whether an existing file may be replaced.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: a package is missing, or the file exists and may not be overwritten.
        StorageError: the output is not a regular file, or its folder is missing or cannot be written.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    missing = [p for p in FORMATS[form].packages if importlib.util.find_spec(p) is None]
    if missing:
        raise UsageError(f"--to {form} needs the package {missing[0]}, which is not installed: {REMEDY}")
    try:
        check_replaceable(output)
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror or error}") from None
    if os.path.lexists(output) and not overwrite:
        raise UsageError(f"{output} exists: choose another name, or --force to overwrite it")


def export(
    ensemble: Ensemble, form: str, output: Path, images: Tensor, *, overwrite: bool = False
) -> Exported:
    """Write an ensemble to one file; the file appears only after it was read back and compared.

    Args:
        ensemble: ensemble on the CPU.
        form: key of `FORMATS`.
        output: file to write.
        images: images for the comparison, uint8 (images, channels, height, width); the first ones are used,
            at most `CHECKED_IMAGES` and `CHECKED_PIXELS`.
        overwrite: whether an existing file may be replaced.

    Raises:
        UnknownNameError, UsageError, StorageError: as `check_export`, or the disk refuses.
        RunError: the ensemble cannot be expressed in the format, or the file gives other probabilities.
    """
    check_export(form, output, overwrite)
    try:
        with replacing(output) as part:
            _write(ensemble, form, part)
            exported = _compared(ensemble, form, part, output, _checked(images))
            # Checked again, because another process may have created the file during the export.
            check_export(form, output, overwrite)
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror or error}") from None
    return exported


def _write(ensemble: Ensemble, form: str, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            # The exporters warn of their own future changes, which a user cannot influence.
            warnings.simplefilter("ignore")
            FORMATS[form].write(ensemble, path)
    except OSError:
        raise
    except Exception as error:
        # The exporters of torch raise nearly any exception.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"the ensemble cannot be written as {form}: {first}") from error


def _compared(ensemble: Ensemble, form: str, path: Path, output: Path, images: Tensor) -> Exported:
    """Return the comparison of a file with the ensemble, on two batches of different size.

    Raises:
        RunError: the file cannot be read back, or its probabilities differ.
    """
    try:
        reader, predict = FORMATS[form].read(path)
        answers = np.concatenate([predict(images[1:]), predict(images[:1])])
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{output} is not written, because it cannot be read back: {first}") from error
    with torch.inference_mode():
        expected = torch.cat([ensemble(images[1:]), ensemble(images[:1])]).numpy()
    difference = float(np.abs(answers - expected).max())
    # The negation is also true for a difference that is not a number.
    if not difference <= TOLERANCE:
        raise RunError(
            f"{output} is not written, because its probabilities differ by {difference:.1e} from the "
            f"ensemble's, and at most {TOLERANCE:.0e} is allowed"
        )
    return Exported(
        path=output, bytes=path.stat().st_size, reader=reader, images=len(images), difference=difference
    )


def _checked(images: Tensor) -> Tensor:
    """Return the images for the comparison: few if they are large."""
    pixels = images.shape[-2] * images.shape[-1]
    return images[: min(max(CHECKED_PIXELS // pixels, LEAST_CHECKED_IMAGES), CHECKED_IMAGES)]


def _example(ensemble: Ensemble) -> Tensor:
    """Return two images, because torch takes a batch size of one for a constant."""
    task = ensemble.description.plan.dataset.task
    return torch.zeros((2, task.channels, task.height, task.width), dtype=torch.uint8)


def _program(ensemble: Ensemble) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        program = torch.export.export(ensemble, (_example(ensemble),), dynamic_shapes=({0: batch},))
    # Stack traces contain names of folders of this machine.
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _write_onnx(ensemble: Ensemble, path: Path) -> None:
    # `_program` would be unsuitable here, because it does not keep the name of the batch dimension.
    program = torch.onnx.export(
        ensemble,
        (_example(ensemble),),
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    # These metadata are a quarter of a small file, and contain names of folders of this machine.
    for node in program.model.graph:
        node.metadata_props.clear()
    program.model.metadata_props[METADATA_KEY] = description_to_json(ensemble.description)
    program.save(path, external_data=False)


def _read_onnx(path: Path) -> tuple[str, Predict]:
    if importlib.util.find_spec("onnxruntime") is not None:
        runtime = importlib.import_module("onnxruntime")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return "onnxruntime", lambda images: session.run(None, {"images": images.numpy()})[0]
    reference = importlib.import_module("trainer.ensembles.onnx_reference").reference_of(path)
    return "onnx.reference", lambda images: reference.run(None, {"images": images.numpy()})[0]


def _write_pt2(ensemble: Ensemble, path: Path) -> None:
    # An open file, because torch accepts only paths that end in .pt2.
    with path.open("wb") as file:
        torch.export.save(
            _program(ensemble), file, extra_files={METADATA_KEY: description_to_json(ensemble.description)}
        )


def _read_pt2(path: Path) -> tuple[str, Predict]:
    with path.open("rb") as file:
        module = torch.export.load(file).module()

    def predict(images: Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            probabilities: NDArray[np.float32] = module(images).numpy()
        return probabilities

    return "torch.export", predict


def _read_safetensors(path: Path) -> tuple[str, Predict]:
    again = load(path)

    def predict(images: Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            probabilities: NDArray[np.float32] = again(images).numpy()
        return probabilities

    return "trainer.load", predict


FORMATS: dict[str, Format] = {
    "onnx": Format(_write_onnx, _read_onnx, ("onnx", "onnxscript")),
    "pt2": Format(_write_pt2, _read_pt2),
    "safetensors": Format(save_ensemble, _read_safetensors),
}
