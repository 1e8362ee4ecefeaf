"""What is asked, and by whom: one value, whichever API it came by, and its prompt.

Messages that the chat template cannot render, and a prompt that leaves no room for a reply, are
refused here, with the parameter that is at fault; with truncation, the oldest exchanges are left
out of the prompt instead (agent.turn.truncation).

Knows nothing of HTTP or of the engine.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

from agent.errors import InvalidError
from agent.tools.format import Format
from agent.tools.hermes import HERMES
from agent.tools.served import Made, Served
from agent.turn.held.constraint import Constraint
from agent.turn.held.held import Held
from agent.turn.origin.origin import UNKNOWN, Origin
from agent.turn.origin.sessions import Purpose
from agent.turn.truncation import steps, without
from streams.errors import TemplateRefusedError
from streams.notes import with_notes
from streams.records import Json, Message, Note, Sampling


class Renderer(Protocol):
    """What is needed of the base model (streams.model.open.BaseModel)."""

    @property
    def context_tokens(self) -> int: ...

    @property
    def num_tokens(self) -> int: ...  # of the vocabulary

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Json] | None = None,
        *,
        continues: bool = False,
    ) -> list[int]: ...

    def encode(self, text: str) -> list[int]: ...


Truncation = Literal["auto", "disabled"]

# Exchanges are left out until the reply has the room that it asks for, at most the first of these
# shares of the context: agents ask for more than the whole, and a conversation is worth more than a
# long reply. Where what must stay leaves less than that (an agent's tools fill most of a context),
# the second one: room for a call of a tool, and the rest for what was said.
REPLY_SHARES: Final = (4, 32)


@dataclass(frozen=True, slots=True)
class Cut:
    """What was left out of a prompt: its oldest exchanges.

    messages: how many, of the oldest that are not the system's or the developer's
    tokens: by how many that made the prompt shorter
    """

    messages: int = 0
    tokens: int = 0


WHOLE = Cut()


@dataclass(frozen=True, slots=True)
class Approval:
    """What somebody says of a call that the agent would make. call_id: as in the last reply"""

    call_id: str
    approve: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a request says of one of the agent's own servers of tools.

    only: those of its tools that may be offered; None: all
    approval: those that somebody has to allow, beside those of the settings; None: all
    """

    only: frozenset[str] | None = None
    approval: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for replies: its principal, its conversation, and what is asked."""

    principal: str
    session: str
    line: str
    model: str  # what was asked for, by the client's name of it
    purpose: Purpose
    learn: bool  # False: the client asked not to be learned from
    messages: list[Message]
    tools: list[Json] | None  # what the model is shown; None: no tools, and none are looked for
    parallel_calls: bool  # False: of a reply's tool calls the first one counts
    samplings: tuple[Sampling, ...]  # one a choice
    wanted: str = ""  # a version by its name, or agent.turn.assign.STABLE; empty: what is assigned
    constraint: Constraint | None = None  # what the reply must keep to
    named: str = "messages"  # the client's parameter of the conversation, for refusals
    raw: str | list[int] | None = None  # a prompt that is read as it stands, without the template
    top_logprobs: int = 0  # how many of the likeliest tokens to tell beside each sampled one
    continues: bool = False  # True: the reply goes on with the last message, the assistant's
    truncation: Truncation = "disabled"  # auto: leave out the oldest exchanges when all do not fit
    follows: str | None = None  # the turn that the client named as the one before
    origin: Origin = UNKNOWN
    wants_notes: bool = True  # False: the client wants none in this prompt
    notes: tuple[Note, ...] = ()  # standing wishes that are in the prompt (agent.notes.notes)
    serves: bool = False  # whether tools that the agent calls itself may be offered
    served: Mapping[str, Served] = field(default_factory=dict)  # those that are, among `tools`
    most_calls: int | None = None  # of such tools; None: as many as the settings let be made
    chosen: Mapping[str, Chosen] = field(default_factory=dict)  # by server; others: all, as set
    can_ask: frozenset[str] = frozenset()  # servers for whose calls approval can be asked for
    approvals: tuple[Approval, ...] = ()  # what was said of calls that the last reply wants made
    made: tuple[Made, ...] = ()  # the calls that were made of those, before the first token
    left_s: float | None = None  # for calls of its own tools, after those; None: no time was used
    inner: tuple[int, ...] = ()  # places of messages that the client has not sent: calls, results
    said: str = ""  # what the client was told before, in steps of the same response
    writes: Format = HERMES  # how the model writes calls of tools
    prompt_token_ids: list[int] = field(default_factory=list)  # empty until it is rendered
    held: Held | None = None  # the constraint, compiled; None: there is none, or it is not yet
    cut: Cut = WHOLE  # what the prompt lacks


def render(ask: Ask, base: Renderer, *, context_tokens: int) -> Ask:
    """Return the ask with its prompt, and no reply longer than the room that the prompt leaves.

    context_tokens: how many fit, prompt and reply together
    raises: InvalidError, naming the parameter
    """
    _prove_biases(ask, base)
    prompt_token_ids, cut = _prompt(ask, base, ask.messages), WHOLE
    if ask.truncation == "auto" and ask.raw is None:
        prompt_token_ids, cut = _cut(ask, base, prompt_token_ids, context_tokens)
    room = context_tokens - len(prompt_token_ids)
    if room < 1:
        raise InvalidError(
            f"{ask.named} has {len(prompt_token_ids)} tokens, and {context_tokens} fit, reply "
            f"included: {_shorter(ask)}",
            param=ask.named,
            code="context_length_exceeded",
        )
    # A reply that is cut at the end of the context says so itself: finish_reason "length".
    samplings = tuple(
        each if each.max_tokens <= room else each.model_copy(update={"max_tokens": room})
        for each in ask.samplings
    )
    return replace(ask, prompt_token_ids=prompt_token_ids, samplings=samplings, cut=cut)


def held_to(ask: Ask, held: Held) -> Ask:
    """Return the ask with what its replies are held to, which is told with their sampling."""
    told = {"constraint": held.told}
    samplings = tuple(each.model_copy(update=told) for each in ask.samplings)
    return replace(ask, held=held, samplings=samplings)


def count(ask: Ask, base: Renderer) -> int:
    """How many tokens the prompt of an ask has, whether it fits or not.

    raises: InvalidError, naming the parameter
    """
    return len(_prompt(ask, base, ask.messages))


def _cut(ask: Ask, base: Renderer, whole: list[int], context_tokens: int) -> tuple[list[int], Cut]:
    """Leave out as few of the oldest exchanges as leave room for the reply, or all that can be.

    whole: the prompt of all messages
    """
    wanted, last = max(each.max_tokens for each in ask.samplings), steps(ask.messages)
    ample, scant = (context_tokens - min(wanted, context_tokens // n) for n in REPLY_SHARES)
    if len(whole) <= ample or not last:
        return whole, WHOLE
    prompts: dict[int, list[int]] = {0: whole}

    def without_oldest(number: int) -> list[int]:
        if number not in prompts:
            prompts[number] = _prompt(ask, base, without(ask.messages, number))
        return prompts[number]

    most = ample if len(without_oldest(last)) <= ample else scant
    # the more is left out, the shorter the prompt: few need to be rendered to find the longest
    number = bisect_left(range(last), -most, key=lambda some: -len(without_oldest(some)))
    left, prompt = without(ask.messages, number), without_oldest(number)
    return prompt, Cut(len(ask.messages) - len(left), len(whole) - len(prompt))


def _prompt(ask: Ask, base: Renderer, messages: Sequence[Message]) -> list[int]:
    if ask.raw is not None:
        return _read(ask.raw, base)
    try:
        noted = with_notes(messages, [note.text for note in ask.notes])
        return base.render(noted, ask.tools, continues=ask.continues)
    except TemplateRefusedError as cause:  # such as "roles must alternate"
        raise InvalidError(str(cause), param=ask.named) from cause


def _shorter(ask: Ask) -> str:
    """What makes room in a prompt that does not fit."""
    if ask.raw is not None:
        return "shorten it"
    if ask.truncation == "auto":
        return (
            "the oldest exchanges are left out already, so shorten the last message, what the "
            "system says, or the tools"
        )
    return "shorten it, leave out the oldest, or ask for truncation auto"


def _prove_biases(ask: Ask, base: Renderer) -> None:
    biased = {token for sampling in ask.samplings for token in sampling.logit_bias}
    if biased and max(biased) >= base.num_tokens:
        raise InvalidError(
            f"logit_bias: there is no token {max(biased)}: the model has {base.num_tokens}",
            param="logit_bias",
            code="invalid_value",
        )


def _read(raw: str | list[int], base: Renderer) -> list[int]:
    token_ids = base.encode(raw) if isinstance(raw, str) else raw
    if not token_ids:
        raise InvalidError("prompt: it has no token", param="prompt", code="invalid_value")
    if not 0 <= min(token_ids) <= max(token_ids) < base.num_tokens:
        raise InvalidError(
            f"prompt: token ids are 0 to {base.num_tokens - 1}",
            param="prompt",
            code="invalid_value",
        )
    return token_ids
