"""What becomes of each parameter that OpenAI documents for Chat Completions, or vLLM beside it.

What is understood is a field of the form (agent.api.chat.request). What would change the reply and
cannot be had is refused by its name, unless its value asks for nothing. What changes no reply is
ignored, and so is a name that neither of the two knows: clients of other servers send many.

Sources: OpenAI's API reference, "Create chat completion"; vLLM's
vllm/entrypoints/openai/chat_completion/protocol.py, and the guided_* names of its versions before.
"""

from dataclasses import dataclass
from typing import Any, Final

from agent.http.form import refuse
from streams.records import Json

_TEXT_ONLY: Final = "this model reads and writes text only"
_STRUCTURED: Final = "its newer name is structured_outputs"
_ENDS: Final = "a reply ends where the model ends it, at a stop string, or at its limit"
_TOKENS: Final = "tokens are told by their text"


@dataclass(frozen=True, slots=True)
class Refused:
    """A parameter that cannot be had.

    why: and what to do instead
    harmless: values beside null that ask for nothing
    """

    why: str
    harmless: tuple[Any, ...] = ()


UNDERSTOOD: Final = frozenset(
    {
        # OpenAI's
        "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
        "messages", "metadata", "model", "n", "parallel_tool_calls", "presence_penalty",
        "response_format", "seed", "stop", "store", "stream", "stream_options", "temperature",
        "tool_choice", "tools", "top_logprobs", "top_p", "user",
        # vLLM's
        "add_generation_prompt", "continue_final_message", "min_p", "repetition_penalty",
        "structured_outputs", "top_k",
        # our own, the first by the name that OpenAI's Responses has for it
        "truncation", "notes",
    }
)  # fmt: skip

# Name → why it changes no reply.
IGNORED: Final = {
    # OpenAI's
    "prediction": "a guess at the reply, which would only speed it up",
    "prompt_cache_key": "prompts are found again by what they say",
    "prompt_cache_options": "prompts are found again by what they say",
    "prompt_cache_retention": "prompts are kept as long as there is room",
    "safety_identifier": "who is answerable is the API key",
    "service_tier": "there is one",
    # vLLM's
    "cache_salt": "no prompt is found again by another key",
    "guided_decoding_backend": "there is one",
    "include_reasoning": "there is none",
    "kv_transfer_params": "prompts are read where replies are made",
    "length_penalty": "it weighs beams, which are refused",
    "media_io_kwargs": "images are refused",
    "mm_processor_kwargs": "images are refused",
    "priority": "requests are answered in the order in which they come",
    "request_id": "the header X-Request-Id names a request",
    "spaces_between_special_tokens": "special tokens are not shown",
}  # fmt: skip

REFUSED: Final = {
    # OpenAI's
    "audio": Refused(_TEXT_ONLY),
    "function_call": Refused("tool_choice replaced it", ("none", "auto")),
    "functions": Refused("tools replaced it", ([],)),
    "moderation": Refused("no reply is moderated here"),
    "modalities": Refused(_TEXT_ONLY, (["text"],)),
    "reasoning_effort": Refused("this model does not reason before it answers", ("none",)),
    "verbosity": Refused("replies have one verbosity", ("medium",)),
    "web_search_options": Refused("nothing is searched here"),
    # vLLM's
    "add_special_tokens": Refused("the chat template writes them", (False,)),
    "allowed_token_ids": Refused("use logit_bias, or structured_outputs", ([],)),
    "bad_words": Refused("use logit_bias", ([],)),
    "best_of": Refused("nothing is ranked here", (1,)),
    "chat_template": Refused("the model's own is used"),
    "chat_template_kwargs": Refused("the model's chat template is used as it is", ({},)),
    "documents": Refused("send their text in a message", ([],)),
    "echo": Refused("a reply is told without what it goes on with", (False,)),
    "guided_choice": Refused(_STRUCTURED),
    "guided_grammar": Refused(_STRUCTURED),
    "guided_json": Refused(_STRUCTURED),
    "guided_regex": Refused(_STRUCTURED),
    "guided_whitespace_pattern": Refused(_STRUCTURED),
    "ignore_eos": Refused(_ENDS, (False,)),
    "include_stop_str_in_output": Refused("a stop string is no part of a reply", (False,)),
    "logits_processors": Refused("no code of a client's is run", ([],)),
    "max_repetition_pattern_size": Refused(_ENDS, (0,)),
    "min_repetition_pattern_size": Refused(_ENDS, (0,)),
    "min_tokens": Refused(_ENDS, (0,)),
    "prompt_logprobs": Refused("a prompt's log-probabilities are not computed"),
    "repetition_min_count": Refused(_ENDS, (0,)),
    "return_token_ids": Refused(_TOKENS, (False,)),
    "return_tokens_as_token_ids": Refused(_TOKENS, (False,)),
    "skip_special_tokens": Refused("special tokens are not shown", (True,)),
    "stop_token_ids": Refused("use stop, with their text", ([],)),
    "structural_tag": Refused(_STRUCTURED),
    "thinking_token_budget": Refused("this model does not think before it answers"),
    "truncate_prompt_tokens": Refused("use truncation, which leaves out whole exchanges", (-1,)),
    "use_beam_search": Refused("replies are sampled", (False,)),
    "vllm_xargs": Refused("extensions of vLLM are not known here", ({},)),
}  # fmt: skip


def prove_possible(body: Json) -> None:
    """Refuse a body that asks for what cannot be had; for a validator."""
    for name in body.keys() & REFUSED.keys():
        refused, value = REFUSED[name], body[name]
        if value is not None and value not in refused.harmless:
            refuse("{name}: leave it out: {why}", name=name, why=refused.why)
