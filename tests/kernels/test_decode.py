"""Greedy decoding: equal to the model's own, whatever shares the batch."""

import pytest
import torch

from kernels.decode import greedy
from streams.base_model import BaseModel

PROMPTS = [[5, 9, 17, 40], [7], [3, 3, 8, 2, 11, 90, 14]]


def own_greedy(base: BaseModel, prompt: list[int], max_tokens: int) -> list[int]:
    """Continue a prompt with the transformers model alone, without any cache."""
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(max_tokens):
            logits = base.model(torch.tensor([ids])).logits[0, -1]
            ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


def test_equals_the_models_own_greedy(tiny_base: BaseModel) -> None:
    """A padded batch continues each prompt as the model alone would."""
    replies = greedy(tiny_base.decoder, PROMPTS, max_tokens=9, stop_ids=())
    assert replies == [own_greedy(tiny_base, prompt, 9) for prompt in PROMPTS]


def test_a_reply_ends_with_its_stop_token(tiny_base: BaseModel) -> None:
    """Decoding stops at the first stop token, which the reply keeps; the others run on."""
    free = greedy(tiny_base.decoder, PROMPTS, max_tokens=9, stop_ids=())
    stop = free[0][2]
    replies = greedy(tiny_base.decoder, PROMPTS, max_tokens=9, stop_ids={stop})
    for reply, whole in zip(replies, free, strict=True):
        end = whole.index(stop) + 1 if stop in whole else len(whole)
        assert reply == whole[:end]


def test_an_empty_prompt_is_refused(tiny_base: BaseModel) -> None:
    """A prompt without tokens has no next token."""
    with pytest.raises(ValueError, match="without tokens"):
        greedy(tiny_base.decoder, [[1], []], max_tokens=1, stop_ids=())


def test_no_prompts_give_no_replies(tiny_base: BaseModel) -> None:
    """An empty batch is answered by an empty list."""
    assert greedy(tiny_base.decoder, [], max_tokens=4, stop_ids=()) == []
