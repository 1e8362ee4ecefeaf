"""What a base was measured to be comes back bit for bit, or is measured anew."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from learner.safety.kept import KeptBase, Tensors
from learner.safety.measuring import Measuring
from learner.safety.probe import Measurement, Probe
from learner.safety.probes.open import PROBES, open_probes
from learner.safety.probes.tasks import TASKS
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import Questions, Subject
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from tests.files import flip

ALL = LearnerSettings(probes=tuple(name for name in PROBES if name not in TASKS))
NUMBERS = {"a": torch.tensor([1.5, math.nan, -0.0]), "b": torch.tensor([[3]], dtype=torch.int32)}


def nothing() -> None:
    """No pause."""


def never() -> None:
    """A pause that must not be asked for: nothing is to be computed."""
    raise AssertionError("it was measured again")


def unmeasured() -> Tensors:
    """Fail: it is kept."""
    raise AssertionError("it was measured again")


def same(left: Tensors, right: Tensors) -> bool:
    """Whether tensors are equal to the bit."""
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype
        and left[name].shape == right[name].shape
        and left[name].numpy().tobytes() == right[name].numpy().tobytes()
        for name in left
    )


def test_what_was_measured_is_read_by_another_process(tmp_path: Path) -> None:
    """Bit for bit, NaN and minus zero too."""
    measured = KeptBase(tmp_path, "base").tensors("k", [1, "x"], lambda: NUMBERS)
    kept = KeptBase(tmp_path, "base").tensors("k", [1, "x"], unmeasured)
    assert same(kept, measured)
    assert same(kept, NUMBERS)


@examples(max_examples=25)
@given(
    value=st.recursive(
        st.one_of(
            st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text("aé☃", max_size=4)
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner)),
        max_leaves=6,
    )
)
def test_a_value_comes_back_as_it_was(
    value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Floats with all their digits, mappings in their order."""
    kept = KeptBase(tmp_path_factory.mktemp("kept"), "base")
    for measure in (lambda: value, unmeasured):
        found = kept.value("k", None, measure)
        assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("base", "kind", "of"), [("other", "k", [1]), ("base", "other", [1]), ("base", "k", [2])]
)
def test_nothing_is_taken_for_another(tmp_path: Path, base: str, kind: str, of: object) -> None:
    """Another base, kind, prompt or setting is another measurement."""
    KeptBase(tmp_path, "base").value("k", [1], lambda: "first")
    assert KeptBase(tmp_path, base).value(kind, of, lambda: "second") == "second"
    assert KeptBase(tmp_path, "base").value("k", [1], unmeasured) == "first"


def torn(path: Path) -> None:
    """Cut a file."""
    path.write_bytes(path.read_bytes()[:-3])


def swapped(path: Path) -> None:
    """Put another measurement under its name."""
    KeptBase(path.parent.parent, "base").tensors("k", [2], lambda: {"a": torch.zeros(1)})
    (other,) = (file for file in path.parent.iterdir() if file != path)
    other.replace(path)


@pytest.mark.parametrize("damage", [torn, flip, swapped, Path.unlink])
def test_a_damaged_file_is_measured_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """And kept again."""
    kept = KeptBase(tmp_path, "base")
    kept.tensors("k", [1], lambda: NUMBERS)
    (path,) = (tmp_path / "base").iterdir()
    damage(path)
    measured: list[int] = []

    def again() -> Tensors:
        measured.append(1)
        return NUMBERS

    assert same(kept.tensors("k", [1], again), NUMBERS)
    assert same(kept.tensors("k", [1], unmeasured), NUMBERS)
    assert measured == [1]


def test_a_folder_that_cannot_be_written_costs_the_keeping_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, with what to do."""
    (tmp_path / "file").write_text("no folder")
    kept = KeptBase(tmp_path / "file", "base")
    assert [kept.value("k", number, lambda: "measured") for number in (1, 2)] == ["measured"] * 2
    assert caplog.text.count("model.cache") == 1


def test_what_a_crash_left_is_no_measurement(tmp_path: Path) -> None:
    """A process that ends between writing and naming leaves nothing that is read."""
    kept = KeptBase(tmp_path, "base")

    def dies() -> Tensors:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.tensors("k", [1], dies)
    assert not list(tmp_path.rglob("*.*"))


def test_what_another_process_takes_away_meanwhile_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is half-written when the folder is listed has its name when it is looked at."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "another.part").symlink_to("named by now")  # listed, and not there
    kept = KeptBase(tmp_path, "base")
    kept.value("k", 1, lambda: "measured")
    assert kept.value("k", 1, unmeasured) == "measured"
    assert caplog.text == ""


def asked(
    questions: Questions, decoder: Decoder, settings: LearnerSettings = ALL
) -> dict[str, Measurement]:
    """Ask a version everything, or what the settings name."""
    probes: tuple[Probe, ...] = open_probes(settings)
    return {probe.name: probe.ask(Subject(questions, decoder)) for probe in probes}


def test_every_probe_reads_the_same_of_a_base_that_is_kept(
    tiny_base: BaseModel, backend: Backend, tmp_path: Path
) -> None:
    """Measured into a folder and read from it: the same to the bit, and reading computes nothing;
    a candidate is measured alike beside a base that is kept and one that is not."""

    def questions(pause: Callable[[], None], folder: Path | None) -> Questions:
        measuring = Measuring(tiny_base, backend, pause, KeptBase(folder, tiny_base.name))
        prompts = load_prompts("gate")
        return Questions(measuring, prompts, count=2, max_tokens=4, num_items=1)

    base = tiny_base.decoder
    first = asked(questions(nothing, tmp_path), base)
    assert first == asked(questions(never, tmp_path), base)
    twin = Decoder(with_weights(tiny_base.model, {}))
    some = LearnerSettings(probes=("odds", "useful", "benign", "geometry", "text"))
    found = [asked(questions(nothing, folder), twin, some) for folder in (None, tmp_path)]
    assert found[0] == found[1]
