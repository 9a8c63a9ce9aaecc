"""One module out of a run: the same probabilities as its evaluation, and every way in which it cannot be."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

import trainer
from advisor.errors import DataError, PlanError, RunError, StorageError, UnknownNameError
from advisor.networks.architecture import lower
from trainer.ensembles.description import FILE, describe, description_to_json, write_description
from trainer.ensembles.ensemble import METADATA_KEY, Ensemble, load, predicted, save_ensemble
from trainer.ensembles.evaluate import evaluate
from trainer.execution.execute import execute
from trainer.networks.network import build_network
from trainer.run_files import RunFiles
from trainer.training.checkpoint import load_checkpoint, save_checkpoint
from trainer.training.loop import load_network
from trainer.training.step import probabilities

MEMBERS = ["member-1", "member-2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits, plan_of):
    """A finished run of two shapes, not to be changed: its files and its plan."""
    plan = plan_of("resnet-8-4+mlp-1-8", epochs=1)
    folder = tmp_path_factory.mktemp("runs") / "0001"
    files = RunFiles(folder=folder, data_root=folder, watch=lambda device: lambda: None)
    execute(plan, files, digits, lambda event: None, lambda: False)
    write_description(folder, describe(plan, digits))
    return files, plan


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the run to do as one likes with."""
    return shutil.copytree(trained[0].folder, tmp_path / "0001")


def refusal(kind, call, *words):
    with pytest.raises(kind) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in words if str(word) not in message] == [], message


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)


# What comes out.


def test_members_answer_as_in_the_evaluation_of_the_run(trained, digits):
    files, plan = trained
    ensemble = trainer.load(files.folder)
    found = predicted(ensemble, digits.test.images, 100)
    assert found.shape == (2, 360, 10)
    for name, member in zip(MEMBERS, found, strict=True):
        network, _ = load_network(plan, name, files.of_network(name))
        expected = probabilities(
            network, digits.test.images, digits.mean, digits.deviation, 128, plan.execution
        )
        assert np.abs(member - expected).max() < 1e-6


def test_the_ensemble_averages_its_members(trained, digits):
    ensemble = trainer.load(trained[0].folder)
    with torch.inference_mode():
        average = ensemble(digits.test.images)
        members = ensemble.member_probabilities(digits.test.images)
    assert average.dtype == members.dtype == torch.float32
    assert average.shape == (360, 10)
    assert torch.allclose(average.double(), members.double().mean(dim=0), atol=1e-7)
    assert torch.allclose(average.sum(dim=1), torch.ones(360))


def test_the_ensemble_errs_as_often_as_the_run_says(trained, digits):
    files, plan = trained
    expected = evaluate(plan, files, digits, MEMBERS).metrics
    with torch.inference_mode():
        wrong = trainer.load(files.folder)(digits.test.images).argmax(dim=1) != digits.test.labels
    assert float(wrong.double().mean()) == pytest.approx(expected.error)


def test_floats_from_0_to_255_are_the_same_images_and_stay_as_they_are(trained, digits):
    ensemble = trainer.load(trained[0].folder)
    images = digits.test.images[:20]
    for kind in (torch.float32, torch.float64):
        given = images.to(kind)
        with torch.inference_mode():
            assert torch.equal(ensemble(given), ensemble(images))
        assert torch.equal(given, images.to(kind))


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros((2, 3, 8, 8), dtype=torch.uint8),
        torch.zeros((1, 8, 8), dtype=torch.uint8),
        torch.zeros((2, 1, 8, 9)),
        torch.zeros((2, 1, 8, 8), dtype=torch.int64),
    ],
)
def test_images_of_another_shape_or_type_are_refused(trained, images):
    refusal(DataError, lambda: trainer.load(trained[0].folder)(images), "(batch, 1, 8, 8)", "0 to 255")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda images: images / 255, "floats from 0 to 0.941: multiply them by 255"),
        (lambda images: images.half() / 255, "multiply them by 255"),
        (lambda images: images - 55.0, "floats from -55 to 185: leave the normalisation"),
        (lambda images: images * 2.0, "floats from 0 to 480: leave the normalisation"),
        (lambda images: images * float("nan"), "nan"),
        (lambda images: images.numpy(), "got ndarray: make a torch tensor"),
    ],
)
def test_images_that_no_decoder_gives_are_refused_and_not_answered(trained, digits, change, reason):
    ensemble = trainer.load(trained[0].folder)
    images = change(digits.test.images[:20])
    for call in (ensemble, ensemble.member_probabilities):
        refusal(DataError, lambda call=call: call(images), "(batch, 1, 8, 8)", "0 to 255", reason)


