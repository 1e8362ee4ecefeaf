"""What the tokens of a reply must keep to, whichever API asked for it.

Knows nothing of tokens, masks or any API's JSON.
"""

from dataclasses import dataclass, field
from typing import Literal

from streams.records import Json

# As in the record of a turn (streams.turn.Constraint).
TextKind = Literal["json_object", "json_schema", "regex", "choice", "grammar"]


@dataclass(frozen=True, slots=True)
class TextForm:
    """The form of a reply's text.

    body: a JSON schema, a regular expression, a grammar in Lark's or EBNF form, or the texts of
        which one is to be chosen; None for any JSON object
    loose: keywords of the schema that cannot be kept to are passed over, as the client allowed;
        otherwise they are refused
    named: what else the client says of a schema: its name, its description
    """

    kind: TextKind
    body: Json | str | tuple[str, ...] | None = None
    loose: bool = False
    named: Json | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a reply must keep to.

    param: the client's parameter that asks for it
    text: the form of the text; None: any
    calls: names of tools of which one must be called or, where a text has a form, may be called in
        its place; empty: none has to be
    loose: names of those whose schemas the client allowed to be kept to loosely, as in TextForm
    """

    param: str
    text: TextForm | None = None
    calls: tuple[str, ...] = ()
    loose: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether any end but its own makes the reply none of these: stop strings end nothing.

        A regular expression or a grammar may leave it to a stop string where the text ends.
        """
        return self.text is None or self.text.kind not in ("regex", "grammar")

    def __str__(self) -> str:
        """What is asked, in words.

        >>> str(Constraint("tool_choice", calls=("f", "g")))
        'a reply that must call f or g'
        """
        if self.text is None:
            return f"a reply that must call {' or '.join(self.calls)}"
        return f"a reply that must be {_WORDS[self.text.kind]}"


_WORDS: dict[TextKind, str] = {
    "json_object": "a JSON object",
    "json_schema": "JSON of a schema",
    "regex": "what a regular expression matches",
    "choice": "one of some texts",
    "grammar": "of a grammar",
}
