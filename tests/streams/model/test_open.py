"""A model directory becomes a base model, or an error that says what to do."""

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kernels.model.decode import greedy
from streams.errors import ModelFilesError
from streams.model import config
from streams.model.convert import FOLDER, MANIFEST, Progress, converted
from streams.model.open import BaseModel, load_base, load_converted
from streams.model.weights import weights_digest
from streams.records import Json, Message
from streams.settings import ModelSettings
from tests.files import flip
from tests.tiny import FAMILIES, Family, tiny_model_dir, tiny_tokenizer


def edit_config(directory: Path, **changes: object) -> None:
    """Change keys of a directory's config.json."""
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.fixture
def own_dir(tiny_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny directory that a test may damage."""
    return shutil.copytree(tiny_dir, tmp_path / "own")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_opens(family: Family, tmp_path: Path) -> None:
    """A directory of each supported family loads in float32 with its limits and stop tokens."""
    base = load_base(ModelSettings(path=tiny_model_dir(tmp_path / family, family=family)))
    assert {base.model.get_parameter(name).dtype for name in base.model.names} == {torch.float32}
    assert (base.context_tokens, base.stop_ids) == (4096, frozenset({2}))
    assert (base.decoder.num_layers, base.num_tokens) == (4, 384)


def test_the_templates_end_of_a_reply_ends_one(own_dir: Path) -> None:
    """Also where neither model nor tokenizer calls it the end of text."""
    source = (own_dir / "chat_template.jinja").read_text()
    (own_dir / "chat_template.jinja").write_text(source.replace("<|im_end|>", "<|endoftext|>"))
    assert load_base(ModelSettings(path=own_dir)).stop_ids == {0, 2}


ODD_ENDS: list[tuple[bytes | object, str]] = [
    (b"{", "cannot be read"),
    (b'{"eos_token_id": "\xff"}', "cannot be read"),
    ([2], "holds no JSON object"),
    ({"eos_token_id": "2"}, "none of that number"),
    ({"eos_token_id": [2, "5"]}, "none of that number"),
    ({"eos_token_id": [[2]]}, "none of that number"),
    ({"eos_token_id": 2.0}, "none of that number"),
    ({"eos_token_id": True}, "none of that number"),
    ({"eos_token_id": 384}, "none of that number"),
    ({"eos_token_id": [2, -7]}, "none of that number"),
]


@pytest.mark.parametrize(("written", "told"), ODD_ENDS, ids=str)
def test_what_can_end_no_reply_is_refused(own_dir: Path, written: object, told: str) -> None:
    """Text would be read on over an end that is written as something else."""
    said = written if isinstance(written, bytes) else json.dumps(written).encode()
    (own_dir / "generation_config.json").write_bytes(said)
    with pytest.raises(ModelFilesError, match=told):
        load_base(ModelSettings(path=own_dir, cache=own_dir / "cache"))


@pytest.mark.parametrize(
    ("ids", "ends"),
    [([2, 100], {2, 100}), ([None, 100], {2, 100}), (-1, {2}), (None, {2}), ([], {2}), (7, {2, 7})],
    ids=str,
)
def test_each_end_that_is_told_ends_a_reply(own_dir: Path, ids: object, ends: set[int]) -> None:
    """Of the generation's configuration, in UTF-8 with or without its mark; -1 is none."""
    said = json.dumps({"eos_token_id": ids}).encode("utf-8-sig")
    (own_dir / "generation_config.json").write_bytes(said)
    assert load_base(ModelSettings(path=own_dir, cache=own_dir / "cache")).stop_ids == ends


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_position_embeddings", 0), ("max_position_embeddings", "4096"),
        ("num_hidden_layers", 0), ("rms_norm_eps", -1.0), ("rms_norm_eps", "x"),
        ("rope_parameters", {"rope_type": "nope"}), ("rope_parameters", 5),
        ("eos_token_id", "2"), ("eos_token_id", 99999), ("num_attention_heads", 0),
    ],
)  # fmt: skip
def test_numbers_that_no_model_has_are_named(own_dir: Path, name: str, value: object) -> None:
    """In a sentence that names what is wrong, whichever library found it."""
    edit_config(own_dir, **{name: value})
    with pytest.raises(ModelFilesError, match=r"config\.json") as told:
        load_base(ModelSettings(path=own_dir, cache=own_dir / "cache"))
    assert name in str(told.value) or "rope" in str(told.value) or "modulo" in str(told.value)


