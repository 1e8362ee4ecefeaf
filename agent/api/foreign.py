"""Parameters of one API that are sent to another, where nothing would be made of them.

A client that sends `stop` to Responses, or `ignore_eos` to Completions, means the reply to be
another: it is refused by its name, and told the name that this API has for the same. A value that
asks for nothing passes, and so does a name that is known of no API.

Sources: OpenAI's and Anthropic's references; vLLM's vllm/entrypoints/openai/*/protocol.py; what
llama.cpp's server, SGLang, TGI, Mistral's API and text-generation-webui take beside.
"""

from typing import Any, Final

from pydantic import model_validator

from agent.api.chat.parameters import REFUSED
from agent.api.sampling import SamplingForm
from agent.http.form import refuse

# What would change a reply → values beside null that ask for nothing.
CHANGES: Final[dict[str, tuple[Any, ...]]] = {
    **{name: refused.harmless for name, refused in REFUSED.items()},
    # Chat's
    "messages": (), "max_tokens": (), "max_completion_tokens": (), "n": (1,), "stop": ([],),
    "logprobs": (False,), "top_logprobs": (0,), "response_format": ({"type": "text"},),
    "structured_outputs": (), "tools": ([],), "tool_choice": ("auto", "none"),
    "parallel_tool_calls": (True,), "continue_final_message": (False,),
    "add_generation_prompt": (True,),
    # Completions'
    "prompt": (), "prompt_embeds": (), "suffix": ("",),
    # Responses'
    "input": (), "instructions": ("",), "previous_response_id": (), "max_output_tokens": (),
    "text": ({}, {"format": {"type": "text"}}), "reasoning": ({}, {"effort": None}),
    "background": (False,), "conversation": (),
    # Messages', and of older versions of that API
    "system": ("", []), "stop_sequences": ([],), "thinking": ({"type": "disabled"},),
    "output_config": ({},), "output_format": (), "container": (), "mcp_servers": ([],),
    "max_tokens_to_sample": (),
    # of servers beside vLLM; some clients send each of them, with a value that asks for nothing
    "max_new_tokens": (), "n_predict": (-1,), "num_predict": (-1,), "repeat_penalty": (1,),
    "random_seed": (), "typical_p": (1,), "tfs_z": (1,), "tfs": (1,), "top_a": (0,),
    "top_n_sigma": (-1, 0), "mirostat": (0,), "mirostat_mode": (0,), "dynatemp_range": (0,),
    "smoothing_factor": (0,), "dry_multiplier": (0,), "xtc_probability": (0,),
    "epsilon_cutoff": (0,), "eta_cutoff": (0,), "no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1,), "penalty_alpha": (0,), "guidance_scale": (1,),
    "negative_prompt": ("",), "do_sample": (True,), "num_beams": (1,), "ban_eos_token": (False,),
    "format": ("",), "grammar": ("",), "json_schema": ({},), "regex": (), "ebnf": (),
    "custom_token_bans": ("",), "safe_prompt": (False,), "enable_thinking": (False,),
    "custom_logit_processor": (), "lora_path": (), "extra_body": ({},),
}  # fmt: skip

# Names for the same, of which an API has one or two.
_ALIKE: Final = (
    ("max_output_tokens", "max_completion_tokens", "max_tokens", "max_new_tokens",
     "max_tokens_to_sample", "n_predict", "num_predict"),
    ("stop", "stop_sequences"),
    ("repetition_penalty", "repeat_penalty"),
    ("seed", "random_seed"),
    ("messages", "input", "prompt"),
    ("system", "instructions"),
    ("text", "response_format", "output_config", "output_format", "structured_outputs", "format",
     "json_schema", "regex", "grammar", "ebnf"),
)  # fmt: skip


class ReplyForm(SamplingForm):
    """Root of the bodies that ask for a reply."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_foreign(cls, body: Any) -> Any:
        if isinstance(body, dict):
            for name in body.keys() & CHANGES.keys() - cls.model_fields.keys():
                if body[name] is not None and body[name] not in CHANGES[name]:
                    refuse(
                        "{name}: this API has no such parameter: {instead}",
                        name=name, instead=cls._instead(name),
                    )  # fmt: skip
        return body

    @classmethod
    def _instead(cls, name: str) -> str:
        if name == "extra_body":  # which OpenAI's SDK would have taken apart
            return "send what it holds beside the others"
        alike = next((names for names in _ALIKE if name in names), ())
        own = next((each for each in alike if each in cls.model_fields), None)
        return f"send {own}" if own else "leave it out"
