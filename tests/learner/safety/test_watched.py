"""What is watched of versions: the same every time, and kept of every n-th one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sqlmodel import Session, select

from agent.watch.watched import families
from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from learner.idle.watching import Watching
from learner.safety.measuring import Measuring
from learner.safety.watched import REFUSAL, TEXT, Watch, watch_alone
from streams.model.open import BaseModel
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import WatchedRow


@pytest.fixture(scope="module")
def watch(tiny_base: BaseModel) -> Watch:
    """A small watch of the tiny model."""
    from kernels.open import open_backend

    measuring = Measuring(tiny_base, open_backend("cpu"), lambda: None)
    return watch_alone(measuring, items=2, gate_prompts=2)


def moved(base: BaseModel) -> Decoder:
    """Return a version whose last block is worn down."""
    name = f"model.layers.{base.decoder.num_layers - 1}.mlp.down_proj.weight"
    draw = torch.Generator().manual_seed(1)
    weight = base.model.layer(name).plain()
    noise = torch.randn(weight.shape, generator=draw) * weight.std() * 5
    return Decoder(with_weights(base.model, {name: weight + noise}))


def test_a_version_is_measured_alike_every_time(watch: Watch, tiny_base: BaseModel) -> None:
    """Shares are shares, nats are numbers, and another version has other ones."""
    found = watch.measure(moved(tiny_base))
    assert found == watch.measure(moved(tiny_base)) != watch.of_base
    assert len(found) == 7
    assert all(0 <= v <= 1 for name, v in found.items() if name.startswith("tasks."))
    assert found[TEXT] > 0
    assert REFUSAL in found


@dataclass
class Line:
    """A line that is at some version."""

    name: str
    number: int
    base: Any
    decoder: Decoder
    chain: tuple[Any, ...] = ()


@dataclass
class Parts:
    """What a watching needs of a learner."""

    serving: Any
    store: Store


def test_every_nth_version_is_kept_and_the_base_first(
    watch: Watch, tiny_base: BaseModel, tmp_path: Path, backend: Backend
) -> None:
    """Versions between are passed by; what was measured is not measured again."""
    del backend
    store = open_store(StreamsSettings(home=tmp_path))

    @contextmanager
    def writing() -> Iterator[Session]:
        with store.transaction() as session:
            yield session

    watching = Watching(watch, every=4, line="main")
    other = moved(tiny_base)

    def taken(branch: str, numbers: Sequence[int]) -> list[int]:
        found = []
        for number in numbers:
            names = (tiny_base.name, *(f"{branch}{each}" for each in range(1, number + 1)))
            chain = tuple(SimpleNamespace(parent=name) for name in names[:-1])
            decoder = other if number else tiny_base.decoder
            line = Line(names[-1], number, tiny_base, decoder, chain)
            if watching.step(Parts(line, store), writing, now_ms=len(branch) * 100 + number):
                found.append(number)
        return found

    assert taken("v", (0, 1, 3, 4, 4, 7, 9)) == [0, 4, 9]
    # gone back to the base: what was taken back says nothing of what comes instead
    assert taken("vv", (1, 3, 4, 7)) == [4]
    with store.reading() as session:
        rows = session.exec(select(WatchedRow)).all()
        newest = session.get(WatchedRow, ("main", "vv4"))
    assert sorted(row.number for row in rows) == [0, 4, 4, 9]
    assert newest is not None
    newest.measured = newest.measured | {TEXT: 99.0}
    with store.transaction() as session:
        session.add(newest)
    with store.reading() as session:
        (family,) = families(session, "main")
    assert ((TEXT, "newest"), 99.0) in family.rows
    off = Watching(watch, every=0, line="main")
    assert not off.step(Parts(Line("v99", 99, tiny_base, other), store), writing, now_ms=1)
    store.close()
