"""Turns a seed into a tiny random model directory, the way a real one lies on disk.

Everything about it is real but the size: config, safetensors, byte-level BPE tokenizer, chat
template. It is built offline in about a second, and the same seed gives the same bytes, so tests
may compare versions by name. The replies are noise, and different for different prompts.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from kernels.model.layers import PlainLayer
from kernels.model.model import Model
from streams.model.config import sizes_of
from streams.model.weights import assemble

Family = Literal["llama", "mistral", "qwen2", "qwen3"]
FAMILIES: tuple[Family, ...] = ("llama", "mistral", "qwen2", "qwen3")

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# Enough text that frequent words become tokens and rare characters stay bytes, so that both the
# merging and the splitting of characters over tokens are met.
CORPUS = [
    "You are a helpful assistant. What is the capital of France? The capital of France is Paris.",
    "Please answer in one short sentence only. Thank you, that was better than the last answer!",
    "user assistant system tool name arguments description parameters type object string",
    "How do I write a function that adds two numbers? def add(a, b): return a + b",
    "The weather today is sunny and warm; tomorrow it will rain. 0123456789",
]

CHAT_TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>system\\nTools: ' + (tools | tojson) + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + (message['content'] or '') }}
{%- for call in message.get('tool_calls') or [] %}
{{- '<tool_call>' + (call['function'] | tojson) + '</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

# Mistral's, in short: no marker opens a reply, and the roles must alternate.
MISTRAL_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}
{%- if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}
{%- else %}{{ ' ' + message['content'] + eos_token }}{% endif %}
{%- endfor %}"""

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    # ten times the usual spread: the distributions are then peaked enough to be told apart
    "initializer_range": 0.2,
}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer of 384 tokens that can spell any text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
    )


def tiny_pieces_tokenizer() -> PreTrainedTokenizerFast:
    """Train a tokenizer of sentence pieces with bytes to fall back on, as Llama 2 and Mistral have.

    A text begins with a space, which decoding takes away again.
    """
    special = ["<unk>", "<s>", "</s>"]
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=[*special, *alphabet], show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    learned = json.loads(trained.to_str())["model"]
    merges = [(left, right) for left, right in learned["merges"]]
    model = models.BPE(learned["vocab"], merges, unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = trained.normalizer
    tokenizer.add_special_tokens(special)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=MISTRAL_TEMPLATE,
    )


def tiny_model(
    *, seed: int = 0, family: Family = "llama", vocabulary: int = 384, **config: Any
) -> Any:
    """Build a random model of 4 layers, width 64, 4 heads over 2 KV heads; llama is tied.

    config: more of its configuration
    """
    generator_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        shape = SHAPE | {"vocab_size": vocabulary, "tie_word_embeddings": family == "llama"}
        shape |= config
        match family:
            case "llama":
                model = LlamaForCausalLM(LlamaConfig(**shape))
            case "mistral":
                model = MistralForCausalLM(MistralConfig(**shape, sliding_window=None))
            case "qwen2":
                model = Qwen2ForCausalLM(Qwen2Config(**shape))
            case "qwen3":
                model = Qwen3ForCausalLM(Qwen3Config(**shape))
        _stir(model)
    finally:
        torch.random.set_rng_state(generator_state)
    return model.eval().requires_grad_(False)


def as_stored(model: Any) -> Model:
    """Store a transformers model as the product stores what it reads from files."""
    return assemble(sizes_of(model.config.to_dict()), sorted(model.named_parameters()))


def as_plain(model: Model) -> Model:
    """Store every layer of a model as it is."""
    plain = {id(layer): PlainLayer(layer.plain(), layer.bias) for layer in model.layers.values()}
    return replace(model, layers={name: plain[id(each)] for name, each in model.layers.items()})


def _stir(model: Any) -> None:
    """Return norms and biases values of their own, so that a forward pass cannot forget them."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                noise = 0.2 * torch.randn_like(parameter)
                parameter.copy_(noise if name.endswith("bias") else 1 + noise)


def tiny_model_dir(path: Path, *, seed: int = 0, family: Family = "llama", **config: Any) -> Path:
    """Write a tiny model directory (config, safetensors, tokenizer, chat template) and return it.

    config: more of its configuration
    """
    tokenizer = tiny_tokenizer()
    model = tiny_model(seed=seed, family=family, vocabulary=len(tokenizer), **config)
    path.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
