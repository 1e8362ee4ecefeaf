"""A backend of a GPU behind tensors of the processor, so that one contract suite is for all."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import GeneratorType
from typing import Any

import torch
from torch import Tensor

from kernels.contract import Backend, PairFactors
from kernels.model.layers import PlainLayer


class Placed:
    """Moves what a method is given to the backend's device, and back what it returns or changes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        return self._there(found) if callable(found) else found

    @property
    def device(self) -> torch.device:
        """Where the tensors of the tests lie."""
        return torch.device("cpu")

    def _there(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            moved: list[tuple[Tensor, Tensor]] = []
            there = _map([args, kwargs], lambda x: _noted(x, self._backend.device, moved))
            try:
                result = method(*there[0], **there[1])
                if isinstance(result, GeneratorType):
                    return _each(result)
                return _map(result, Tensor.cpu)
            finally:
                for ours, theirs in moved:
                    _give_back(ours.detach(), theirs.detach().cpu())

        return call


def _each(results: Iterator[Tensor]) -> Iterator[Tensor]:
    yield from map(Tensor.cpu, results)


def _give_back(ours: Tensor, back: Tensor) -> None:
    """Write what was changed; a model's weights, which are only read, may not be written at all."""
    same = ours.contiguous().view(torch.uint8), back.contiguous().view(torch.uint8)
    if not torch.equal(*same):
        ours.copy_(back)


def _noted(ours: Tensor, device: torch.device, moved: list[tuple[Tensor, Tensor]]) -> Tensor:
    theirs = ours.to(device)
    if theirs is not ours:
        moved.append((ours, theirs))
    return theirs


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_map(each, change) for each in value)
    if isinstance(value, dict):
        return {name: _map(each, change) for name, each in value.items()}
    if isinstance(value, PlainLayer):
        bias = None if value.bias is None else change(value.bias)
        return PlainLayer(change(value.weight), bias)
    if isinstance(value, PairFactors):
        return replace(value, rows=change(value.rows), columns=change(value.columns))
    return value
