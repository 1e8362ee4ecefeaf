"""Wire records: the same bytes for ever, and a plain refusal of what is not one of them."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import NewerSchemaError, UnreadableRecordError
from streams.records import (
    KINDS,
    Feedback,
    Recipe,
    Record,
    Turn,
    canonical_json,
    decode,
    encode,
    record_id,
)
from streams.wire import Part

GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*.v*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_golden_bytes_are_read_and_written_alike(path: Path) -> None:
    """A record written by any build of ours is read, and written again to the same bytes."""
    value = path.read_bytes()
    record = decode(value)
    assert record_id(record)
    assert encode(record) == value


def test_every_version_of_every_record_has_a_golden_file() -> None:
    """A new kind or version without one fails here; old files are never changed, only added to."""
    bodies = [json.loads(path.read_bytes()) for path in GOLDEN]
    have = {(body["kind"], body["v"]) for body in bodies}
    assert have == {(k, v + 1) for k, record in KINDS.items() for v in range(record.VERSION)}


def test_a_versions_name_is_known_for_ever() -> None:
    """The golden recipe's version is a constant: it names weights that are served somewhere."""
    recipe = decode((Path(__file__).parent.parent / "golden/recipe.v1.json").read_bytes())
    assert isinstance(recipe, Recipe)
    assert recipe.version == "793e23f9d0b9166a"


def test_a_recipe_is_of_the_version_that_its_noise_needs() -> None:
    """One recipe has one name: signs are written as ever, normal noise as version 2 only."""
    old = decode((Path(__file__).parent.parent / "golden/recipe.v1.json").read_bytes())
    assert isinstance(old, Recipe)
    fields = old.model_dump(exclude={"v"})
    assert encode(Recipe.model_validate(fields)) == encode(old)
    new = Recipe.model_validate(fields | {"noise": "normal"})
    assert new.v == 2
    assert new.version != old.version
    for wrong in (old.model_dump() | {"v": 2}, new.model_dump() | {"v": 1}):
        with pytest.raises(UnreadableRecordError, match="version"):
            decode(canonical_json({"kind": "recipe", **wrong}))


def test_a_recipe_has_a_coefficient() -> None:
    """One of no pairs moves nothing, and nobody makes it."""
    good = decode((Path(__file__).parent.parent / "golden/recipe.v1.json").read_bytes())
    with pytest.raises(UnreadableRecordError, match="coefficients"):
        decode(canonical_json({"kind": "recipe", **good.model_dump(), "coefficients": []}))


def test_a_screened_recipe_names_the_signs_of_every_pair() -> None:
    """What names too few signs, others' tensors, or signs outside the pool is no recipe."""
    good = decode((Path(__file__).parent.parent / "golden/recipe.v3.json").read_bytes())
    assert isinstance(good, Recipe)
    assert (good.v, good.noise) == (3, "screened")
    fields = {"kind": "recipe", **good.model_dump()}
    changes: list[dict[str, Any]] = [
        {"rows": []},
        {"tensors": [0, 0]},
        {"tensors": [0, 1, 2]},
        {"columns": [0, 0, 2**14]},
        {"noise": "rank1", "v": 1},
    ]
    for wrong in changes:
        with pytest.raises(UnreadableRecordError):
            decode(canonical_json(fields | wrong))


def test_a_directed_recipe_tells_the_factors_of_every_pair() -> None:
    """It is of version 5, decaying or not; what lacks a factor, or has others' signs, is none."""
    good = decode((Path(__file__).parent.parent / "golden/recipe.v5.json").read_bytes())
    assert isinstance(good, Recipe)
    assert (good.v, good.noise, good.decay) == (5, "directed", 328)
    fields = {"kind": "recipe", **good.model_dump()}
    assert decode(canonical_json(fields | {"decay": 0}))
    changes: list[dict[str, Any]] = [
        {"left": []},
        {"right": ["-_"]},
        {"tensors": [0, 0]},
        {"rows": [1, 2, 3], "columns": [1, 2, 3]},
        {"left": ["A+_", "BBC", "gCB"]},
        {"noise": "screened", "v": 4},
        {"v": 4},
    ]
    for wrong in changes:
        with pytest.raises(UnreadableRecordError):
            decode(canonical_json(fields | wrong))


def test_a_recipe_that_decays_is_of_version_4_and_no_other_is() -> None:
    """An older build refuses what it would build otherwise, and old names stay what they are."""
    decaying = decode((Path(__file__).parent.parent / "golden/recipe.v4.json").read_bytes())
    assert isinstance(decaying, Recipe)
    assert (decaying.v, decaying.decay) == (4, 328)
    plain = Recipe.model_validate(decaying.model_dump(exclude={"v", "decay"}))
    assert (plain.v, plain.decay) == (3, 0)
    fields = {"kind": "recipe", **decaying.model_dump()}
    for wrong in ({"v": 3}, {"decay": 0}, {"decay": 2**16}, {"decay": -1}):
        with pytest.raises(UnreadableRecordError):
            decode(canonical_json(fields | wrong))


