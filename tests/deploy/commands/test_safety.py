"""quickset safety map: an artefact under its digest, a picture, and a row where a store is."""

import hashlib
import json
from pathlib import Path

import pytest
from sqlmodel import select

from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import ArtefactRow
from tests.deploy.commands.test_commands import run


def test_the_map_is_written_drawn_and_kept(
    tiny_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file's digest is its name and the row's; the picture is a PNG; classes are printed."""
    open_store(StreamsSettings(home=tmp_path)).close()
    cache = f"model.cache={tiny_dir.parent / 'cache'}"
    asked = ("safety", "map", "--home", str(tmp_path), "--model", str(tiny_dir), "--set", cache)
    code, out, _ = run(*asked, capsys=capsys)
    assert code == 0
    for word in ("exclusive safety", "exclusive utility", "complex", "redundant", "frozen"):
        assert word in out
    first, _, rest = out.partition("\n")
    assert first == "policy    top-complex (from default)"
    assert rest.index("in force  as soon as a learner of the line main") < rest.index("class")
    (file,) = (tmp_path / "artefacts").glob("unit-map-*.json")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stem == f"unit-map-{digest[:16]}"
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    store = open_store(StreamsSettings(home=tmp_path))
    with store.reading() as session:
        assert [row.digest for row in session.exec(select(ArtefactRow))] == [digest]
    store.close()
    _, out, _ = run(*asked, "--json", "--set", "learner.freeze=all-complex", capsys=capsys)
    told = json.loads(out)
    assert told["policy"] == "all-complex"
    assert told["shares"]["frozen"] > 0.5


def test_an_unknown_policy_is_refused_with_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured."""
    asked = ("safety", "map", "--home", str(tmp_path), "--set", "learner.freeze=everything")
    code, _, err = run(*asked, capsys=capsys)
    assert code == 2
    for name in ("top-complex", "all-complex", "all-but-redundant", "everything"):
        assert name in err