def test_the_name_is_the_content(tiny_dir: Path, tmp_path: Path, tiny_base: BaseModel) -> None:
    """The same weights have the same name wherever they lie; other weights have another."""
    moved = shutil.copytree(tiny_dir, tmp_path / "moved")
    edit_config(moved, transformers_version="9.9.9")
    assert load_base(ModelSettings(path=moved)).name == tiny_base.name
    flip(moved / "model.safetensors")
    assert load_base(ModelSettings(path=moved)).name != tiny_base.name
    assert len(tiny_base.name) == 16


def test_what_a_configuration_says_is_kept(
    own_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start does not ask transformers, which takes seconds to load; a change is read."""
    settings = ModelSettings(path=own_dir, cache=tmp_path / "cache")
    name, read = load_base(settings).name, config.read_content
    asked: list[Path] = []

    def reading(directory: Path) -> Json:
        asked.append(directory)
        return read(directory)

    monkeypatch.setattr(config, "read_content", reading)
    assert load_base(settings).name == name
    assert not asked
    edit_config(own_dir, rms_norm_eps=0.5)
    assert load_base(settings).name != name
    assert asked == [own_dir]
    [*kept] = (tmp_path / "cache" / "configurations").iterdir()
    for file in kept:
        file.write_text("{")  # cut in the midst of writing
    assert load_base(settings).name != name
    assert len(asked) == 2
    nowhere = own_dir / "config.json"  # a file is no folder to keep anything in
    assert load_base(settings.model_copy(update={"cache": nowhere})).name != name


def test_a_file_changed_later_changes_nothing(own_dir: Path) -> None:
    """The weights are a copy: overwriting the file in place leaves the served ones alone."""
    base = load_base(ModelSettings(path=own_dir))
    before = weights_digest(base.model)
    with (own_dir / "model.safetensors").open("r+b") as stream:
        stream.seek(-64, 2)
        stream.write(bytes(64))
    assert weights_digest(base.model) == before


def remove(name: str) -> Callable[[Path], None]:
    """Return a damage: a file that is not there."""
    return lambda directory: (directory / name).unlink()


def truncate(name: str) -> Callable[[Path], None]:
    """Return a damage: a file of which only the first half was written."""

    def damage(directory: Path) -> None:
        data = (directory / name).read_bytes()
        (directory / name).write_bytes(data[: len(data) // 2])

    return damage


def point_to_missing_shard(directory: Path) -> None:
    """Damage: an index that names a shard which was not downloaded."""
    index = {"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def write_nan(directory: Path) -> None:
    """Damage: the last four bytes of the weights are a float32 NaN."""
    with (directory / "model.safetensors").open("r+b") as stream:
        stream.seek(-4, 2)
        stream.write(bytes.fromhex("0000c07f"))


def write_template(source: str) -> Callable[[Path], None]:
    """Return what gives a directory another chat template."""

    def write(directory: Path) -> None:
        (directory / "chat_template.jinja").write_text(source)

    return write


def add_tokens(directory: Path) -> None:
    """Return the tokenizer tokens that the model has no rows for."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<a>", "<b>", "<c>"])
    tokenizer.save_pretrained(directory)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, "there is no model directory .*: give the directory of a Hugging Face"),
        (remove("config.json"), "has no config.json: give"),
        (truncate("config.json"), "config.json cannot be read"),
        (remove("model.safetensors"), "lacks model.safetensors: give"),
        (truncate("model.safetensors"), "half-written .*: copy the model again"),
        (point_to_missing_shard, "lacks model-00002-of-00002.safetensors"),
        (remove("tokenizer.json"), "has no tokenizer.json: give"),
        (truncate("tokenizer.json"), "tokenizer.json cannot be read"),
        (remove("chat_template.jinja"), "no chat template: give an instruction-tuned model"),
        (write_nan, "not finite: copy the model again"),
        (lambda d: edit_config(d, model_type="gpt2"), "'gpt2': supported are llama, mistral"),
        (lambda d: edit_config(d, num_hidden_layers=5), "do not fit config.json: model.layers.4"),
        (lambda d: edit_config(d, hidden_size=32), "do not fit|does not fit"),
        (
            write_template("{% for message in messages %}"),
            "chat template .* cannot be used: .*endfor",
        ),
        (write_template("{{ messages[-1].role }}"), "leaves out words of the conversation"),
        (add_tokens, "tokens up to 386, but the model's embedding has only 384 rows"),
        (lambda d: edit_config(d, quantization_config={"quant_method": "gptq"}), "quantised"),
    ],
)
def test_a_broken_directory_says_what_to_do(
    own_dir: Path, damage: Callable[[Path], None], says: str
) -> None:
    """Whatever is missing, half-written or unsupported is one error with a remedy."""
    damage(own_dir)
    with pytest.raises(ModelFilesError, match=says):
        load_base(ModelSettings(path=own_dir))


