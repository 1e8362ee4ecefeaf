"""What may be said behind the ? when a stored response is asked for, and the page that it means.

Knows nothing of HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from agent.api.fields import Refused
from agent.api.responses.request import LOGPROBS
from agent.api.responses.schema import ItemField, ItemList
from agent.errors import InvalidError
from agent.http.form import Query, read_query


class ShownQuery(Query):
    """What GET /v1/responses/{id} is asked with."""

    stream: Annotated[Any, Refused("a stored response is shown whole", "false")] = None


class Page(Query):
    """What GET /v1/responses/{id}/input_items is asked with."""

    limit: int = Field(20, ge=1, le=100, description="items at most")
    order: Literal["asc", "desc"] = Field("desc", description="desc: the newest first")
    after: str | None = Field(None, description="id of the item after which the page begins")
    before: Annotated[Any, Refused("send after, with the other order")] = None

    def of(self, items: Sequence[ItemField]) -> ItemList:
        """The page of these items, which come oldest first. Raises: InvalidError for `after`."""
        ordered = list(items) if self.order == "asc" else list(reversed(items))
        if self.after is not None:
            ids = [item["id"] for item in ordered]
            if self.after not in ids:
                raise InvalidError(
                    f"after: there is no item {self.after[:100]!r} among them",
                    param="after",
                    code="invalid_value",
                )
            ordered = ordered[ids.index(self.after) + 1 :]
        shown = ordered[: self.limit]
        return {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": len(ordered) > len(shown),
        }


def read_shown(query: Mapping[str, str]) -> ShownQuery:
    """Check the query of a response. Raises: InvalidError, which names the parameter."""
    _prove_included(query)
    return read_query(ShownQuery, query)


def read_page(query: Mapping[str, str]) -> Page:
    """Check the query of a list. Raises: InvalidError, which names the parameter."""
    _prove_included(query)
    return read_query(Page, query)


def _prove_included(query: Mapping[str, str]) -> None:
    """Refuse what is not kept with a response; clients name a list as include or include[]."""
    for name, said in query.items():
        if name.partition("[")[0] == "include" and said == LOGPROBS:
            raise InvalidError(
                f"include: {LOGPROBS} is told with the reply, and not kept: leave it out",
                param="include",
                code="invalid_value",
            )
