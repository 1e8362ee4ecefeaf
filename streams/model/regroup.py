"""Cuts and joins messages for chat templates that take fewer shapes of them; no word is changed.

Knows nothing of tokens, nor of which template takes what.
"""

from collections import deque
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
    rest = deque(messages)
    while rest:
        message = rest.popleft()
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            told.append(message)
            continue
        results: list[Json] = []
        while rest and rest[0]["role"] == "tool":
            results.append(rest.popleft())
        told += _each_with_its_result(message, calls, results)
    return told


def _each_with_its_result(
    message: Json, calls: Sequence[Json], results: Sequence[Json]
) -> list[Json]:
    told: list[Json] = []
    places: dict[str, deque[int]] = {}  # of the results that are left, by their call's id
    for place, result in enumerate(results):
        places.setdefault(result.get("tool_call_id", ""), deque()).append(place)
    for number, call in enumerate(calls):
        told.append({**message, "content": "" if number else message["content"]})
        told[-1]["tool_calls"] = [call]
        id = call.get("id")
        if own := places.get(id) if isinstance(id, str) else None:
            told.append(results[own.popleft()])
    left = sorted(place for some in places.values() for place in some)
    return [*told, *(results[place] for place in left)]


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
    runs: list[list[Json]] = []
    for message in messages:
        last = runs[-1][-1] if runs else None
        if last is None or message["role"] != last["role"] or not _is_text(message, last):
            runs.append([])
        runs[-1].append(message)
    return [_one_of(run) for run in runs]


def _one_of(run: Sequence[Json]) -> Json:
    return {**run[0], "content": "\n\n".join(filter(None, (each["content"] for each in run)))}


def _is_text(*messages: Json) -> bool:
    return all(each["role"] != "tool" and not each.get("tool_calls") for each in messages)