def test_black_images_and_no_images_are_images(trained):
    ensemble = trainer.load(trained[0].folder)
    with torch.inference_mode():
        black = [ensemble(torch.zeros((2, 1, 8, 8), dtype=kind)) for kind in (torch.uint8, torch.float32)]
        assert torch.equal(*black)
        assert ensemble(torch.zeros((0, 1, 8, 8))).shape == (0, 10)


def test_an_ensemble_knows_the_names_of_its_classes_by_label(trained, tmp_path):
    ensemble = trainer.load(trained[0].folder)
    assert ensemble.classes == tuple("0123456789")
    names = tuple(f"class {label}" for label in range(10))
    named = Ensemble(replace(ensemble.description, classes=names), dict(ensemble.networks))
    assert named.classes == names
    save_ensemble(named, tmp_path / "named.safetensors")
    assert trainer.load(tmp_path / "named.safetensors").classes == names


def test_it_is_a_float32_module_in_evaluation_mode(trained):
    ensemble = trainer.load(str(trained[0].folder))
    assert isinstance(ensemble, torch.nn.Module)
    assert not any(module.training for module in ensemble.modules())
    assert {t.dtype for t in ensemble.parameters()} == {torch.float32}
    assert {t.device.type for t in ensemble.state_dict().values()} == {"cpu"}


def test_no_member_overwrites_what_another_reads(plan_of, digits):
    plan = plan_of("resnet-8-4+mlp-1-8+densenet-7-4+vgg-11-4+wrn-10-1")
    networks = {
        n.name: build_network(lower(n.spec, plan.dataset.task), seed) for seed, n in enumerate(plan.members)
    }
    together = predicted(Ensemble(describe(plan, digits), networks), digits.test.images[:10], 4)
    for i, (name, network) in enumerate(networks.items()):
        alone = predicted(Ensemble(describe(plan, digits), {name: network}), digits.test.images[:10], 10)
        assert np.abs(together[i] - alone[0]).max() < 1e-6


def test_a_part_of_the_members_can_be_asked_for(trained, digits):
    both = trainer.load(trained[0].folder)
    one = trainer.load(trained[0].folder, members=["member-2"])
    images = digits.test.images[:5]
    with torch.inference_mode():
        assert torch.equal(one(images), both.member_probabilities(images)[1])
    refusal(UnknownNameError, lambda: load(trained[0].folder, members=["member-3"]), "member-3")


def test_a_run_on_a_gpu_in_bfloat16_is_loaded_on_the_cpu(folder, trained, digits):
    plan = trained[1]
    execution = replace(plan.execution, device="cuda", dtype="bfloat16", memory_format="channels_last")
    write_description(folder, describe(replace(plan, execution=execution), digits))
    images = digits.test.images[:5]
    with torch.inference_mode():
        assert torch.equal(load(folder)(images), load(trained[0].folder)(images))


def test_importing_the_room_does_not_import_torch():
    script = "import trainer, sys; sys.exit('torch' in sys.modules or 'load' not in trainer.__all__)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'unload'"):
        trainer.unload  # noqa: B018


# What is not there.


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    refusal(RunError, lambda: load(tmp_path), tmp_path, "not the folder of a run")
    refusal(RunError, lambda: load(tmp_path / "none"), "none", "not the folder of a run")


def test_a_run_without_description_says_what_adds_it(folder):
    (folder / FILE).unlink()
    refusal(RunError, lambda: load(folder), FILE, "advisor predict")


def test_missing_and_unfinished_members_are_named(folder, trained):
    shutil.rmtree(folder / "networks" / "member-2")
    refusal(RunError, lambda: load(folder), "member-2 of 2 networks", "advisor resume")
    assert len(load(folder, members=["member-1"]).members) == 1
    place = folder / "networks" / "member-1"
    checkpoint = load_checkpoint(place, pytest.fail)
    progress = replace(checkpoint.progress, done=False, epoch=0, train_errors=())
    shutil.rmtree(place)
    save_checkpoint(place, replace(checkpoint, progress=progress))
    refusal(RunError, lambda: load(folder), "member-1, member-2 of 2 networks")


