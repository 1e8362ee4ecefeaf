"""What a model is told with: the version behind its name, and how that came about."""

import pytest

from agent.errors import NotFoundError
from agent.turn.assign import STABLE
from streams.model.open import BaseModel
from tests.agent.api.asking import VERSION, models
from tests.agent.fakes import BASE
from tests.agent.lineage import LAYERS, MODULES, Lineage


def test_a_version_is_told_with_the_step_that_made_it(tiny_base: BaseModel) -> None:
    """Its generation, parent and step, by any name; a client can say what changed."""
    recipe = Lineage(tiny_base).next()
    found = models(recipe={VERSION: recipe}.get)
    for name in ("quickset", f"quickset@{STABLE}", f"quickset@{VERSION}"):
        model = found.one(name)
        assert (model["generation"], model["parent"]) == (1, tiny_base.name)
        assert model["step"] == {
            "strategy": "es",
            "noise": "rank1",
            "pairs": 4,
            "layers": LAYERS,
            "modules": MODULES,
        }


def test_the_base_was_made_by_no_step() -> None:
    """Generation 0, without parent and step."""
    model = models().one(f"quickset@{BASE}")
    assert (model["generation"], model["parent"], model["step"]) == (0, None, None)


def test_an_alias_that_means_nothing_now_is_left_out_of_the_list() -> None:
    """The others are listed all the same; who asks for it by name is told why it is none."""
    aliases = {
        "canary": "quickset@candidate",
        "gone": "quickset@0123456789abcdef",
        "before": "quickset@previous",
    }
    found = models(aliases=aliases)
    listed = [model["id"] for model in found.all()["data"]]
    assert listed == ["quickset", f"quickset@{STABLE}", "quickset@previous", "before"]
    assert found.all()["last_id"] == "before"
    for name, why in (("canary", "no version is on trial"), ("gone", "has no such version")):
        with pytest.raises(NotFoundError, match=why):
            found.one(name)
