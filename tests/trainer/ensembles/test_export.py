"""Exported files are read by another program than wrote them, and appear whole and right or not at all."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import trainer
from advisor.errors import RunError, StorageError, UnknownNameError, UsageError
from advisor.networks.architecture import lower
from trainer.ensembles import export as export_module
from trainer.ensembles.description import describe
from trainer.ensembles.ensemble import METADATA_KEY, Ensemble, load
from trainer.ensembles.export import FORMATS, TOLERANCE, export
from trainer.networks.network import build_network


def ensemble_of(plan, digits):
    """Members with random weights, their batch normalisation in use."""
    networks = {}
    for seed, planned in enumerate(plan.members):
        networks[planned.name] = build_network(lower(planned.spec, plan.dataset.task), seed)
        networks[planned.name].train()
        networks[planned.name](torch.randn((64, 1, 8, 8), generator=torch.Generator().manual_seed(seed)))
    return Ensemble(describe(plan, digits), networks)


@pytest.fixture(scope="module")
def ensemble(plan_of, digits):
    return ensemble_of(plan_of("resnet-8-4+mlp-1-8"), digits)


@pytest.fixture
def images(digits):
    return digits.test.images[:9]


def test_a_torch_program_takes_any_batch_and_averages_inside(ensemble, images, tmp_path):
    path = tmp_path / "ensemble.pt2"
    exported = export(ensemble, "pt2", path, images)
    assert (exported.path, exported.images, exported.reader) == (path, 9, "torch.export")
    assert exported.bytes == path.stat().st_size
    assert exported.difference <= TOLERANCE
    files = {METADATA_KEY: ""}
    module = torch.export.load(path, extra_files=files).module()
    for count in (1, 2, 9):
        assert torch.allclose(module(images[:count]), ensemble(images[:count]), atol=1e-6)
    assert json.loads(files[METADATA_KEY])["plan"]["design"] == "resnet-8-4+mlp-1-8"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_onnx_takes_any_batch_and_averages_inside(ensemble, images, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from onnx.reference import ReferenceEvaluator

    path = tmp_path / "ensemble.onnx"
    exported = export(ensemble, "onnx", path, images)
    assert exported.difference <= TOLERANCE
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (given,), (answer,) = model.graph.input, model.graph.output
    assert (given.name, given.type.tensor_type.elem_type) == ("images", onnx.TensorProto.UINT8)
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["batch", 1, 8, 8]
    assert answer.name == "probabilities"
    described = {p.key: p.value for p in model.metadata_props}[METADATA_KEY]
    assert json.loads(described)["plan"]["design"] == "resnet-8-4+mlp-1-8"
    evaluator = ReferenceEvaluator(model)
    for count in (1, 2, 9):
        (found,) = evaluator.run(None, {"images": images[:count].numpy()})
        assert np.abs(found - ensemble(images[:count]).detach().numpy()).max() < 1e-5
    # One file, whose weights lie in no other.
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_file_does_not_tell_of_the_machine_that_wrote_it(ensemble, images, tmp_path, form):
    for package in FORMATS[form].packages:
        pytest.importorskip(package)
    path = tmp_path / "file"
    export(ensemble, form, path, images)
    folders = (Path(trainer.__file__).parent, Path(torch.__file__).parent, Path.home(), tmp_path)
    assert [folder for folder in folders if str(folder).encode() in path.read_bytes()] == []


def test_safetensors_are_read_by_the_loader(ensemble, images, tmp_path):
    path = tmp_path / "ensemble.safetensors"
    exported = export(ensemble, "safetensors", path, images)
    assert exported.difference == 0
    assert torch.equal(load(path)(images), ensemble(images))


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize(
    "network", ["resnet-8-4", "wrn-10-1", "densenet-7-4", "vgg-11-4", "mlp-2-8", "vgg-11-4~b2:2,b6:3"]
)
def test_every_family_can_be_exported(plan_of, digits, images, tmp_path, form, network):
    for package in FORMATS[form].packages:
        pytest.importorskip(package)
    small = ensemble_of(plan_of(network), digits)
    assert export(small, form, tmp_path / "file", images).difference <= 1e-5


def test_no_more_images_are_checked_than_promised(ensemble, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "CHECKED_IMAGES", 5)
    assert export(ensemble, "safetensors", tmp_path / "x", digits.test.images).images == 5


@pytest.mark.parametrize(("pixels", "checked"), [(64 * 7, 7), (64, 3)])
def test_of_large_images_few_are_checked(ensemble, digits, tmp_path, monkeypatch, pixels, checked):
    # Digits have 64 pixels; two batches of different size need three images.
    monkeypatch.setattr(export_module, "CHECKED_PIXELS", pixels)
    assert export(ensemble, "safetensors", tmp_path / "x", digits.test.images).images == checked


def lying(by):
    """A format whose file answers with another probability than the ensemble."""
    form = FORMATS["safetensors"]

    def read(path):
        name, predict = form.read(path)
        return name, lambda images: predict(images) + np.float32(by)

    return {"safetensors": replace(form, read=read)}


@pytest.mark.parametrize("by", [2 * TOLERANCE, -2 * TOLERANCE, float("nan")])
def test_a_file_that_answers_differently_is_not_written(ensemble, images, tmp_path, monkeypatch, by):
    monkeypatch.setattr(export_module, "FORMATS", lying(by))
    with pytest.raises(RunError, match="is not written, because its probabilities differ"):
        export(ensemble, "safetensors", tmp_path / "x", images)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_file_that_it_was_to_replace(ensemble, images, tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("before")
    monkeypatch.setattr(export_module, "FORMATS", lying(1))
    with pytest.raises(RunError):
        export(ensemble, "safetensors", path, images, overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x", "before")]


def test_an_existing_file_is_kept_unless_asked(ensemble, images, tmp_path):
    path = tmp_path / "x"
    path.write_text("before")
    with pytest.raises(UsageError, match="--force"):
        export(ensemble, "safetensors", path, images)
    assert path.read_text() == "before"
    assert export(ensemble, "safetensors", path, images, overwrite=True).difference == 0
    load(path)


@pytest.mark.parametrize("stage", ["write", "read"])
def test_what_the_exporters_raise_is_one_line_and_leaves_nothing(
    ensemble, images, tmp_path, monkeypatch, stage
):
    def broken(*_):
        raise AssertionError("first line\nsecond line")

    monkeypatch.setattr(export_module, "FORMATS", {"pt2": replace(FORMATS["safetensors"], **{stage: broken})})
    with pytest.raises(RunError, match="first line") as error:
        export(ensemble, "pt2", tmp_path / "x", images)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_storage_error(ensemble, images, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "FORMATS", {"pt2": replace(FORMATS["pt2"], write=full)})
    with pytest.raises(StorageError, match="No space left"):
        export(ensemble, "pt2", tmp_path / "x", images)


def test_missing_packages_are_named_with_the_remedy(ensemble, images, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnxscript" else real(name, *a)
    )
    monkeypatch.setattr(
        export_module, "FORMATS", {"onnx": replace(FORMATS["onnx"], packages=("json", "onnxscript"))}
    )
    with pytest.raises(
        UsageError, match=r"needs the package onnxscript.*pip install 'ensemble-advisor\[export\]'"
    ):
        export(ensemble, "onnx", tmp_path / "x", images)


def test_an_unknown_format_is_answered_with_the_nearest(ensemble, images, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'onnx'"):
        export(ensemble, "onx", tmp_path / "x", images)


@pytest.mark.parametrize(("name", "word"), [("none/x", "no folder"), (".", "it is a folder")])
def test_a_place_that_cannot_be_written_is_named(ensemble, images, tmp_path, name, word):
    with pytest.raises(StorageError, match=word):
        export(ensemble, "safetensors", tmp_path / name, images)
