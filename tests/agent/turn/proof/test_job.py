"""A job is the same work in another process, and the same bytes whenever it is the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.constrain.contract import Compiler
from agent.constrain.open import open_compiler
from agent.errors import InvalidError
from agent.tools.families import FORMATS
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint, TextForm
from agent.turn.held.held import Rest
from agent.turn.proof.job import Job, done, read, written
from streams.model.open import BaseModel

WORDS = st.text(max_size=3)  # halves of surrogates, too, which clients may send
FORMS = st.one_of(
    st.none(),
    st.just(TextForm("json_object")),
    WORDS.map(lambda regex: TextForm("regex", regex)),
    WORDS.map(lambda grammar: TextForm("grammar", grammar)),
    st.lists(WORDS, max_size=2).map(lambda texts: TextForm("choice", tuple(texts))),
    st.dictionaries(WORDS, WORDS, max_size=2).map(
        lambda schema: TextForm("json_schema", {**schema})
    ),
    st.dictionaries(WORDS, WORDS, max_size=2).map(
        lambda schema: TextForm("json_schema", {**schema}, True)
    ),
)
NAMES = st.sampled_from(["f", "g"])
ASKED = st.one_of(
    st.builds(
        Constraint, WORDS, FORMS, st.lists(NAMES, max_size=2).map(tuple), st.frozensets(NAMES)
    ),
    st.builds(Rest, NAMES, WORDS, st.booleans()),
)
TOOLS = st.lists(NAMES.map(lambda name: {"function": {"name": name}}), max_size=2)
JOBS = st.builds(
    Job, ASKED, TOOLS.map(tuple), st.sampled_from(FORMATS), st.booleans(), WORDS, st.booleans()
)


@given(job=JOBS)
def test_a_job_is_read_as_it_was_written(job: Job) -> None:
    """Whatever it asks for."""
    assert read(written(job)) == job
    assert written(read(written(job))) == written(job)


@pytest.fixture(scope="module")
def compiler(tiny_base: BaseModel) -> Compiler:
    made = open_compiler(tiny_base)
    assert made is not None
    return made


def tool(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def test_a_tool_whose_schema_cannot_be_kept_to_is_eased_where_that_may_be(
    compiler: Compiler,
) -> None:
    """The others stay as they are; where it may not be, the job is refused."""
    good, bad = (
        tool("f", {"properties": {"a": {"const": 1}}}),
        tool("g", {"type": 1}),
    )
    job = Job(Constraint("tools", None, ("f", "g"), frozenset("fg")), (good, bad), HERMES)
    with pytest.raises(InvalidError):
        done(job, compiler)
    held, eased = done(Job(job.asked, job.tools, HERMES, eases=True), compiler)
    assert held is not None
    assert eased.tools == (good, tool("g", {"type": "object"}))
