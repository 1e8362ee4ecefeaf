"""The home and the model directory are looked at before any child is started."""

from pathlib import Path

import pytest

from deploy.cli import told
from deploy.errors import HomeError
from deploy.settings.load import Settings
from deploy.up.home import require_home, require_named_files
from deploy.up.model import require_model
from learner.settings import LearnerSettings
from streams.errors import ModelFilesError, SecretError
from streams.settings import ModelSettings, RolloutSettings, StreamsSettings


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


NAMED = {
    "rollout.webhook_secret": Settings(
        rollout=RolloutSettings(webhook="https://host/hook", webhook_secret=Path("secret"))
    ),
    "learner.judge_key_file": Settings(
        learner=LearnerSettings(judges=("model",), judge_key_file=Path("secret"))
    ),
    "streams.sasl_password_file": Settings(
        streams=StreamsSettings(log="kafka://host:9092", sasl_password_file=Path("secret"))
    ),
    "streams.tls_ca": Settings(
        streams=StreamsSettings(log="kafka://host:9092", tls_ca=Path("secret"))
    ),
}


@pytest.mark.parametrize("setting", NAMED)
def test_a_secret_that_is_named_is_there_and_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """It is told with its setting before a model is loaded, and not by restarts for ever."""
    monkeypatch.chdir(tmp_path)
    settings, file = NAMED[setting], tmp_path / "secret"
    with pytest.raises(SecretError, match=rf"^{setting}: secret cannot be read: No such file"):
        require_named_files(settings, learns=True)
    file.write_text(" \n")
    with pytest.raises(SecretError, match=rf"^{setting}: secret is empty") as refused:
        require_named_files(settings, learns=True)
    assert told(refused.value)[1] == 2
    if not setting.startswith("streams"):
        require_named_files(settings, learns=False)
    file.write_text("between us\n")
    require_named_files(settings, learns=True)


def test_a_secret_that_nobody_will_use_is_not_asked_for() -> None:
    """Of a log, a judge and a webhook that are not in force."""
    missing = Path("/none")
    settings = Settings(
        streams=StreamsSettings(sasl_password_file=missing),
        learner=LearnerSettings(judge_key_file=missing),
        rollout=RolloutSettings(webhook_secret=missing),
    )
    require_named_files(settings, learns=True)


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
