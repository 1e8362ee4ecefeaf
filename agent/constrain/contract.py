"""What constrained sampling is: a source becomes a grammar, which starts a matcher a reply.

A matcher says before each token which tokens may come, and takes the one that did.

Knows nothing of scores, of prompts or of who asks.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.constrain.source import Source


class Matcher(Protocol):
    """How far one reply has come in its grammar."""

    @property
    def ended(self) -> bool:
        """Nothing can follow but the end of the reply."""
        ...

    def mask(self) -> NDArray[np.bool_]:
        """Which tokens may come next: (vocabulary,) bool, at least one.

        raises: LostMaskError when it cannot be had
        """
        ...

    def take(self, token: int) -> None:
        """Go on by a token that the mask allows. Raises: LostMaskError when it does not."""
        ...


class Grammar(Protocol):
    """What a reply is held to; any number of replies may be, each by a matcher of its own."""

    def start(self) -> Matcher:
        """The matcher of an empty reply."""
        ...


class Compiler(Protocol):
    """Makes grammars for one model's vocabulary; its laws are in tests/agent/constrain."""

    def compile(self, source: Source, *, begun: str = "") -> Grammar:
        """Make a grammar. Takes its time, so not in the event loop.

        begun: what each reply has of it already, which it goes on with
        raises: GrammarError, which says what is wrong with the source
        """
        ...

    def nested(self, grammar: str) -> str:
        """A term of a client's own grammar, in either form; its rules are none of the others'.

        raises: GrammarError when it cannot be read
        """
        ...

    def control(self, text: str) -> int | None:
        """The control token of this name, which no other tokens can spell; None: there is none."""
        ...
