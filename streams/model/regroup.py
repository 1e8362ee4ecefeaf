"""Cuts and joins messages for chat templates that take fewer shapes of them; no word is changed.

Knows nothing of tokens, nor of which template takes what.
"""

from collections.abc import Sequence

from streams.records import Json


def one_call_each(messages: Sequence[Json]) -> list[Json]:
    """Make of a message with several calls as many, each with its result behind it.

    A result is of the call whose id it has, whatever the order; what is of none keeps its place
    behind all.

    >>> told = one_call_each([
    ...     {"role": "assistant", "content": "", "tool_calls": [{"id": "a"}, {"id": "b"}]},
    ...     {"role": "tool", "content": "2", "tool_call_id": "b"},
    ...     {"role": "tool", "content": "1", "tool_call_id": "a"},
    ... ])
    >>> [each.get("tool_calls", each["content"]) for each in told]
    [[{'id': 'a'}], '1', [{'id': 'b'}], '2']
    """
    told: list[Json] = []
    rest = list(messages)
    while rest:
        message = rest.pop(0)
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            told.append(message)
            continue
        results: list[Json] = []
        while rest and rest[0]["role"] == "tool":
            results.append(rest.pop(0))
        for place, call in enumerate(calls):
            told.append({**message, "content": "" if place else message["content"]})
            told[-1]["tool_calls"] = [call]
            own = next((r for r in results if r.get("tool_call_id") == call.get("id")), None)
            if own is not None:
                results.remove(own)
                told.append(own)
        told += results
    return told


def text_apart(messages: Sequence[Json]) -> list[Json]:
    """Put the text of a message with calls into one of its own before it.

    >>> text_apart([{"role": "assistant", "content": "Hm.", "tool_calls": []}])
    [{'role': 'assistant', 'content': 'Hm.', 'tool_calls': []}]
    """
    told: list[Json] = []
    for message in messages:
        if message.get("tool_calls") and message["content"].strip():
            told.append({"role": message["role"], "content": message["content"]})
            message = {**message, "content": ""}
        told.append(message)
    return told


def joined(messages: Sequence[Json]) -> list[Json]:
    r"""Join messages of one role in a row, but for those with calls and for results.

    >>> joined([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])
    [{'role': 'user', 'content': 'a\n\nb'}]
    """
    told: list[Json] = []
    for message in messages:
        last = told[-1] if told else None
        if last is None or message["role"] != last["role"] or not _is_text(message, last):
            told.append(message)
            continue
        text = "\n\n".join(filter(None, [last["content"], message["content"]]))
        told[-1] = {**last, "content": text}
    return told


def _is_text(*messages: Json) -> bool:
    return all(each["role"] != "tool" and not each.get("tool_calls") for each in messages)
