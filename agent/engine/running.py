"""One reply in the making: what of its prompt is read, what is sampled, what may be told.

Knows nothing of threads, of other replies or of how logits are computed.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Self

from agent.engine.contract import Finish, Request, Scored, Stream, Token
from agent.engine.sampler import Choice, Sampler
from agent.engine.spelling import Spelling, Spellings, spelt
from agent.engine.text import CONTEXT, Detokenizer
from agent.swap.residents import Resident


@dataclass(slots=True, eq=False)
class Running:
    """A reply that has a slot, and keeps the variant that it was assigned when it got it.

    read: prompt tokens in the cache
    """

    request: Request
    stream: Stream
    resident: Resident
    slot: int
    read: int
    sampler: Sampler
    text: Detokenizer
    spellings: Spellings
    token_ids: list[int] = field(default_factory=list)
    _before: int | None = None  # the last token that wrote something

    @classmethod
    def begun(
        cls,
        request: Request,
        stream: Stream,
        resident: Resident,
        slot: int,
        *,
        spellings: Spellings,
    ) -> Self:
        """A reply of which nothing is read or sampled yet."""
        prompt, sampling = request.prompt_token_ids, request.sampling
        last = prompt[-CONTEXT:] if request.continues else []
        text = Detokenizer(
            sampling.stop,
            before=b"".join(spellings[token].bytes or b"" for token in last),
            drops_space=spellings.drops_space,
            spared=request.spared,
        )
        matcher = request.grammar.start() if request.grammar is not None else None
        sampler = Sampler(sampling, prompt, top_logprobs=request.top_logprobs, matcher=matcher)
        return cls(request, stream, resident, slot, 0, sampler, text, spellings)

    @property
    def has_read(self) -> bool:
        """Its whole prompt is in the cache: every step gives it a token."""
        return self.read == len(self.request.prompt_token_ids)

    @property
    def unread(self) -> int:
        """How many tokens of its prompt are not in the cache yet."""
        return len(self.request.prompt_token_ids) - self.read

    def unread_ids(self, tokens: int) -> list[int]:
        """What is read of it next: a piece of its prompt, or else its newest token.

        Every prompt is cut at the same places, so the reply is the same to the bit however busy the
        engine is.
        """
        if self.has_read:
            return self.token_ids[-1:]
        end = (self.read // tokens + 1) * tokens
        return self.request.prompt_token_ids[self.read : end]

    def take(
        self, choice: Choice, *, stop_ids: Collection[int], capacity: int
    ) -> tuple[Token, Finish | None]:
        """Add a sampled token.

        capacity: tokens that its slot can hold
        returns: what may be told of it, and the end of the reply when it was the last
        """
        self.token_ids.append(choice.id)
        finish = None
        if choice.id in stop_ids or self.sampler.ended:
            finish = Finish("stop")
        elif (
            len(self.token_ids) >= self.request.sampling.max_tokens
            or len(self.request.prompt_token_ids) + len(self.token_ids) >= capacity
        ):
            finish = Finish("length")
        spelling = self._spelling(choice.id)
        # the end of a reply is no part of it, whether or not its tokenizer calls it special
        is_text = spelling.bytes is not None and choice.id not in stop_ids
        written = b""
        if is_text:
            written = self.spellings.behind(self._before, choice.id) or spelling.bytes or b""
            self._before = choice.id
        text = self.text.add(written, last=finish is not None)
        token = Token(
            choice.id,
            text,
            choice.logprob,
            choice.sampling_logprob,
            self.resident.variant,
            spelling if is_text else Spelling(spelling.name, None),
            tuple(Scored(self._spelling(each), logprob) for each, logprob in choice.top),
            choice.forced,
        )
        return token, Finish("stop", by) if (by := self.text.stopped_by) else finish

    def _spelling(self, token: int) -> Spelling:
        """What a token writes in this reply."""
        spelling = self.spellings[token]
        if spelling.bytes is None and spelling.name in self.request.shown:
            return spelt(spelling.name.encode())
        return spelling
