"""What may be said behind the ? when models are listed, as Anthropic's clients page through them.

Knows nothing of HTTP, nor of what models there are.
"""

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from agent.api.models.models import Model, ModelList
from agent.errors import InvalidError
from agent.http.form import Query, read_query, refuse


class ModelPage(Query):
    """What GET /v1/models is asked with."""

    limit: int | None = Field(
        None, ge=1, le=1000, description="models at most; left out: all, as OpenAI's clients expect"
    )
    after_id: str | None = Field(None, description="id of the model behind which the page begins")
    before_id: str | None = Field(None, description="id of the model before which the page ends")

    @model_validator(mode="after")
    def _goes_one_way(self) -> Self:
        if self.after_id is not None and self.before_id is not None:
            refuse("before_id: send it or after_id, not both")
        return self

    def of(self, models: Sequence[Model]) -> ModelList:
        """The page of these models. Raises: InvalidError for an id that none of them has.

        has_more: whether there are more in the direction that is asked for
        """
        found = list(models)
        if self.after_id is not None:
            found = found[_place(found, self.after_id, "after_id") + 1 :]
        if self.before_id is not None:
            found = found[: _place(found, self.before_id, "before_id")]
        most = len(found) if self.limit is None else self.limit
        shown = found[:most] if self.before_id is None else found[max(0, len(found) - most) :]
        return {
            "object": "list",
            "data": shown,
            "has_more": len(found) > len(shown),
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
        }


def read_page(query: Mapping[str, str]) -> ModelPage:
    """Check the query of the list; what is empty is left out.

    raises: InvalidError, which names the parameter
    """
    return read_query(ModelPage, {name: said for name, said in query.items() if said})


def _place(models: Sequence[Model], id: str, param: str) -> int:
    ids = [model["id"] for model in models]
    if id not in ids:
        raise InvalidError(
            f"{param}: there is no model {id[:100]!r} among those that are listed",
            param=param,
            code="invalid_value",
        )
    return ids.index(id)
