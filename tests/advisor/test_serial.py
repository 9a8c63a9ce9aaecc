"""Frozen dataclasses to plain JSON and back."""

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.cost.measurement import Fingerprint, Measurement
from advisor.networks.architecture import NetworkSpec, parse_network
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS, PREPARED, DatasetFacts, Preparation
from advisor.plans.execution import Execution
from advisor.serial import LARGEST, MalformedError, from_plain, to_plain


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    side: float

    def __post_init__(self):
        if self.side < 0:
            raise ValueError("a side is not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    title: str
    count: int
    visible: bool
    colour: Colour
    shapes: tuple[Circle | Square, ...] = ()
    origin: tuple[float, float] = (0.0, 0.0)
    note: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)


counts = st.integers(-LARGEST, LARGEST)
finite = st.floats(allow_nan=False, allow_infinity=False)
drawings = st.builds(
    Drawing,
    title=st.text(),
    count=counts,
    visible=st.booleans(),
    colour=st.sampled_from(Colour),
    shapes=st.lists(
        st.builds(Circle, radius=finite) | st.builds(Square, side=st.floats(0, 1e300)), max_size=4
    ).map(tuple),
    origin=st.tuples(finite, finite),
    note=st.none() | st.text(),
    sizes=st.dictionaries(st.text(), counts, max_size=4),
)
PLAIN = to_plain(
    Drawing(
        title="a",
        count=2,
        visible=True,
        colour=Colour.RED,
        shapes=(Circle(radius=1.0), Square(side=2.0)),
        sizes={"x": 1},
    )
)


@given(drawings)
def test_every_dataclass_survives_json(drawing):
    assert from_plain(Drawing, json.loads(json.dumps(to_plain(drawing)))) == drawing


def test_plain_data_is_made_of_what_json_knows():
    assert PLAIN == {
        "kind": "Drawing",
        "title": "a",
        "count": 2,
        "visible": True,
        "colour": "red",
        "shapes": [{"kind": "Circle", "radius": 1.0}, {"kind": "Square", "side": 2.0}],
        "origin": [0.0, 0.0],
        "note": None,
        "sizes": {"x": 1},
    }


def test_fields_with_defaults_may_be_left_out_and_whole_numbers_stand_for_floats():
    read = from_plain(
        Drawing,
        {
            "title": "a",
            "count": 2,
            "visible": False,
            "colour": "blue",
            "shapes": [{"kind": "Circle", "radius": 3}],
        },
    )
    assert (read.origin, read.note, read.sizes) == ((0.0, 0.0), None, {})
    assert read.shapes == (Circle(radius=3.0),)
    assert type(read.shapes[0].radius) is float


@pytest.mark.parametrize("value", [Task(channels=3, height=32, width=32, classes=10), *DATASETS.values()])
def test_facts_of_the_vocabulary_survive_json(value):
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value)))) == value


def test_facts_of_an_older_plan_keep_its_preparation_of_images():
    facts = replace(DATASETS["cifar10"], preparation=replace(PREPARED, resize=(32, 32), skip_damaged=True))
    plain = json.loads(json.dumps(to_plain(facts)))
    assert from_plain(DatasetFacts, plain) == facts
    del plain["preparation"]
    assert from_plain(DatasetFacts, plain).preparation == Preparation(
        upright=False, on_white=False, every_class_validated=False, resize=None, skip_damaged=False
    )
    with pytest.raises(MalformedError, match="resizing"):
        from_plain(
            DatasetFacts, to_plain(facts) | {"task": to_plain(Task(channels=1, height=8, width=8, classes=2))}
        )


def test_a_network_specification_survives_json():
    spec = parse_network("vgg-16-64~b3l2:5x384")
    assert from_plain(NetworkSpec, json.loads(json.dumps(to_plain(spec)))) == spec


