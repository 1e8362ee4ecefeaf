"""Signs that lie along a direction: alone by a little, several together by more."""

import torch

from kernels.change import COLUMNS, ROWS, Address, Span
from kernels.contract import Backend
from learner.population.closest import closest, group, together
from learner.population.spared import Spared

ADDRESS = Address(11, 12)


def direction(width: int) -> torch.Tensor:
    """Return a direction of length 1: (width, 1)."""
    found = torch.randn(width, 1, generator=torch.Generator().manual_seed(5))
    return torch.nn.functional.normalize(found, dim=0)


def test_the_closest_signs_lie_along_it(backend: Backend) -> None:
    """They go the way that they are told, each less far than the one before, others hardly."""
    along = direction(64)
    (found,) = closest(backend, ADDRESS, along, [8])
    signs = backend.signs(ADDRESS, Span(ROWS, 64), pairs=4000).float()
    numbers = [number for number, _ in found]
    chosen = backend.chosen_signs(ADDRESS, Span(ROWS, 64), numbers).float()
    far = chosen @ along[:, 0] * torch.tensor([way for _, way in found])
    assert bool((far[:-1] >= far[1:]).all())
    assert float(far[-1]) > 3 * float((signs @ along).abs().mean())


def test_signs_together_lie_closer_than_alone(backend: Backend) -> None:
    """A group's sum lies along the direction further than the closest sign does."""
    along = direction(64)
    (groups,) = together(backend, ADDRESS, along, [3], each=8, spared=None)
    assert len({number for each in groups for number, _ in each}) == 24
    for each in groups:
        numbers, ways = ([side[i] for side in each] for i in (0, 1))
        signs = backend.chosen_signs(ADDRESS, Span(COLUMNS, 64), numbers).float()
        total = torch.tensor(ways).float() @ signs
        alone = float((signs[0] @ along).abs()) / 8
        assert float(total @ along) / float(total.norm()) > 1.5 * alone


def test_what_is_dear_cancels_in_a_group() -> None:
    """Where one direction is dear, a sum keeps less of it than signs that are closest otherwise."""
    draw = torch.Generator().manual_seed(6)
    signs = torch.randn(400, 200, generator=draw).sign()
    along, dear = (torch.eye(200)[i] for i in (0, 1))
    signs = signs[torch.argsort((signs @ along), descending=True, stable=True)]
    used = torch.randn(200, 200, generator=draw) + 20 * torch.randn(200, 1, generator=draw) * dear
    spared = Spared.of([used], 10.0)
    lazy, sparing = (group(signs, along, 6, 16, each) for each in (None, spared))
    rests = [
        sum(abs(float(signs[places].sum(0) @ dear)) for places in found)
        for found in (lazy, sparing)
    ]
    assert rests[1] < rests[0] / 2


def test_nothing_wanted_is_nothing_found(backend: Backend) -> None:
    """A direction on which no pair is spent has no signs."""
    assert together(backend, ADDRESS, direction(64), [0], each=4, spared=None) == [[]]
    assert closest(backend, ADDRESS, direction(64), [0]) == [[]]
