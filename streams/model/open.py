"""Turns a model directory into the base model: weights, tokenizer, chat template, name.

- What is served is what was checked: weights are copied into memory, and the name is the digest
  of that copy, so that a file changed later changes nothing.
- Only safetensors and JSON are read; nothing from the directory is executed or unpickled.

The one module of this package that knows torch, and the one that imports kernels: it opens what
kernels.model.forward walks.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernels.errors import UnsupportedModelError
from kernels.model.forward import Decoder, require_supported
from streams.errors import ModelFilesError, TemplateRefusedError
from streams.model.convert import (
    Progress,
    Write,
    converted,
    quiet_transformers,
    read_manifest,
    weights_digest,
    write_bundled,
)
from streams.model.prompt import Prompt, whole_characters
from streams.records import Json, Message, canonical_json
from streams.settings import ModelSettings

# Written by the library that saved the file, and of no influence on what the model computes.
_NOT_CONTENT = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache")

_WANTED = (
    "give the directory of a Hugging Face causal language model: config.json, *.safetensors and "
    "tokenizer.json"
)


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The model that every version starts from; never changed after loading.

    name: first 16 hex digits of the digest of its weights and configuration
    context_tokens: prompt and reply together that the model was made for
    """

    name: str
    model: Any
    tokenizer: Any
    decoder: Decoder
    stop_ids: frozenset[int]
    context_tokens: int
    num_tokens: int  # of the vocabulary: ids are smaller
    _prompt: Prompt = field(repr=False)

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


def load_base(settings: ModelSettings, *, progress: Progress = _silent) -> BaseModel:
    """Open the base model of the settings; the bundled one is converted on its first use.

    progress: told what takes long and how far it is, from any thread
    raises: ModelFilesError when the files are missing, half-written, damaged or of an
        architecture that is not supported; the message says what to do
    """
    if settings.path is not None:
        return open_base(settings.path.expanduser())
    return load_converted(settings.cache.expanduser(), write_bundled, progress=progress)


def load_converted(cache: Path, write: Write, *, progress: Progress = _silent) -> BaseModel:
    """Open the model that `write` converts; a copy whose bits have changed is converted anew.

    raises: ModelFilesError, as load_base
    """
    directory = converted(cache, write, progress)
    try:
        return open_base(directory, weights=read_manifest(directory)["weights"])
    except ModelFilesError:
        progress("the converted model was damaged: converting it again", 0.0)
    directory = converted(cache, write, progress, again=True)
    return open_base(directory, weights=read_manifest(directory)["weights"])


def open_base(directory: Path, *, weights: str | None = None) -> BaseModel:
    """Load a Hugging Face model directory in float32.

    weights: the digest that its weights must have, where that is known
    raises: ModelFilesError, as load_base
    """
    config = _read_config(directory)
    try:
        require_supported(config)
    except UnsupportedModelError as cause:
        raise ModelFilesError(f"{directory} holds {cause}") from cause
    _require_weights(directory)
    tokenizer = _load_tokenizer(directory)
    model = _load_model(directory)
    digest = weights_digest(model)
    if weights not in (None, digest):
        raise ModelFilesError(f"the weights in {directory} are damaged: delete that folder")
    content = canonical_json(_content(model.config.to_dict()))
    prompt = _open_prompt(directory, tokenizer, num_tokens=config.vocab_size)
    return BaseModel(
        name=hashlib.sha256(content + digest.encode()).hexdigest()[:16],
        model=model,
        tokenizer=tokenizer,
        decoder=Decoder(model),
        stop_ids=_stop_ids(model, tokenizer, prompt),
        context_tokens=model.config.max_position_embeddings,
        num_tokens=config.vocab_size,
        _prompt=prompt,
    )


def _read_config(directory: Path) -> Any:
    from transformers import AutoConfig

    if not directory.is_dir():
        raise ModelFilesError(f"there is no model directory {directory}: {_WANTED}")
    if not (directory / "config.json").is_file():
        raise ModelFilesError(f"{directory} has no config.json: {_WANTED}")
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ModelFilesError(f"{directory}/config.json cannot be read: {_first(cause)}") from cause
    if getattr(config, "quantization_config", None):
        raise ModelFilesError(
            f"{directory} holds a quantised model: an update of its weights would round away; "
            "give the unquantised one"
        )
    return config


def _require_weights(directory: Path) -> None:
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise ModelFilesError(f"{index} is half-written: copy the model again") from cause
    else:
        names = {"model.safetensors"}
    missing = sorted(name for name in names if not (directory / name).is_file())
    if missing:
        raise ModelFilesError(f"{directory} lacks {', '.join(missing)}: {_WANTED}")


def _load_model(directory: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        with quiet_transformers():
            model, report = AutoModelForCausalLM.from_pretrained(
                directory,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as cause:
        raise ModelFilesError(
            f"the weights in {directory} cannot be read: {_first(cause)}. The file is half-written "
            "or does not fit its config.json: copy the model again"
        ) from cause
    lacking = [*report["missing_keys"], *report["mismatched_keys"]]
    if lacking:
        raise ModelFilesError(
            f"the weights in {directory} do not fit config.json: {lacking[0]} is missing or of "
            "another shape; copy the model again"
        )
    for parameter in model.parameters():
        # transformers maps the file: a copy cannot change or vanish under a running service,
        # and lies at the alignment that vector instructions want
        parameter.data = parameter.data.clone()
        if not torch.isfinite(parameter.sum()):  # NaN and infinity survive a sum
            raise ModelFilesError(
                f"the weights in {directory} are not finite: copy the model again"
            )
    return model.eval().requires_grad_(False)


def _load_tokenizer(directory: Path) -> Any:
    from transformers import AutoTokenizer

    if not (directory / "tokenizer.json").is_file():
        raise ModelFilesError(f"{directory} has no tokenizer.json: {_WANTED}")
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
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


def _stop_ids(model: Any, tokenizer: Any, prompt: Prompt) -> frozenset[int]:
    # what the template ends a reply with ends one, also where the configuration forgets it
    ids: set[int] = set() if prompt.end_id is None else {prompt.end_id}
    for stop in (
        model.generation_config.eos_token_id,
        model.config.eos_token_id,
        tokenizer.eos_token_id,
    ):
        ids.update(stop if isinstance(stop, list) else [] if stop is None else [stop])
    return frozenset(ids)


def _content(config: Json) -> Json:
    return {key: value for key, value in config.items() if key not in _NOT_CONTENT}


def _first(cause: BaseException) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0]
