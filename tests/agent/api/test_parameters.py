"""No parameter that OpenAI or vLLM documents is passed over in silence where it matters."""

import json
from typing import Any

import pytest

from agent.api.chat.parameters import IGNORED, REFUSED, UNDERSTOOD
from agent.api.chat.request import ChatRequest, read_chat
from agent.errors import InvalidError

HELLO: dict[str, Any] = {"model": "quickset", "messages": [{"role": "user", "content": "Hello"}]}

# What each of the two documents: OpenAI's API reference ("Create chat completion"), vLLM's
# entrypoints/openai/chat_completion/protocol.py, and the guided_* names that it had before.
OPENAI = """
audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty
prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format
safety_identifier seed
service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user
verbosity web_search_options
"""
VLLM = """
add_generation_prompt add_special_tokens allowed_token_ids bad_words best_of cache_salt
chat_template chat_template_kwargs continue_final_message documents echo guided_choice
guided_decoding_backend guided_grammar guided_json guided_regex guided_whitespace_pattern ignore_eos
include_reasoning include_stop_str_in_output kv_transfer_params length_penalty logits_processors
max_repetition_pattern_size media_io_kwargs min_p min_repetition_pattern_size min_tokens
mm_processor_kwargs priority prompt_logprobs repetition_min_count repetition_penalty request_id
return_token_ids return_tokens_as_token_ids skip_special_tokens spaces_between_special_tokens
stop_token_ids structural_tag structured_outputs thinking_token_budget top_k truncate_prompt_tokens
use_beam_search vllm_xargs
"""


def read(**extra: Any) -> ChatRequest:
    return read_chat(json.dumps(HELLO | extra).encode())


def test_every_documented_parameter_has_its_place() -> None:
    """Each is understood, ignored or refused, and only one of these."""
    places = [*UNDERSTOOD, *IGNORED, *REFUSED]
    assert len(places) == len(set(places))
    assert {*OPENAI.split(), *VLLM.split(), "truncation", "notes"} == set(places)


def test_what_is_understood_is_what_the_form_has() -> None:
    """A field that the form lacks would be ignored; one that the table lacks is not documented."""
    assert set(ChatRequest.model_fields) == UNDERSTOOD


@pytest.mark.parametrize("name", IGNORED)
@pytest.mark.parametrize("value", [None, 3, "x", {"a": [1]}])
def test_what_is_ignored_changes_nothing(name: str, value: Any) -> None:
    """Whatever it says."""
    assert read(**{name: value}) == read()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_had_is_refused_by_name(name: str) -> None:
    """Unless it asks for nothing; the message says why."""
    with pytest.raises(InvalidError) as caught:
        read(**{name: "something"})
    assert caught.value.param == name
    assert REFUSED[name].why in caught.value.message
    for harmless in (None, *REFUSED[name].harmless):
        assert read(**{name: harmless}) == read()
