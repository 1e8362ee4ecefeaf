"""Turns a model directory into the base model: weights, tokenizer, chat template, name.

- What is served is what was checked: weights are copied into memory, and the name is the digest
  of that copy, so that a file changed later changes nothing.
- Only safetensors and JSON are read; nothing from the directory is executed or unpickled.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from kernels.model.forward import Decoder
from kernels.model.model import EMBEDDING, Model
from kernels.open import open_device
from streams.errors import ModelFilesError, TemplateRefusedError
from streams.model.config import kept_content, read_content
from streams.model.convert import Progress, Write, converted, read_manifest, write_bundled
from streams.model.files import require_tokenizer, require_weights
from streams.model.prompt import Prompt, whole_characters
from streams.model.quiet import quiet_transformers
from streams.model.weights import read_model
from streams.records import Json, Message, canonical_json
from streams.settings import ModelSettings

Device = Any
"""A torch.device or its name: torch is imported where a model is loaded."""

_NO_TOKEN: Final = -1  # how some configurations say that there is none
# What generation_config.json may say of sampling.
_SUGGESTED: Final = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
# Tokenizers that are all that their file says; others are made by code that reads config.json too,
# and that loads much of transformers.
_PLAIN_TOKENIZERS: Final = ("TokenizersBackend", "PreTrainedTokenizerFast")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The model that every version starts from; never changed after loading.

    name: first 16 hex digits of the digest of its weights and configuration
    context_tokens: prompt and reply together that the model was made for
    suggested: how its authors would sample where nobody says it (temperature, top_p, top_k, min_p,
        repetition_penalty), as far as its folder names that and as it says it
    """

    name: str
    tokenizer: Any
    decoder: Decoder
    stop_ids: frozenset[int]
    context_tokens: int
    num_tokens: int  # of the vocabulary: ids are smaller
    suggested: Json
    _prompt: Prompt = field(repr=False)

    @property
    def model(self) -> Model:
        """Its parameters."""
        return self.decoder.model

    @property
    def end_id(self) -> int | None:
        """The token that the chat template ends a reply with; None: it writes none."""
        return self._prompt.end_id

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Json] | None = None,
        *,
        continues: bool = False,
    ) -> list[int]:
        """The token ids of a conversation, up to where the assistant's reply begins.

        continues: the reply goes on with the last message, the assistant's, which is left open
        raises: TemplateRefusedError when the chat template does not accept these messages
        """
        return self._prompt.render(messages, tools, continues=continues)

    @property
    def call_probe(self) -> str:
        """What the chat template makes of a conversation with a tool and a call of it."""
        return self._prompt.called

    def encode(self, text: str) -> list[int]:
        """The token ids of a text as it stands, special tokens in it read as such."""
        return list(self.tokenizer.backend_tokenizer.encode(whole_characters(text)).ids)


def _silent(_stage: str, _fraction: float) -> None:
    pass


def load_base(
    settings: ModelSettings, *, plain_head: bool = False, progress: Progress = _silent
) -> BaseModel:
    """Open the base model of the settings; the bundled one is converted on its first use.

    plain_head: keep the embeddings as they are, for scores of many tokens over the vocabulary
        (Backend.token_logprobs reads them so), instead of packed for the next tokens of few rows
    progress: told what takes long and how far it is, from any thread
    raises: ModelFilesError when the files are missing, half-written, damaged or of an
        architecture that is not supported, DeviceMissingError when the device is not here; the
        message says what to do
    """
    device = open_device(settings.device)
    cache = settings.cache.expanduser()
    if settings.path is not None:
        path = settings.path.expanduser()
        content = kept_content(path, cache)
        return open_base(path, content=content, device=device, plain_head=plain_head)
    return load_converted(
        cache, write_bundled, device=device, plain_head=plain_head, progress=progress
    )


def load_converted(
    cache: Path,
    write: Write,
    *,
    device: Device = "cpu",
    plain_head: bool = False,
    progress: Progress = _silent,
) -> BaseModel:
    """Open the model that `write` converts; a copy whose bits have changed is converted anew.

    raises: ModelFilesError, as load_base
    """
    open_it = partial(open_base, device=device, plain_head=plain_head)
    directory = converted(cache, write, progress)
    try:
        return open_it(directory, manifest=read_manifest(directory))
    except ModelFilesError:
        progress("the converted model was damaged: converting it again", 0.0)
    directory = converted(cache, write, progress, again=True)
    return open_it(directory, manifest=read_manifest(directory))