def test_what_is_told_of_an_unreadable_record_quotes_nothing_of_it() -> None:
    """It goes to logs, which nobody takes a person's words out of."""
    with pytest.raises(UnreadableRecordError) as told:
        decode(b'{"kind": "turn", "text": "the blue heron \xff"}')
    assert "heron" not in str(told.value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b"{}",
        b'{"kind":"turn"}',
        b'{"kind":"turn","v":1}',
        b'{"kind":"nothing","v":1}',
        b'{"kind":"mask","v":1,"base":"b","neurons":{},"groups":{},"more":1}',
        b'{"kind":"mask","v":"1","base":"b","neurons":{},"groups":{}}',
        b'{"kind":"mask","v":0,"base":"b","neurons":{},"groups":{}}',
        b'{"kind":["mask"],"v":1}',
        b'{"kind":"mask","v":true,"base":"b","neurons":{},"groups":{}}',
        b"[" * 100_000,
    ],
    ids=lambda value: repr(value[:40]),
)
def test_bytes_that_are_no_record_are_refused(value: bytes) -> None:
    """Whatever the bytes are, the error is ours: such a record goes to dead letters."""
    with pytest.raises(UnreadableRecordError):
        decode(value)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_crash_the_reader(value: bytes) -> None:
    """Random bytes are refused by an error of ours."""
    with pytest.raises((UnreadableRecordError, NewerSchemaError)):
        decode(value)


def test_a_newer_version_is_told_apart() -> None:
    """A record that a later build wrote is not called broken."""
    value = b'{"kind":"mask","v":2,"anything":true}'
    with pytest.raises(NewerSchemaError, match=r"mask of version 2.*upgrade"):
        decode(value)


class Grown(Record):
    """A record that got a field in its second version."""

    KIND = "grown"
    VERSION = 2
    ADDED: ClassVar[dict[str, int]] = {"late": 2}

    id: str
    late: int = 7


def test_a_record_stays_in_the_version_it_was_written_in() -> None:
    """A field that a later version brought has its default, and is not written into old bytes."""
    old = Grown.model_validate({"id": "a", "v": 1})
    assert old.late == 7
    assert encode(old) == b'{"id":"a","kind":"grown","v":1}'
    assert encode(Grown(id="a")) == b'{"id":"a","kind":"grown","late":7,"v":2}'
    assert Grown.model_validate(old.model_dump()) == old


class Place(Part):
    """A piece of a record that got a field later than the record did."""

    name: str
    height: float = 0.5


class Moved(Record):
    """A record with a piece that grew in its third version."""

    KIND = "moved"
    VERSION = 3
    ADDED: ClassVar[dict[str, int]] = {"late": 2, "place.height": 3}

    id: str
    place: Place
    late: int = 7


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (1, b'{"id":"a","kind":"moved","place":{"name":"b"},"v":1}'),
        (2, b'{"id":"a","kind":"moved","late":7,"place":{"name":"b"},"v":2}'),
        (3, b'{"id":"a","kind":"moved","late":7,"place":{"height":0.5,"name":"b"},"v":3}'),
    ],
)
def test_a_piece_stays_in_the_version_of_its_record(version: int, body: bytes) -> None:
    """A field that came later is not written into old bytes, also where it is inside a piece."""
    assert encode(Moved.model_validate({"id": "a", "v": version, "place": {"name": "b"}})) == body


@pytest.mark.parametrize("record_type", KINDS.values(), ids=lambda each: each.KIND)
def test_every_added_field_exists_and_has_a_default(record_type: type[Record]) -> None:
    """What a version brings is a field of the record or of a piece, and may be missing."""
    for path, version in record_type.ADDED.items():
        owner: Any = record_type
        *pieces, name = path.split(".")
        for piece in pieces:
            owner = owner.model_fields[piece].annotation
        assert not owner.model_fields[name].is_required()
        assert 1 < version <= record_type.VERSION


any_text = st.text(st.characters(exclude_categories=[]))  # halves of surrogate pairs, too
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_canonical_json_is_a_fixed_point(value: object) -> None:
    """Reading and writing canonical JSON again changes no byte."""
    written = canonical_json(value)
    assert canonical_json(json.loads(written)) == written


def test_a_turn_that_says_nothing_new_survives_the_wire() -> None:
    """What stands at its default is read and written again to the same bytes."""
    (old,) = (path for path in GOLDEN if path.name == "turn.v1.json")
    body = json.loads(old.read_bytes())
    del body["kind"], body["v"]
    written = encode(Turn.model_validate(body))
    assert f'"v":{Turn.VERSION}'.encode() in written
    assert encode(decode(written)) == written


@given(hint=st.none() | st.text(), score=st.sampled_from([-1, 0, 1]), ms=st.integers(0, 2**53))
def test_any_record_survives_the_wire(hint: str | None, score: int, ms: int) -> None:
    """What is decoded equals what was encoded."""
    record = Feedback.model_validate(
        {
            "id": "f",
            "turn_id": "t",
            "line": "main",
            "principal": "p",
            "session": "s",
            "score": score,
            "hint": hint,
            "created_ms": ms,
        }
    )
    assert decode(encode(record)) == record
