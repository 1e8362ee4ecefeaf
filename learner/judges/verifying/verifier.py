"""Verifies a reply by itself: its tool calls by the tools' schemas, its text by what was asked for.

A call of a tool that there is not, or with arguments that break the tool's schema, is −1; so is
what was meant as a call and is none, which the agent records beside the reply, and a reply that is
not the JSON that its request held it to. A well-formed one is no praise. Where `learner.verifiers`
have an exact answer or a schema for a question, the reply is right or wrong; one that calls tools
is no answer yet, and one that was cut is not known whole. A reply that goes on with a message is
read as one with it; JSON that stands in the reply alone is no fault.

Only the reply is read, and never what tools said.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from learner.judges.judge import Evidence, Judge, KindOfEvidence, Source, judgement_of
from learner.judges.verifying.schema import fault
from learner.options.hearing import Verifier
from learner.settings import LearnerSettings
from streams.records import Json, Judgement, Turn, canonical_json

# A schema is checked by a program, but the client that wrote it may have meant less than it says.
SURE_OF_FAULT: Final = 0.9
MAX_CALLS: Final = 64
# Of a tool's name so much is told; of its arguments nothing, as they are somebody's words.
NAMING_CHARS: Final = 60
# The name comes first: a name behind it may be somebody's, among the arguments.
_CALLED: Final = re.compile(rf'[^"]{{0,100}}"name"\s*:\s*"([\w.:/-]{{1,{NAMING_CHARS}}})"')
# Where the agent writes the schema of a text (agent.constrain.source): on one line of a grammar.
_OF_TEXT: Final = re.compile(r"^text: %json (?=\{)", re.MULTILINE)

Verdict = tuple[Literal[-1, 1], float, str]


class VerifierJudge:
    """Checks what a program can know of a reply."""

    source: Source = "verifier"
    reads: KindOfEvidence = Turn

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        """Take the questions whose answers are known."""
        self._verifiers = verifiers

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return what is sure of the reply, or None."""
        if not isinstance(evidence, Turn):
            return None
        found = call_fault(turn) or held_fault(turn) or self._answered(turn)
        if found is None:
            return None
        score, confidence, told = found
        return judgement_of(
            turn,
            self.source,
            said_by(turn) + told.encode("utf-8", "surrogatepass"),
            score=score,
            confidence=confidence,
            evidence=told,
            created_ms=turn.created_ms,
        )

    def _answered(self, turn: Turn) -> Verdict | None:
        if not _is_whole(turn):
            return None
        for verifier in self._verifiers:
            if verifier.program or not concerns(verifier, turn):
                continue
            if verifier.answer is not None:
                right = is_answer(_texts(turn)[0], verifier.answer)
                if right is None:
                    continue
                told = f"{verifier.name}: {'the' if right else 'not the'} exact answer"
                return (1 if right else -1), 1.0, told
            if verifier.json_schema is not None:
                wrong, *alone = (_text_fault(text, verifier.json_schema) for text in _texts(turn))
                if wrong and not all(alone):
                    continue
                told = f"{verifier.name}: {wrong or 'JSON of its schema'}"
                return (-1 if wrong else 1), 1.0, told
        return None


def open_judge(settings: LearnerSettings) -> Judge:
    """Open it with the verifiers of the settings."""
    return VerifierJudge(settings.verifiers)


def concerns(verifier: Verifier, turn: Turn) -> bool:
    """Return whether the last that the user said has the verifier's words in it."""
    asked = next((m.content for m in reversed(turn.messages) if m.role == "user"), None)
    return plain(verifier.asked) in plain(asked or "")


def said_by(turn: Turn) -> bytes:
    """Return what a verdict on a reply alone rests on."""
    return canonical_json(turn.reply.model_dump(mode="json"))


