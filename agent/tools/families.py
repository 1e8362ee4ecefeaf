"""Chooses the form of tool calls by how the model's chat template writes one."""

import re
from typing import Final

from agent.tools.format import Format
from agent.tools.hermes import HERMES
from agent.tools.llama import LLAMA
from agent.tools.mistral import MISTRAL, MISTRAL_NAMED
from agent.tools.pythonic import PYTHONIC

FORMATS: Final = (HERMES, LLAMA, MISTRAL, MISTRAL_NAMED, PYTHONIC)

# In order: what Hermes's form is asked for with stands in prompts of other families, too.
_MARKS: Final = (
    (re.compile(r"\[TOOL_CALLS\][^\n]*\[ARGS\]"), MISTRAL_NAMED),
    (re.compile(r"\[TOOL_CALLS\]"), MISTRAL),
    (re.compile(r"<tool_call>\s*[\[{]"), HERMES),
    (re.compile(r"\[\w+\(\w+="), PYTHONIC),
    (re.compile(r'\{"name": "\w+", "parameters": \{'), LLAMA),
)


def format_of(probe: str) -> Format:
    """The form in which a template writes calls.

    probe: what it makes of a conversation with a tool and a call of it; of one that writes no form
        that is known, Hermes's is taken, which most models have seen

    >>> format_of('[find(x="y")]').name, format_of("").name
    ('pythonic', 'hermes')
    """
    return next((form for mark, form in _MARKS if mark.search(probe)), HERMES)