def test_a_member_whose_training_has_not_ended_is_not_finished(folder):
    place = folder / "networks" / "member-1"
    checkpoint = load_checkpoint(place, pytest.fail)
    shutil.rmtree(place)
    save_checkpoint(
        place, replace(checkpoint, progress=replace(checkpoint.progress, done=False, train_errors=()))
    )
    refusal(RunError, lambda: load(folder), "member-1 of 2 networks")


def test_checkpoints_of_another_network_are_not_those_of_a_member(folder):
    one, two = (folder / "networks" / name for name in ("member-1", "member-2"))
    shutil.rmtree(one)
    shutil.copytree(two, one)
    refusal(StorageError, lambda: load(folder), "the checkpoints of member-1 are damaged")


# What is damaged.


def test_a_damaged_last_checkpoint_falls_back_to_the_equal_one_before_and_says_so(folder, trained, digits):
    damage(sorted((folder / "networks" / "member-1").glob("*.safetensors"))[-1])
    told = []
    ensemble = load(folder, warn=told.append)
    assert len(told) == 1
    assert "damaged" in told[0]
    images = digits.test.images[:5]
    with torch.inference_mode():
        assert torch.equal(ensemble(images), load(trained[0].folder)(images))


def test_damaged_checkpoints_are_named(folder):
    for path in (folder / "networks" / "member-2").glob("*.safetensors"):
        damage(path)
    refusal(StorageError, lambda: load(folder), "member-2", "damaged")


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: "",
        lambda plain: "[]",
        lambda plain: "null",
        lambda plain: json.dumps(plain | {"mean": [0.1, 0.2]}),
        lambda plain: json.dumps(plain | {"deviation": [0.0]}),
        lambda plain: json.dumps(plain | {"classes": ["one"]}),
        lambda plain: json.dumps({k: v for k, v in plain.items() if k != "plan"}),
        lambda plain: json.dumps(plain | {"plan": plain["plan"] | {"design": "resnet-8-4"}}),
    ],
)
def test_a_damaged_description_is_one_line(folder, change):
    path = folder / FILE
    # As older runs wrote it, so that it is the change that is refused and not the checksum.
    path.write_text(change(of_an_older_run(json.loads(path.read_text()))))
    refusal(StorageError, lambda: load(folder), path, "damaged")


def of_an_older_run(plain):
    return {key: value for key, value in plain.items() if key != "sha256"} | {"schema_version": 1}


def test_a_description_of_an_older_run_has_no_checksum_and_is_read(folder, trained, digits):
    path = folder / FILE
    path.write_text(json.dumps(of_an_older_run(json.loads(path.read_text()))))
    assert torch.equal(load(folder).mean, digits.mean)


@pytest.mark.parametrize("version", [1, 2])
def test_one_digit_that_is_changed_in_a_description_is_noticed(folder, version):
    path = folder / FILE
    plain = json.loads(path.read_text()) | {"schema_version": version}
    text = json.dumps(plain | {"mean": [plain["mean"][0] + 0.5]})
    path.write_text(text)
    refusal(StorageError, lambda: load(folder), path, "damaged", "wrong checksum")


def test_a_checksum_that_is_missing_is_noticed(folder):
    path = folder / FILE
    plain = json.loads(path.read_text())
    del plain["sha256"]
    path.write_text(json.dumps(plain))
    refusal(StorageError, lambda: load(folder), path, "wrong checksum")


def test_a_newer_description_asks_for_an_upgrade(folder):
    path = folder / FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 3}))
    refusal(StorageError, lambda: load(folder), "upgrade advisor")


def test_weights_of_another_shape_are_refused(folder):
    networks = folder / "networks"
    shutil.rmtree(networks / "member-2")
    shutil.copytree(networks / "member-1", networks / "member-2")
    for path in (networks / "member-2").glob("*.json"):
        manifest = json.loads(path.read_text())
        assert manifest["progress"]["step"] == "train member-1"
    checkpoint = load_checkpoint(networks / "member-2", pytest.fail)
    shutil.rmtree(networks / "member-2")
    progress = replace(checkpoint.progress, step="train member-2")
    save_checkpoint(networks / "member-2", replace(checkpoint, progress=progress))
    refusal(StorageError, lambda: load(folder), "member-2", "resnet-8-4+mlp-1-8")


