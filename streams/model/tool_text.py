"""Rewrites tools, calls and results as text, for chat templates that know only roles and content.

The form is the `<tool_call>` convention of Hermes. Knows nothing of tokens.
"""

import json
from collections.abc import Sequence
from itertools import groupby

from streams.records import Json

_TOOLS = """\
You may call one or more functions to assist with the user's request. The functions, as JSON \
schemas within <tools></tools>:
<tools>
{tools}
</tools>
To call a function, return a JSON object with its name and arguments within <tool_call></tool_call>:
<tool_call>
{{"name": "<function-name>", "arguments": <arguments-json-object>}}
</tool_call>"""


def fold_tools(messages: Sequence[Json], tools: Sequence[Json] | None) -> list[Json]:
    """Rewrite tools, calls and results as text.

    Calls become `<tool_call>` JSON of the assistant, results a user's `<tool_response>` (parallel
    ones in one message, since many templates want the roles to alternate), tools a part of the
    system message.

    >>> fold_tools([{"role": "tool", "content": "4"}, {"role": "tool", "content": "5"}], None)[0]
    ... # doctest: +NORMALIZE_WHITESPACE
    {'role': 'user', 'content':
     '<tool_response>\\n4\\n</tool_response>\\n<tool_response>\\n5\\n</tool_response>'}
    """
    folded: list[Json] = []
    # a run at once: to add to a text again and again copies it each time
    for are_results, run in groupby(messages, key=lambda message: message["role"] == "tool"):
        if are_results:
            results = (f"<tool_response>\n{each['content']}\n</tool_response>" for each in run)
            folded.append({"role": "user", "content": "\n".join(results)})
        else:
            folded += map(_folded, run)
    if tools:
        offer = _TOOLS.format(tools="\n".join(json.dumps(t, ensure_ascii=False) for t in tools))
        if folded and folded[0]["role"] == "system":
            folded[0]["content"] += "\n\n" + offer
        else:
            folded.insert(0, {"role": "system", "content": offer})
    return folded


def fold_system(messages: Sequence[Json]) -> list[Json]:
    """Put what the system says in front of the user's next message, for templates without system.

    >>> fold_system([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
    [{'role': 'user', 'content': 'Be brief.\\n\\nHi'}]
    """
    folded: list[Json] = []
    said: list[str] = []
    for message in messages:
        if message["role"] == "system":
            said.append(message["content"])
            continue
        if said and message["role"] == "user":
            message = {**message, "content": "\n\n".join([*said, message["content"]])}
            said = []
        folded.append(message)
    if said:  # nothing of the user's follows
        folded.append({"role": "user", "content": "\n\n".join(said)})
    return folded


def _folded(message: Json) -> Json:
    calls = map(_folded_call, message.get("tool_calls", []))
    content = "\n".join(filter(None, [message["content"], *calls]))
    return {"role": message["role"], "content": content}


def _folded_call(call: Json) -> str:
    function = call["function"]
    body = {"name": function.get("name"), "arguments": function.get("arguments")}
    return f"<tool_call>\n{json.dumps(body, ensure_ascii=False)}\n</tool_call>"
