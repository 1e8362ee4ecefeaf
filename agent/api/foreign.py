"""Parameters of one API that are sent to another, where nothing would be made of them.

A client that sends `stop` to Responses, or `ignore_eos` to Completions, means the reply to be
another: it is refused by its name, and told the name that this API has for the same. A value that
asks for nothing passes, and so does a name that no API here knows.

Sources: OpenAI's and Anthropic's references; vLLM's vllm/entrypoints/openai/*/protocol.py.
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
    # of servers beside vLLM
    "max_new_tokens": (),
}  # fmt: skip

# Names for the same, of which an API has one or two.
_ALIKE: Final = (
    ("max_output_tokens", "max_completion_tokens", "max_tokens", "max_new_tokens",
     "max_tokens_to_sample"),
    ("stop", "stop_sequences"),
    ("messages", "input", "prompt"),
    ("system", "instructions"),
    ("text", "response_format", "output_config", "output_format", "structured_outputs"),
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
        alike = next((names for names in _ALIKE if name in names), ())
        own = next((each for each in alike if each in cls.model_fields), None)
        return f"send {own}" if own else "leave it out"