@given(st.data())
def test_measurements_survive_json(data):
    seconds = st.floats(0, 1e6)
    fingerprint = Fingerprint(
        device="cpu", device_name=data.draw(st.text()), driver="", torch="2", threads=1, dtype="float32",
        memory_format="contiguous",
    )  # fmt: skip
    measurement = Measurement(
        network="resnet-8-4",
        task=DATASETS["digits"].task,
        batch=32,
        fingerprint=fingerprint,
        forward_seconds=data.draw(seconds),
        backward_seconds=data.draw(seconds),
        optimizer_seconds=data.draw(seconds),
        step_seconds=data.draw(seconds),
        step_iqr_seconds=data.draw(seconds),
        inference_seconds=data.draw(seconds),
        peak_bytes=data.draw(st.none() | st.integers(0, LARGEST)),
        spent_seconds=data.draw(seconds),
        measured_at="2020-01-01T00:00:00+00:00",
    )
    assert from_plain(Measurement, json.loads(json.dumps(to_plain(measurement)))) == measurement


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": 3}, "title must be str, got 3"),
        ({"title": None}, "title must be str, got None"),
        ({"count": 2.0}, "count must be int, got 2.0"),
        ({"count": True}, "count must be int, got True"),
        ({"visible": 1}, "visible must be bool, got 1"),
        ({"colour": "green"}, "colour has the unknown value 'green'"),
        ({"colour": {}}, "colour has the unknown value {}"),
        ({"note": 5}, "note must be str, got 5"),
        ({"origin": [1.0]}, "origin must have 2 entries"),
        ({"origin": [1.0, "x"]}, r"origin\[1\] must be float, got 'x'"),
        ({"origin": [1.0, True]}, r"origin\[1\] must be float, got True"),
        ({"count": 2**63}, "count is too large a number"),
        ({"origin": [0, 10**400]}, r"origin\[1\] is too large a number"),
        ({"origin": "ab"}, "origin must be a list"),
        ({"sizes": []}, "sizes must be an object"),
        ({"sizes": {"x": "y"}}, "sizes.x must be int, got 'y'"),
        ({"shapes": [{"kind": "Line"}]}, r"shapes\[0\] has the unknown kind 'Line'"),
        ({"shapes": [{"radius": 1.0}]}, r"shapes\[0\] has the unknown kind None"),
        ({"shapes": [3]}, r"shapes\[0\] has the unknown kind None"),
        ({"shapes": [{"kind": "Circle"}]}, r"the field 'shapes\[0\].radius' is missing"),
        ({"shapes": [{"kind": "Square", "side": -1.0}]}, r"shapes\[0\]: a side is not negative"),
        ({"size": 3}, "the document has the unknown field 'size'"),
    ],
)
def test_malformed_data_is_refused_with_the_field_and_the_reason(change, message):
    with pytest.raises(MalformedError, match=f"^{message}$"):
        from_plain(Drawing, {**PLAIN, **change})


@pytest.mark.parametrize("name", ["title", "count", "visible", "colour"])
def test_a_missing_field_is_named(name):
    with pytest.raises(MalformedError, match=f"the field '{name}' is missing"):
        from_plain(Drawing, {key: value for key, value in PLAIN.items() if key != name})


@pytest.mark.parametrize(("plain", "kind"), [([], "list"), (None, "NoneType"), (3, "int"), ("x", "str")])
def test_what_is_no_object_is_no_dataclass(plain, kind):
    with pytest.raises(MalformedError, match=f"the document must be an object, got {kind}"):
        from_plain(Drawing, plain)


def test_rules_of_a_nested_class_are_reported_with_the_path_to_it():
    plain = to_plain(DATASETS["digits"])
    plain["task"]["classes"] = 1
    with pytest.raises(MalformedError, match="^task: a classifier needs at least 2 classes, got 1$"):
        from_plain(DatasetFacts, plain)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=8,
    )
)
def test_any_json_is_the_dataclass_or_malformed(plain):
    try:
        read = from_plain(Execution, plain)
    except MalformedError:
        return
    assert isinstance(read, Execution)