# Descriptions.


def test_normalisation_survives_json_bit_for_bit(trained, digits):
    ensemble = load(trained[0].folder)
    assert torch.equal(ensemble.mean, digits.mean)
    assert torch.equal(ensemble.deviation, digits.deviation)


def test_classes_have_names_or_numbers(plan_of, digits):
    description = describe(plan_of("mlp-1-4"), digits)
    assert description.name_of(3) == "3"
    named = replace(description, classes=tuple("abcdefghij"))
    assert named.name_of(3) == "d"
    with pytest.raises(PlanError, match="2 names"):
        replace(description, classes=("a", "b"))


# One file.


@pytest.fixture
def file(trained, tmp_path):
    path = tmp_path / "ensemble.safetensors"
    save_ensemble(load(trained[0].folder), path)
    return path


def test_one_file_holds_the_same_ensemble(trained, file, digits):
    again, before = load(file), load(trained[0].folder)
    assert again.description == before.description
    images = digits.test.images
    with torch.inference_mode():
        assert torch.equal(again(images), before(images))
        assert torch.equal(load(file, members=["member-2"])(images), before.member_probabilities(images)[1])


def test_the_file_is_the_same_every_time(trained, file, tmp_path):
    save_ensemble(load(trained[0].folder), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_other_programs_find_plan_and_weights_in_the_file(trained, file):
    with safetensors.safe_open(file, "pt") as opened:
        document = json.loads(opened.metadata()[METADATA_KEY])
        names = set(opened.keys())
    assert document["format_version"] == 2
    assert document["members"] == MEMBERS
    assert document["description"]["plan"]["design"] == "resnet-8-4+mlp-1-8"
    assert {"mean", "deviation"} < names
    assert {name.partition("/")[0] for name in names} == {"mean", "deviation", *MEMBERS}


@pytest.mark.parametrize("kept", [0, 4, 500, -1])
def test_a_truncated_file_is_damaged(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    refusal(StorageError, lambda: load(file), file, "damaged")


def test_a_changed_weight_is_noticed(file):
    damage(file)
    refusal(StorageError, lambda: load(file), file, "wrong checksum")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["description"]["mean"].__setitem__(0, d["description"]["mean"][0] + 0.5),
        lambda d: d["description"].__delitem__("sha256"),
        lambda d: d["members"].reverse(),
        lambda d: d.__setitem__("format_version", 1),
    ],
)
def test_a_changed_header_is_noticed(file, change):
    with safetensors.safe_open(file, "pt") as opened:
        document = json.loads(opened.metadata()[METADATA_KEY])
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    change(document)
    safetensors.torch.save_file(tensors, file, {METADATA_KEY: json.dumps(document)})
    refusal(StorageError, lambda: load(file), file, "wrong checksum")


def test_a_file_of_the_format_before_is_read(file, trained):
    with safetensors.safe_open(file, "pt") as opened:
        document = json.loads(opened.metadata()[METADATA_KEY])
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    document |= {"format_version": 1, "description": of_an_older_run(document["description"])}
    safetensors.torch.save_file(
        tensors, file, {METADATA_KEY: json.dumps(document | {"sha256": digest_of_format_1(tensors)})}
    )
    assert load(file).members == load(trained[0].folder).members


def digest_of_format_1(tensors):
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def test_weights_of_something_else_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    refusal(StorageError, lambda: load(path), path, "not an ensemble")


def test_a_newer_format_asks_for_an_upgrade(trained, tmp_path):
    ensemble = load(trained[0].folder)
    document = {"format_version": 3, "description": json.loads(description_to_json(ensemble.description))}
    path = tmp_path / "newer.safetensors"
    safetensors.torch.save_file({"mean": ensemble.mean}, path, {METADATA_KEY: json.dumps(document)})
    refusal(StorageError, lambda: load(path), "upgrade advisor")


@pytest.mark.gpu
def test_the_same_probabilities_on_a_gpu(trained, digits):
    images = digits.test.images
    there = load(trained[0].folder, "cuda")
    # Convolutions are in TF32 there, with ten bits behind the point.
    assert np.abs(predicted(there, images, 64) - predicted(load(trained[0].folder), images, 64)).max() < 1e-2
