"""Tells the calls of a reply that is held to them while they are sampled, piece by piece.

Where a grammar allows nothing but calls, valid ones, whatever has come of one can be told at once.
The pieces of arguments, joined, are the object as it was sampled. A call that the reply's end cuts
is told as broken after what was told of it.

Knows nothing of tokens, HTTP or which tools there are.
"""

from agent.tools.calls import Broken, CallBegun, CallEnded, CallGrown, Growing
from agent.tools.finder import CallFinder
from agent.tools.format import Format
from agent.tools.json_object import JsonObject


class HeldCalls:
    """Finds the calls of one reply, in one form, as they grow."""

    def __init__(self, form: Format, begun: str | None = None) -> None:
        """Start with nothing read.

        begun: arguments so far of a call that was begun before; None: none was
        """
        self._form = form
        self._held = ""  # between calls: what may become the head of one
        self._raw = begun or ""  # of the newest call and what stands before it
        self._object: JsonObject | None = None  # the arguments that grow
        self._told = begun is not None  # whether any call was
        if begun is not None:
            self._object = JsonObject(halves=True)
            self._object.take(begun)

    def feed(self, text: str) -> list[Growing]:
        """Take the next piece of the reply, and return what is certain by now, in order."""
        self._held += text
        found: list[Growing] = []
        while self._held:
            if self._object is None and not self._begin(found):
                break
            assert self._object is not None
            size = self._object.take(self._held)
            found += [CallGrown(self._held[:size])] if size else []
            self._raw += self._held[:size]
            self._held = self._held[size:]
            if self._object.broken:  # what cannot be, where the grammar is kept to
                break
            if self._object.ended:
                found.append(CallEnded())
                self._object, self._raw = None, ""
        return found

    def finish(self, *, cut: bool = False) -> list[Growing]:
        """Return what became of what was held back, now that nothing more comes.

        cut: the reply was not ended by the model
        """
        held, self._held = self._raw + self._held, ""
        if self._object is not None:
            return [Broken(held, "cut" if cut else "malformed")]
        if not self._told and cut:
            return [Broken(held, "cut")] if held else []
        if not self._told:  # what cannot be, where the grammar is kept to: read as any other reply
            finder = CallFinder(self._form)
            return [*finder.feed(held), *finder.finish(cut=cut)]
        return []

    def _begin(self, found: list[Growing]) -> bool:
        head = self._form.head.search(self._held)
        if head is None:
            return False
        found.append(CallBegun(self._form.name_in(head)))
        self._raw, self._held = self._held[: head.end()], self._held[head.end() :]
        self._object, self._told = JsonObject(halves=True), True
        return True