def open_base(
    directory: Path,
    *,
    manifest: Json | None = None,
    content: Json | None = None,
    device: Device = "cpu",
    plain_head: bool = False,
) -> BaseModel:
    """Load a Hugging Face model directory in float32, onto a device.

    manifest: what a conversion wrote down: the content of its configuration, and the digest that
        its weights must have
    content: that of the configuration, where it is known otherwise
    raises: ModelFilesError, as load_base
    """
    if content is None:
        content = read_content(directory) if manifest is None else manifest["config"]
    require_weights(directory)
    tokenizer = _load_tokenizer(directory)
    model, digest = read_model(directory, content, device=device, plain_head=plain_head)
    if manifest is not None and manifest["weights"] != digest:
        raise ModelFilesError(f"the weights in {directory} are damaged: delete that folder")
    num_tokens = model.layer(EMBEDDING).shape[0]
    prompt = _open_prompt(directory, tokenizer, num_tokens=num_tokens)
    generation = _read_object(directory / "generation_config.json")
    return BaseModel(
        name=hashlib.sha256(canonical_json(content) + digest.encode()).hexdigest()[:16],
        tokenizer=tokenizer,
        decoder=Decoder(model),
        stop_ids=_stop_ids(
            directory, generation, content, tokenizer, prompt, num_tokens=num_tokens
        ),
        context_tokens=content["max_position_embeddings"],
        num_tokens=num_tokens,
        suggested=_suggested(generation),
        _prompt=prompt,
    )


def _load_tokenizer(directory: Path) -> Any:
    require_tokenizer(directory)
    try:
        with quiet_transformers():
            tokenizer = _tokenizer_class(directory).from_pretrained(
                directory, local_files_only=True
            )
    except ModelFilesError:
        raise
    except Exception as cause:  # tokenizers raises plain Exception for a file it cannot parse
        raise ModelFilesError(
            f"{directory}/tokenizer.json cannot be read: {_first(cause)}. Copy the model again"
        ) from cause
    if not tokenizer.chat_template:
        raise ModelFilesError(
            f"the tokenizer in {directory} has no chat template: give an instruction-tuned model, "
            "or add a chat_template.jinja"
        )
    return tokenizer


def _open_prompt(directory: Path, tokenizer: Any, *, num_tokens: int) -> Prompt:
    """Open what makes prompts, and prove that the model has a row for each of its tokens."""
    last = max(tokenizer.get_vocab().values(), default=0)
    if last >= num_tokens:
        raise ModelFilesError(
            f"the tokenizer in {directory} has tokens up to {last}, but the model's embedding has "
            f"only {num_tokens} rows: they do not belong together; copy both from one place"
        )
    try:
        return Prompt(tokenizer)
    except TemplateRefusedError as cause:
        raise ModelFilesError(
            f"the chat template in {directory} cannot be used: {cause}. Give the template that "
            "the model was trained with, as chat_template.jinja"
        ) from cause


def _tokenizer_class(directory: Path) -> Any:
    described = _read_object(directory / "tokenizer_config.json")
    if described.get("tokenizer_class") in _PLAIN_TOKENIZERS:
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def _stop_ids(
    directory: Path,
    generation: Json,
    content: Json,
    tokenizer: Any,
    prompt: Prompt,
    *,
    num_tokens: int,
) -> frozenset[int]:
    # what the template ends a reply with ends one, also where the configuration forgets it
    ids: set[int] = set() if prompt.end_id is None else {prompt.end_id}
    told = {"generation_config.json": generation, "config.json": content}
    for name, stop in (
        *((name, given.get("eos_token_id")) for name, given in told.items()),
        ("the tokenizer", tokenizer.eos_token_id),
    ):
        for id in stop if isinstance(stop, list) else [stop]:
            if id is None or id == _NO_TOKEN:
                continue
            if type(id) is not int or not 0 <= id < num_tokens:
                raise ModelFilesError(
                    f"{name} in {directory} ends replies with the token {id!r}, and the model has "
                    f"none of that number: give eos_token_id as one under {num_tokens}, or a list"
                )
            ids.add(id)
    return frozenset(ids)


def _suggested(generation: Json) -> Json:
    """Return what is said of sampling; greedy generation (do_sample false) suggests nothing."""
    if generation.get("do_sample") is False:
        return {}
    said = {name: generation.get(name) for name in _SUGGESTED}
    return {name: value for name, value in said.items() if value is not None}


def _read_object(file: Path) -> Json:
    """Read a file of one JSON object; one that is not there is empty. Raises: ModelFilesError."""
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as cause:
        raise ModelFilesError(f"{file} cannot be read: {cause}. Copy the model again") from cause
    if not isinstance(found, dict):
        raise ModelFilesError(f"{file} holds no JSON object. Copy the model again")
    return found


def _first(cause: BaseException) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0]
