"""The fixed items that probes score, in the tokens of one base, and how its versions score on them.

Each set is laid out when it is first asked for, and stays: what the layers under the moving ones
make of it is the same for every version (learner.safety.choices).
"""

from collections.abc import Callable, Sequence

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.safety.choices import Choice, Choices, Leads, TokenIds
from streams.model.open import BaseModel
from streams.records import Json, Message


class Sets:
    """The sets of one base. Not shared between threads."""

    def __init__(
        self,
        base: BaseModel,
        *,
        count: int,
        backend: Backend,
        pause: Callable[[], None],
    ) -> None:
        """Lay nothing out yet.

        count: items of each set that are asked, in five phrasings each
        pause: called between pieces of work
        """
        self.base, self.count = base, count
        self._backend, self._pause = backend, pause
        self._laid_out: dict[str, Choices] = {}

    def leads(
        self, name: str, decoder: Decoder, choices: Callable[["Sets"], Sequence[Choice]]
    ) -> Leads:
        """Score a version on one set.

        name: under which the set is remembered; choices: makes it, called once
        """
        if name not in self._laid_out:
            self._laid_out[name] = Choices(
                self.base.decoder, choices(self), backend=self._backend, pause=self._pause
            )
        return self._laid_out[name].leads(decoder)

    def prompt(self, asked: str | Sequence[Message], tools: Sequence[Json] = ()) -> TokenIds:
        """Return a request, or a conversation, up to where the reply begins."""
        messages = [Message(role="user", content=asked)] if isinstance(asked, str) else asked
        return tuple(self.base.render(messages, list(tools) or None))

    def tokens(self, *texts: str) -> tuple[TokenIds, ...]:
        """Return what replies begin with, each as tokens."""
        encode = self.base.tokenizer.encode
        return tuple(tuple(encode(text, add_special_tokens=False)) for text in texts)
