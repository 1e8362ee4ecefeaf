"""What else the versions of a demo have become: small tasks, plain text, refusals.

Measured when the teaching is over, by forward passes over versions that are rebuilt from the
ledger, digest by digest; so it takes no time of the service that learns.
"""

from collections.abc import Sequence
from pathlib import Path

from deploy.errors import DeployError
from deploy.operate.history import store_session
from kernels.open import open_backend
from kernels.version.build import Source, build
from learner.safety.kept import kept_of
from learner.safety.measuring import Measuring
from learner.safety.watched import watch_alone
from streams.line import ledger
from streams.line.masks import mask_of
from streams.model.open import load_base
from streams.settings import ModelSettings, StreamsSettings

Watched = dict[str, dict[str, float]]


def watched(home: Path, model: ModelSettings, versions: Sequence[str]) -> Watched:
    """Measure versions of a service: version → name → number (learner.safety.watched).

    home: the folder of the service that learned; versions: the base, and others of its line
    """
    base = load_base(model, plain_head=True)
    backend = open_backend(model.backend, base.decoder.device)
    measuring = Measuring(base, backend, lambda: None, kept_of(model, base.name))
    watch = watch_alone(measuring)
    found: Watched = {}
    for version in dict.fromkeys(versions):
        with store_session(StreamsSettings(home=home)) as session:
            chain = ledger.chain(session, version) if version != base.name else []
            masks = {chain[0].mask: mask_of(session, chain)} if chain else {}
        if not chain and version != base.name:
            raise DeployError(f"the ledger of {home} holds no version {version}")
        source = Source(base.decoder, backend, masks)
        decoder = build(source, chain).decoder if chain else base.decoder
        found[version] = dict(watch.measure(decoder))
    return found
