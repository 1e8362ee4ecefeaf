"""Proves a version: rebuilt from the base by its recipes, with every digest on the way compared.

Reads the ledger and the base model only: no snapshot, and nothing of the agent. So equal bits here
and in an agent's memory were reached twice, by the same code in another process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kernels.contract import Backend
from kernels.version.build import Source, build
from streams.errors import ProofError
from streams.model.open import BaseModel
from streams.model.weights import weights_digest
from streams.records import Mask, Recipe


@dataclass(frozen=True, slots=True)
class Proof:
    """What a rebuilt version came to."""

    version: str
    recipes: int  # that were applied, each digest compared
    digest: str  # of the integers
    sha256: str  # of the tensors, as an agent tells it of those that it serves


def replay(
    base: BaseModel,
    chain: Sequence[Recipe],
    mask: Mask,
    *,
    backend: Backend,
    progress: Callable[[int], None] = lambda _: None,
) -> Proof:
    """Rebuild the version that a chain of recipes leads to.

    chain: from the base on, at least one; progress: told how many recipes are applied
    raises: ProofError when the chain is of another base; DigestMismatchError, ExplodedError or
        FrozenMovedError naming what is not as promised
    """
    if chain[0].parent != base.name:
        raise ProofError(
            f"the first recipe stands on the base {chain[0].parent}, this one is {base.name}: "
            "name the right model with --model"
        )
    source = Source(base.decoder, backend, {mask.digest: mask})
    built = build(source, chain, progress=progress)
    sha256 = weights_digest(built.decoder.model)
    return Proof(chain[-1].version, len(chain), built.reached.master.digest(), sha256)
