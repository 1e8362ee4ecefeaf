"""The home and the model directory are looked at before any child is started."""

from pathlib import Path

import pytest

from deploy.cli import told
from deploy.errors import HomeError
from deploy.up.home import require_home
from deploy.up.model import require_model
from streams.errors import ModelFilesError
from streams.settings import ModelSettings, StreamsSettings


def test_a_home_is_made_and_left_empty(tmp_path: Path) -> None:
    """What proves that it can be written leaves nothing."""
    home = tmp_path / "a" / "home"
    require_home(StreamsSettings(home=home))
    assert list(home.iterdir()) == []


def test_a_home_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    """A file, and a folder in which nothing can be made, are told in one sentence."""
    file = tmp_path / "file"
    file.write_text("")
    for home in (file, Path("/proc/here"), file / "below"):
        with pytest.raises(HomeError, match="--home") as refused:
            require_home(StreamsSettings(home=home))
        assert told(refused.value) == (f"quickset: {refused.value}", 2)
        assert str(home) in str(refused.value)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "has no config.json"),
        (("config.json",), "lacks model.safetensors"),
        (("config.json", "model.safetensors"), "has no tokenizer.json"),
        (("config.json", "model.safetensors.index.json"), "half-written"),
    ],
)
def test_a_directory_that_is_no_model_is_refused_at_once(
    tmp_path: Path, files: tuple[str, ...], words: str
) -> None:
    """The supervisor says it itself, and does not start two processes that load torch to see it."""
    for name in files:
        (tmp_path / name).write_text("")
    with pytest.raises(ModelFilesError, match=words):
        require_model(ModelSettings(path=tmp_path))
    with pytest.raises(ModelFilesError, match="there is no model directory"):
        require_model(ModelSettings(path=tmp_path / "none"))


def test_a_model_and_the_bundled_one_are_taken(tiny_dir: Path) -> None:
    """Nothing is said of what is whole."""
    require_model(ModelSettings(path=tiny_dir))
    require_model(ModelSettings())
