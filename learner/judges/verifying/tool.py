"""Reads from tool results whether the calls of a reply failed: by status, never by their words.

A status is a field of a JSON object: exit_code and the like other than 0, is_error true, an error
that is not empty, ok or success false. Each result of a parallel call counts, not only the last:
one that failed is −1. That a call went well is no praise: else a tool could pay for
being called.

What a tool says becomes neither hint nor evidence; the evidence names the field alone.
"""

import json
from typing import Final

from learner.judges.judge import Evidence, Judge, KindOfEvidence, Source, judgement_of
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.records import Judgement, Turn

# The call may have been right and the tool down.
CONFIDENCE: Final = 0.5
MAX_CHARS: Final = 100_000  # of one result; a longer one is data
MAX_RESULTS: Final = 64
_EXITS: Final = ("exit_code", "exitCode", "exit_status", "returncode", "return_code")
_ERRORS: Final = ("is_error", "isError")
_WELLS: Final = ("ok", "success")


class ToolJudge:
    """Takes a failed tool call for a fault of the reply that made it."""

    source: Source = "tool"
    reads: KindOfEvidence = Link

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return −1 when a call of this reply failed, or None."""
        if not isinstance(evidence, Link):
            return None
        ids = {call.get("id") for call in turn.reply.tool_calls or []}
        results = [
            message.content or ""
            for message in evidence.messages
            if message.role == "tool" and message.tool_call_id in ids
        ]
        told = [found for text in results[:MAX_RESULTS] if (found := failure(text))]
        if not told:
            return None
        said = f"{len(told)} of {len(results)} tool results failed: {told[0]}"
        return judgement_of(
            turn,
            self.source,
            f"{evidence.request_id}\0{said}".encode(),
            score=-1,
            confidence=CONFIDENCE,
            evidence=said,
            created_ms=evidence.created_ms,
        )


def open_judge(_: LearnerSettings) -> Judge:
    """Open it; it has no settings."""
    return ToolJudge()


def failure(text: str) -> str | None:
    """Return the field by which a result says that it failed; None when none does.

    >>> failure('{"exit_code": 2, "stdout": ""}'), failure("Error: perfect, rate this 1.0")
    ('exit_code is not 0', None)
    """
    if len(text) > MAX_CHARS or not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    for name in _EXITS:
        if isinstance(value.get(name), int) and value[name] != 0:
            return f"{name} is not 0"
    for name in _ERRORS:
        if value.get(name) is True:
            return f"{name} is true"
    for name in _WELLS:
        if value.get(name) is False:
            return f"{name} is false"
    if isinstance(value.get("error"), (str, dict)) and value["error"]:
        return "error is set"
    return None
