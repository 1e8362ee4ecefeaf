"""The masks of a line: kept by their digests, found by the recipes that name them.

A recipe is usable only with its mask: the frozen units that it was made with.
"""

from collections.abc import Sequence

from sqlmodel import Session

from streams.errors import LedgerError
from streams.records import Mask, Recipe
from streams.store.insert import insert_new
from streams.store.tables import ArtefactRow


def keep_mask(session: Session, mask: Mask, *, created_ms: int) -> bool:
    """Keep a mask under its digest; False when it was there."""
    body = mask.model_dump(mode="json")
    row = ArtefactRow(digest=mask.digest, kind="mask", body=body, created_ms=created_ms)
    return insert_new(session, row)


def mask_of(session: Session, chain: Sequence[Recipe]) -> Mask:
    """Return the mask that a chain of recipes was made with.

    raises: LedgerError when there is none, or they name several, or the store lacks it
    """
    names = {recipe.mask for recipe in chain}
    if not names:
        raise LedgerError("the ledger has no recipe of it: it is the base, or another store has it")
    if len(names) != 1:
        raise LedgerError(f"the recipes name {len(names)} masks; one line has one")
    digest = names.pop()
    row = session.get(ArtefactRow, digest)
    if row is None:
        raise LedgerError(f"the store lacks the mask {digest}: restore it from a backup")
    mask = Mask.model_validate(row.body)
    if mask.digest != digest:
        raise LedgerError(f"the mask kept as {digest} is {mask.digest}: the store was changed")
    return mask
