"""What a model is told with: the version behind its name, and how that came about."""

import pytest

from agent.api.models.models import Model
from agent.api.models.query import read_page
from agent.errors import InvalidError, NotFoundError
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
    listed = [model["id"] for model in found.all()]
    assert listed == ["quickset", f"quickset@{STABLE}", "quickset@previous", "before"]
    for name, why in (("canary", "no version is on trial"), ("gone", "has no such version")):
        with pytest.raises(NotFoundError, match=why):
            found.one(name)


@pytest.mark.parametrize(
    ("asked", "ids", "has_more"),
    [
        ({}, "abcd", False),
        ({"limit": "1"}, "a", True),
        ({"limit": "1000"}, "abcd", False),
        ({"limit": "2", "after_id": "b"}, "cd", False),
        ({"limit": "1", "after_id": "b"}, "c", True),
        ({"after_id": "d"}, "", False),
        ({"limit": "", "after_id": "", "before_id": "c"}, "ab", False),
        ({"limit": "2", "before_id": "d"}, "bc", True),
        ({"limit": "2", "before_id": "c"}, "ab", False),
        ({"before_id": "a"}, "", False),
        ({"limit": "1", "beta": "true"}, "a", True),
    ],
)
def test_the_list_is_paged_as_anthropics_clients_ask(
    asked: dict[str, str], ids: str, has_more: bool
) -> None:
    """Forwards behind an id, backwards before one; without a limit all come, as OpenAI's do."""
    page = read_page(asked).of(lettered())
    assert "".join(model["id"] for model in page["data"]) == ids
    assert page["has_more"] is has_more
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"after_id": "e"}, "after_id"),
        ({"after_id": "a", "before_id": "c"}, "before_id"),
    ],
)
def test_a_page_that_there_is_not_is_refused(asked: dict[str, str], param: str) -> None:
    """The error names the parameter."""
    with pytest.raises(InvalidError) as refused:
        read_page(asked).of(lettered())
    assert refused.value.param == param


def lettered() -> list[Model]:
    """Return four models, a to d."""
    return [{**models().one("quickset"), "id": letter} for letter in "abcd"]
