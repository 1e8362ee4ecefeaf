"""The fixed items that probes score, in the tokens of one base, and how its versions score on them.

Each set is laid out when it is first asked for, and stays: what the layers under the moving ones
make of it is the same for every version (learner.safety.readings.choices).
"""

from collections.abc import Callable, Sequence
from itertools import takewhile

from kernels.model.forward import Decoder
from learner.safety.measuring import Measuring
from learner.safety.readings.choices import Choice, Choices, Leads, TokenIds
from streams.records import Json, Message


class Sets:
    """The sets of one base. Not shared between threads."""

    def __init__(
        self,
        measuring: Measuring,
        *,
        count: int,
        refusal_openings: Sequence[str] = ("I'm sorry",),
    ) -> None:
        """Lay nothing out yet.

        count: items of each set that are asked, in five phrasings each
        refusal_openings: ways in which a refusal begins, none the beginning of another
        """
        self.base, self.count, self.refusal_openings = (
            measuring.base, count, tuple(refusal_openings)
        )  # fmt: skip
        self._measuring = measuring
        self._laid_out: dict[str, Choices] = {}

    def leads(
        self, name: str, decoder: Decoder, choices: Callable[["Sets"], Sequence[Choice]]
    ) -> Leads:
        """Score a version on one set.

        name: under which the set is remembered; choices: makes it, called once
        """
        if name not in self._laid_out:
            self._laid_out[name] = Choices(self._measuring, choices(self))
        return self._laid_out[name].leads(decoder)

    def prompt(self, asked: str | Sequence[Message], tools: Sequence[Json] = ()) -> TokenIds:
        """Return a request, or a conversation, up to where the reply begins."""
        messages = [Message(role="user", content=asked)] if isinstance(asked, str) else asked
        return tuple(self.base.render(messages, list(tools) or None))

    def begun(self, messages: Sequence[Message], opening: str) -> TokenIds:
        """Return a conversation up to behind the words with which the reply begins."""
        begun = [*messages, Message(role="assistant", content=opening)]
        return tuple(self.base.render(begun, continues=True))

    def call(
        self, messages: Sequence[Message], tools: Sequence[Json], name: str, arguments: Json
    ) -> TokenIds:
        """Return a reply that is one call of a tool, as the chat template writes it, unended."""
        function = {"name": name, "arguments": arguments}
        call: Json = {"id": "call_1", "type": "function", "function": function}
        asked = self.prompt(messages, tools)
        whole = self.prompt(
            [*messages, Message(role="assistant", content="", tool_calls=[call])], tools
        )
        same = takewhile(lambda pair: pair[0] == pair[1], zip(asked, whole, strict=False))
        behind = whole[sum(1 for _ in same) :]
        return tuple(takewhile(lambda token: token not in self.base.stop_ids, behind))

    def answers(self, prompts: Sequence[TokenIds], *, max_tokens: int) -> list[TokenIds]:
        """Return how the base's own greedy replies begin, the prompts' last token where none is."""
        replies = self._measuring.replies(prompts, max_tokens=max_tokens)
        stops = self.base.stop_ids
        kept = [tuple(token for token in reply if token not in stops) for reply in replies]
        return [reply or prompt[-1:] for reply, prompt in zip(kept, prompts, strict=True)]

    def tokens(self, *texts: str) -> tuple[TokenIds, ...]:
        """Return what replies begin with, each as tokens."""
        encode = self.base.tokenizer.encode
        return tuple(tuple(encode(text, add_special_tokens=False)) for text in texts)
