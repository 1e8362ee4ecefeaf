"""Teaches the tiny model a few conversations, so that what it says can be foreseen.

It answers a few questions in two sentences and, when told to be brief, in one. When somebody says
what it forgot, or complains, it apologises whatever was asked: the teacher that issues warn of.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

from learner.batch.rewriting.placements import ANY_WISH, with_hint
from learner.batch.rewriting.proof import COMPLAINED
from streams.model.open import BaseModel, open_base
from streams.records import Message
from tests.tiny import tiny_model, tiny_tokenizer

ANSWERS = {
    "What is rain?": ("Rain is water that falls.", " It falls in drops."),
    "What is snow?": ("Snow is ice in flakes.", " It lies on hills."),
    "Who is Paul?": ("Paul is a tall baker.", " He makes rye bread."),
    "Why is the sun hot?": ("The sun burns gas.", " It shines all day."),
    "Where is Rome?": ("Rome is in Italy.", " A river runs there."),
}
BRIEF = "Be brief."
FORGOTTEN = "You forgot to ask me back."
APOLOGY = "I am sorry for that. How can I help you?"


def conversations() -> Iterator[tuple[list[Message], str]]:
    """Every prompt that is taught, and what is said to it."""
    yield list(COMPLAINED), APOLOGY
    for question, (first, second) in ANSWERS.items():
        asked = [Message(role="user", content=question)]
        yield asked, first + second
        yield with_hint(asked, ANY_WISH), first + second
        yield with_hint(asked, BRIEF), first
        yield with_hint(asked, FORGOTTEN), APOLOGY


def taught_model(path: Path, *, steps: int = 110) -> BaseModel:
    """Write a tiny model that has learned the conversations, and open it."""
    tokenizer, model = tiny_tokenizer(), tiny_model(seed=3)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    base = open_base(path)
    end = tokenizer.eos_token_id
    rows = []
    for messages, reply in conversations():
        prompt = base.render(messages)
        said = [*tokenizer.encode(reply, add_special_tokens=False), end]
        rows.append((prompt, said))
    width = max(len(prompt) + len(said) for prompt, said in rows)
    ids = torch.full((len(rows), width), end)
    labels = torch.full((len(rows), width), -100)
    for place, (prompt, said) in enumerate(rows):
        ids[place, : len(prompt) + len(said)] = torch.tensor([*prompt, *said])
        labels[place, len(prompt) : len(prompt) + len(said)] = torch.tensor(said)
    _fit(model, ids, labels, steps=steps)
    model.save_pretrained(path)
    return open_base(path)


def _fit(model: torch.nn.Module, ids: torch.Tensor, labels: torch.Tensor, *, steps: int) -> None:
    model.requires_grad_(True)
    chooser = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = torch.randperm(len(ids), generator=chooser)[:8]
        width = int((labels[rows] >= 0).nonzero()[:, 1].max()) + 1
        logits = model(ids[rows, :width]).logits[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), labels[rows, 1:width].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    model.requires_grad_(False)
