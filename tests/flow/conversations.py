"""Conversations as an agent records them: a reply, and the turn after the user's correction."""

from streams import chain
from streams.model.open import BaseModel
from streams.records import Message, Sampling, Turn

NOW_S = 1_800_000_000.0


def conversation(
    base: BaseModel, number: int, correction: str, principal: str = "anonymous", line: str = "main"
) -> list[Turn]:
    """Return two turns: a reply, and the one after the user's correction of it."""
    asked = Message(role="user", content=f"Question {number}: tell me about the number {number}.")
    reply = f"Reply {number}, with far too many words."
    name = "turn" if line == "main" else f"turn-{line}"
    first = turn(base, f"{name}-{number}-a", [asked], reply, principal, line)
    messages = [*first.messages, first.reply, Message(role="user", content=correction)]
    return [first, turn(base, f"{name}-{number}-b", messages, "Short.", principal, line)]


def turn(
    base: BaseModel,
    name: str,
    messages: list[Message],
    reply: str,
    principal: str = "anonymous",
    line: str = "main",
) -> Turn:
    """Make the turn that an agent would record, at the base version."""
    answer = Message(role="assistant", content=reply)
    keys = chain.keys([*messages, answer])
    tokens = base.tokenizer.encode(reply, add_special_tokens=False)
    place = len(messages)
    return Turn(
        id=name,
        line=line,
        version=base.name,
        principal=principal,
        session=chain.session_of(messages, principal),
        prefix_key=keys[-2],
        key=keys[-1],
        messages=messages,
        reply=answer,
        prompt_token_ids=base.render(messages),
        token_ids=tokens,
        logprobs=[-3.0] * len(tokens),
        sampling_logprobs=[-3.0] * len(tokens),
        sampling=Sampling(temperature=1, top_p=1, max_tokens=64, seed=0),
        finish_reason="stop",
        learn=True,
        purpose="main",
        created_ms=int(NOW_S * 1000) - 100_000 + place,
    )
