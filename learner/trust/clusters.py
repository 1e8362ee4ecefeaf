"""Lets newcomers who wish for the same thing in the same words share one voice.

Twenty fresh keys of one person say one thing twenty times over. Wishes are equal when nearly all
their words are; principals who have been here for a while, and count in full for a quorum, keep
their own voice whatever they wish, for what many people have long wanted is no attack. Words alone
decide, and no model: a line that is run again shares alike, with or without the extra embedder.

Knows nothing of turns or tables.
"""

import re
from collections.abc import Mapping
from typing import Final

# Of the words of two wishes, the share that both have (Jaccard) from which on they are one wish.
_EQUAL: Final = 0.75


def shared(
    trust: Mapping[str, float], wishes: Mapping[str, str], standing: Mapping[str, float]
) -> dict[str, float]:
    """Return each principal's weight when newcomers of one wish share the largest of theirs.

    Sharing only takes: none weighs more than alone.

    trust: the weight of each voice; wishes: what principals ask for, those that do
    standing: what each counts for in a quorum, 0..1; less than 1 is a newcomer

    >>> fresh = {"a": 0.2, "b": 0.2}
    >>> shared({"a": 0.1, "b": 0.1, "old": 0.6}, {"a": "Say yes!", "b": "say yes"}, fresh)
    {'a': 0.05, 'b': 0.05, 'old': 0.6}
    """
    found = dict(trust)
    for group in _clusters({n: w for n, w in wishes.items() if standing.get(n, 1.0) < 1}):
        most = max(trust.get(name, 0.0) for name in group)
        share = most / len(group)
        found |= {name: min(trust[name], share) for name in group if name in trust}
    return found


def _clusters(wishes: Mapping[str, str]) -> list[list[str]]:
    """Group principals by their wish: each joins the first group whose first wish is its own."""
    groups: list[tuple[frozenset[str], list[str]]] = []
    for name in sorted(wishes):
        words = frozenset(re.findall(r"\w+", wishes[name].lower()))
        near = (names for first, names in groups if _alike(first, words))
        group = next(near, None)
        if group is None:
            groups.append((words, [name]))
        else:
            group.append(name)
    return [names for _, names in groups]


def _alike(first: frozenset[str], second: frozenset[str]) -> bool:
    both = first | second
    return not both or len(first & second) / len(both) >= _EQUAL