def plain(text: str) -> str:
    """Return a text in one Unicode form and case, with single spaces.

    >>> plain(" Rome. ")
    'rome.'
    """
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def is_answer(text: str, answer: str) -> bool | None:
    """Tell whether a text is an answer, but for case, spaces and the signs around it.

    None where the answer stands among other words: "it is Rome" is right, "not Rome" is not.

    >>> is_answer("**Rome.**", "Rome"), is_answer("Milan", "Rome"), is_answer("It is Rome.", "Rome")
    (True, False, None)
    """
    said, wanted = plain(text), plain(answer)
    if said == wanted or _bare(said) == _bare(wanted) != "":
        return True
    return None if _bare(wanted) in said else False


def _bare(text: str) -> str:
    """A text without the signs around it; those that a number begins with are its own."""
    return re.sub(r"^[^\w+\-−$€£¥]+|[^\w%°$€£¥]+$", "", text)


def call_fault(turn: Turn) -> Verdict | None:
    """Return the first tool call that cannot be right."""
    calls = (turn.reply.tool_calls or [])[:MAX_CALLS]
    if not calls:
        return _broken_fault(turn)
    schemas = {name: schema for name, schema in map(_tool, turn.tools or []) if name}
    for call in calls:
        made = call.get("function")
        name = made.get("name") if isinstance(made, Mapping) else None
        if not isinstance(made, Mapping) or not isinstance(name, str):
            return -1, SURE_OF_FAULT, "a tool call without a name"
        if name not in schemas:
            return -1, SURE_OF_FAULT, f"calls the tool {name[:NAMING_CHARS]}, which there is not"
        wrong = _text_fault(made.get("arguments"), schemas[name], empty={})
        if wrong:
            return -1, SURE_OF_FAULT, f"calls {name[:NAMING_CHARS]}: {wrong}"
    return None


def _broken_fault(turn: Turn) -> Verdict | None:
    """Return what a whole reply meant as a call, and is none: cut ones nobody knows."""
    if not turn.broken_calls or not _is_whole(turn):
        return None
    name = _CALLED.match(turn.broken_calls[0])
    told = f": {name[1]}" if name else ""
    return -1, SURE_OF_FAULT, f"meant as a call, and none{told}"


def held_fault(turn: Turn) -> Verdict | None:
    """Return what of a whole reply breaks the JSON that its request held it to."""
    held = turn.sampling.constraint
    if held is None or held.kind not in ("json_object", "json_schema"):
        return None
    if not _is_whole(turn):
        return None
    schema = _held_schema(held.text or "")
    wrong = [_text_fault(text, schema) for text in _texts(turn)]
    return (-1, SURE_OF_FAULT, f"the JSON asked for: {wrong[0]}") if all(wrong) else None


def _held_schema(text: str) -> Any:
    """The schema in what a reply was held to, a grammar or bare; any JSON where none is told."""
    found = _OF_TEXT.search(text)
    try:
        return json.JSONDecoder().raw_decode(text, found.end() if found else 0)[0]
    except (ValueError, RecursionError):
        return {}


def _texts(turn: Turn) -> list[str]:
    """The text of a reply: with what it goes on with, if anything, then alone."""
    alone = turn.reply.content or ""
    return [(turn.messages[-1].content or "") + alone, alone] if turn.continues else [alone]


def _is_whole(turn: Turn) -> bool:
    """Whether the reply is all that the model has to say: not cut, and waiting for no tool."""
    return turn.finish_reason == "stop" and not turn.reply.tool_calls


def _tool(tool: Json) -> tuple[str, Any]:
    made = tool.get("function", tool)
    made = made if isinstance(made, Mapping) else {}
    name = made.get("name")
    return name if isinstance(name, str) else "", made.get("parameters", made.get("input_schema"))


def _text_fault(text: Any, schema: Any, *, empty: Any = None) -> str | None:
    if empty is not None and text in (None, ""):
        return fault(empty, schema)
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return "no JSON"
    return fault(value, schema)