class Writer:
    """Stands in for the conversion: writes a tiny model, and counts."""

    def __init__(self, fail_first: bool = False) -> None:
        self.calls = 0
        self._fail = fail_first

    def __call__(self, directory: Path, progress: Progress) -> str:
        """Write the tiny model, or die half-way through."""
        self.calls += 1
        progress("writing", 0.5)
        tiny_model_dir(directory)
        if self._fail and self.calls == 1:
            raise OSError("No space left on device")
        return weights_digest(load_base(ModelSettings(path=directory)).model)


def test_conversion_happens_once_and_reports_progress(tmp_path: Path) -> None:
    """The first load converts and tells how far it is; the second finds the copy."""
    writer, told = Writer(), list[tuple[str, float]]()
    first = load_converted(tmp_path, writer, progress=lambda s, f: told.append((s, f)))
    second = load_converted(tmp_path, writer)
    assert (writer.calls, first.name) == (1, second.name)
    assert told == [("writing", 0.5), ("the model is converted", 1.0)]


def test_two_loaders_convert_once(tmp_path: Path) -> None:
    """Whoever comes while another converts waits for the lock and uses the same copy."""
    writer = Writer()
    silent: Progress = lambda _stage, _fraction: None  # noqa: E731
    threads = [
        threading.Thread(target=converted, args=(tmp_path, writer, silent)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.calls == 1


def test_an_interrupted_conversion_leaves_nothing_behind(tmp_path: Path) -> None:
    """A full disk is said with a remedy, no half-written copy stays, and the next load converts."""
    writer = Writer(fail_first=True)
    with pytest.raises(ModelFilesError, match=r"No space left on device\. Free some space"):
        load_converted(tmp_path, writer)
    assert not (tmp_path / FOLDER).exists()
    (tmp_path / f"{FOLDER}.part-killed").mkdir()
    load_converted(tmp_path, writer)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FOLDER, f"{FOLDER}.lock"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", MANIFEST])
def test_a_flipped_bit_in_the_cache_is_found_and_repaired(name: str, tmp_path: Path) -> None:
    """A converted copy whose bits changed is not served: it is converted again."""
    writer = Writer()
    base = load_converted(tmp_path, writer)
    flip(tmp_path / FOLDER / name)
    assert load_converted(tmp_path, writer).name == base.name
    assert writer.calls == 2


def hold_lock_and_die(cache: Path, ready: "multiprocessing.synchronize.Event") -> None:
    """Die in the middle of a conversion, in a process of its own."""

    def write(directory: Path, _progress: Progress) -> str:
        (directory / "config.json").write_text("{")
        ready.set()
        os._exit(9)

    converted(cache, write, lambda _stage, _fraction: None)


@pytest.mark.slow
def test_a_crashed_converter_does_not_block_the_next(tmp_path: Path) -> None:
    """The lock of a process that died is free, and what it left is swept away."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold_lock_and_die, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    process.join()
    writer = Writer()
    load_converted(tmp_path, writer)
    assert writer.calls == 1


@pytest.mark.model
def test_the_bundled_model_loads_and_answers(bundled_base: BaseModel) -> None:
    """The bundled model, converted here, knows the capital of France and stops by itself."""
    ids = bundled_base.render([Message(role="user", content="What is the capital of France?")])
    stop_ids = bundled_base.stop_ids
    (reply,) = greedy(bundled_base.decoder, [ids], max_tokens=12, stop_ids=stop_ids)
    assert "Paris" in bundled_base.tokenizer.decode(reply)
    assert reply[-1] in stop_ids


@pytest.mark.model
def test_the_bundled_tokenizer_splits_digits(bundled_base: BaseModel) -> None:
    """Numbers are read digit by digit, as the model was trained."""
    assert len(bundled_base.tokenizer("12345", add_special_tokens=False).input_ids) == 5
