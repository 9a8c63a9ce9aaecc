"""The identity of a folder: what it depends on, what is said when it differs, and the order of classes."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from advisor.designs.design import parse_design
from advisor.errors import DataError, PlanError
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.identity import DatasetIdentity, changes
from advisor.plans.methods import make_plan
from advisor.plans.plan import plan_from_json, plan_to_json
from trainer.data import identity
from trainer.data.identity import PIECE, identity_of, moved_to
from trainer.data.listing import Listing
from trainer.data.loading import find_facts, load_data

CLASSES = ("a", "b", "c")


@pytest.fixture
def folder(tmp_path):
    """Three classes with four images each to train on and two to test on; each image has its own level."""
    place = tmp_path / "flowers"
    for split, count in (("train", 4), ("test", 2)):
        for label, name in enumerate(CLASSES):
            (place / split / name).mkdir(parents=True)
            for n in range(count):
                level = 100 * (split == "test") + 20 * label + n
                pixels = np.full((8, 8), level, np.uint8)
                Image.fromarray(pixels).save(place / split / name / f"{n}.bmp")
    return place


def found(place):
    return find_facts(f"folder:{place}").identity


def identity_of_tree(tree, place):
    """Return the identity of files that are given as {class: {(split, name): contents}}."""
    files: dict[str, list] = {"train": [], "test": []}
    for label, (name, own) in enumerate(tree.items()):
        for (split, file), contents in own.items():
            path = place / split / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)
            files[split].append((path, label))
    return identity_of(listing_of(place, list(tree), **files))


def listing_of(place, classes, train, test):
    return Listing(folder=place, classes=tuple(classes), train=tuple(train), test=tuple(test), passed_over={})


# What the digest depends on.


def test_moving_copying_and_touching_leave_the_identity(folder, tmp_path):
    before = found(folder)
    shutil.copytree(folder, tmp_path / "a" / "train" / "b")
    for path in folder.rglob("*.bmp"):
        os.utime(path, (1, 1))
    folder.rename(tmp_path / "moved")
    assert found(tmp_path / "a" / "train" / "b") == found(tmp_path / "moved") == before


def test_what_is_passed_over_in_a_folder_leaves_the_identity(folder):
    before = found(folder)
    place = next(folder.rglob("*.bmp")).parent
    for name in (".ipynb_checkpoints", "@eaDir", ".thumbnails"):
        shutil.copytree(place, folder / name / "x")
        shutil.copytree(folder / name / "x", place / name)
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (place / name).write_bytes(b"notes")
    assert found(folder) == before


def test_the_order_of_classes_and_files_does_not_count(tmp_path):
    tree = {name: {("train", f"{n}.png"): name.encode() * n for n in range(3)} for name in CLASSES}
    turned = {name: dict(reversed(tree[name].items())) for name in reversed(CLASSES)}
    first, second = identity_of_tree(tree, tmp_path), identity_of_tree(turned, tmp_path)
    assert first.digest == second.digest
    assert (first.classes, second.classes) == (CLASSES, CLASSES[::-1])
    assert changes(first, second) == ""


FILES = st.dictionaries(
    st.tuples(st.sampled_from(["train", "test"]), st.sampled_from(["0.png", "1.png", "x/0.png"])),
    st.sampled_from([b"", b"\0", b"0", b"1", b"01"]),
)
TREES = st.dictionaries(st.sampled_from(["a", "b", "x", "train"]), FILES, min_size=1)


@settings(max_examples=25, deadline=None)
@given(TREES, TREES, st.booleans())
def test_two_folders_have_one_digest_only_if_they_have_the_same_files(one, other, same):
    other = dict(reversed(one.items())) if same else other
    with TemporaryDirectory() as place:
        first, second = (identity_of_tree(tree, Path(place) / n) for n, tree in (("1a", one), ("2b", other)))
    assert (first.digest == second.digest) == (one == other)
    assert (changes(first, second) == "") == (one == other)


@pytest.mark.parametrize("where", [0, 5 * PIECE, -1])
def test_a_byte_of_a_large_file_counts_at_its_beginning_middle_and_end(tmp_path, where):
    contents = bytearray(10 * PIECE)
    before = identity_of_tree({"a": {("train", "0.bmp"): bytes(contents)}}, tmp_path)
    contents[where] = 1
    after = identity_of_tree({"a": {("train", "0.bmp"): bytes(contents)}}, tmp_path)
    assert changes(before, after) == "contents of files in class 'a' changed"


def test_of_many_files_a_sample_of_every_class_is_read(tmp_path, monkeypatch):
    tree = {name: {("train", f"{n:03}"): b"same" for n in range(50)} for name in CLASSES}
    tree["c"] = {("train", "000"): b"same"}
    read = []
    sample = identity._sample
    monkeypatch.setattr(identity, "MOST_SAMPLED", 20)
    monkeypatch.setattr(identity, "_sample", lambda file: read.append(file.path) or sample(file))
    first = identity_of_tree(tree, tmp_path)
    assert len(read) <= 20
    assert {path.parent.name for path in read} == set(CLASSES)
    # The first file of each class is always in the sample.
    tree["c"] = {("train", "000"): b"diff"}
    assert changes(first, identity_of_tree(tree, tmp_path)) == "contents of files in class 'c' changed"


def test_what_is_not_a_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "train" / "a").mkdir(parents=True)
    for name in ("fifo.png", "gone.png"):
        (tmp_path / name).rename(tmp_path / "train" / "a" / name)
    files = [(tmp_path / "train" / "a" / name, 0) for name in ("fifo.png", "gone.png")]
    assert identity_of(listing_of(tmp_path, ["a"], files, [])).train_images == (2,)


# What is said of changed data.


def rename_class(place):
    for split in ("train", "test"):
        (place / split / "b").rename(place / split / "d")


def rename_class_and_add_an_image(place):
    rename_class(place)
    shutil.copy(place / "train" / "a" / "0.bmp", place / "train" / "d" / "9.bmp")


def exchange_two_classes(place):
    for split in ("train", "test"):
        for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
            (place / split / old).rename(place / split / new)


def remove_a_class(place):
    for split in ("train", "test"):
        shutil.rmtree(place / split / "c")


def add_a_class(place):
    for split in ("train", "test"):
        shutil.copytree(place / split / "c", place / split / "e")


def correct_a_label(place):
    (place / "train" / "a" / "0.bmp").rename(place / "train" / "c" / "9.bmp")


def add_a_test_image(place):
    shutil.copy(place / "test" / "a" / "0.bmp", place / "test" / "a" / "9.bmp")


def rename_a_file(place):
    (place / "train" / "b" / "0.bmp").rename(place / "train" / "b" / "9.bmp")


def paint_over_an_image(place):
    shutil.copy(place / "train" / "a" / "1.bmp", place / "train" / "a" / "0.bmp")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename_class, "class 'b' is gone and 'd' is new (renamed?);"),
        (rename_class_and_add_an_image, "class 'b' is gone and 'd' is new (renamed?);"),
        (exchange_two_classes, "class 'a' has the files that 'b' had; class 'b' has the files that 'a' had;"),
        (remove_a_class, "class 'c' is gone;"),
        (add_a_class, "class 'e' is new;"),
        (correct_a_label, "class 'a' has 3 training images, not 4; class 'c' has 5 training images, not 4;"),
        (add_a_test_image, "class 'a' has 3 test images, not 2;"),
        (rename_a_file, "names or sizes of files in class 'b' changed;"),
        (paint_over_an_image, "contents of files in class 'a' changed;"),
    ],
)
def test_changed_data_are_refused_with_what_changed(folder, tmp_path, change, said):
    facts = find_facts(f"folder:{folder}")
    change(folder)
    with pytest.raises(DataError) as error:
        load_data(facts, tmp_path)
    message = str(error.value)
    assert f"{folder} are not those of the plan: {said} restore them, or start a new run" in message
    assert "\n" not in message


def test_of_many_changes_three_are_named(tmp_path):
    tree = {f"c{n}": {("train", "0"): bytes([n])} for n in range(6)}
    before = identity_of_tree(tree, tmp_path)
    after = identity_of_tree({name: own | {("train", "1"): b""} for name, own in tree.items()}, tmp_path)
    said = changes(before, after).split("; ")
    assert said[2:] == ["class 'c2' has 2 training images, not 1", "3 more changes"]


# Order and place.


def test_labels_and_images_follow_the_order_of_the_plan(folder, tmp_path):
    facts = find_facts(f"folder:{folder}")
    planned = DatasetIdentity.of(list(reversed(facts.identity.by_class.values())))
    usual = load_data(facts, tmp_path)
    turned = load_data(replace(facts, identity=planned), tmp_path)
    assert (usual.classes, turned.classes) == (CLASSES, CLASSES[::-1])
    for split in ("train", "validation", "test"):
        for data in (usual, turned):
            levels = getattr(data, split).images[:, 0, 0, 0].tolist()
            names = [data.classes[label] for label in getattr(data, split).labels]
            assert names == [CLASSES[level % 100 // 20] for level in levels]
    assert turned.test.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_folder_that_is_missing_or_moved_is_found_where_the_option_says(folder, tmp_path):
    facts = find_facts(f"folder:{folder}")
    before = load_data(facts, tmp_path)
    folder.rename(tmp_path / "new")
    with pytest.raises(DataError, match="is missing: if it was moved, say where with --dataset folder:NEW"):
        load_data(facts, tmp_path)
    after = load_data(moved_to(facts, f"folder:{tmp_path / 'new'}"), tmp_path)
    assert after.facts.key == before.facts.key
    assert after.train.images.equal(before.train.images)


# In plans.


def plan_on(facts):
    execution = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
    return make_plan(parse_design("mlp-1-4"), facts, epochs=1, batch=2, seed=0, execution=execution)


def test_a_plan_keeps_the_identity_and_older_plans_have_none(folder):
    plan = plan_on(find_facts(f"folder:{folder}"))
    assert plan_from_json(plan_to_json(plan)) == plan
    plain = json.loads(plan_to_json(plan))
    del plain["dataset"]["identity"]
    older = plan_from_json(json.dumps(plain)).dataset
    assert older.identity is None
    assert older.key == older.name == f"folder:{folder}"
    assert DATASETS["digits"].key == "digits"


def test_names_that_are_not_utf8_survive_a_plan(tmp_path, folder):
    tree = {os.fsdecode(b"\xff\xfe"): {("train", "0"): b""}, "b": {("train", "0"): b""}}
    facts = replace(find_facts(f"folder:{folder}"), identity=identity_of_tree(tree, tmp_path))
    assert plan_from_json(plan_to_json(plan_on(facts))).dataset.identity == facts.identity


@pytest.mark.parametrize(
    "change", [{"digest": "0" * 32}, {"classes": ["a", "b"]}, {"classes": ["a", "a", "b"]}]
)
def test_an_identity_that_contradicts_itself_is_a_damaged_plan(folder, change):
    plain = json.loads(plan_to_json(plan_on(find_facts(f"folder:{folder}"))))
    plain["dataset"]["identity"] |= change
    with pytest.raises(PlanError, match="the identity of data"):
        plan_from_json(json.dumps(plain))
