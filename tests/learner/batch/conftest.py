"""A tiny model that has learned something, made once."""

import pytest

from kernels.contract import Backend
from learner.batch.rewriting.teacher import Teacher
from learner.serving import Serving
from learner.settings import MODULES, LearnerSettings
from streams.model.open import BaseModel
from streams.records import Mask
from tests.learner.batch.taught import taught_model


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """The model of tests.learner.batch.taught."""
    return taught_model(tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="session")
def apologist(taught: BaseModel, backend: Backend) -> Teacher:
    """It as the teacher, with lessons that have to be proved."""
    mask = Mask(base=taught.name, neurons={}, groups={})
    serving = Serving(taught, backend, mask, layers=[3], modules=MODULES)
    settings = LearnerSettings(max_reply_tokens=60, max_prompt_tokens=256)
    return Teacher(serving, settings, backend, lambda: None)
