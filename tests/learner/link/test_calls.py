"""A call of a tool is known again under a longer name, without what is empty, or with defaults."""

import pytest

from learner.link.calls import is_same_call

MADE = '["look",{"at":"sky","for":null}]'


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (MADE, True),
        ('["functions.look",{"at":"sky","for":null}]', True),
        ('["mcp__eyes__look",{"at":"sky","for":null}]', True),
        ('["look",{"at":"sky"}]', True),
        ('["look",{"at":"sky","for":null,"deep":false}]', True),
        ('["look",{"at":"sea","for":null}]', False),
        ('["look",{}]', False),
        ('["overlook",{"at":"sky"}]', False),
        ('["look","at the sky"]', False),
        ("[null,{}]", False),
    ],
)
def test_what_frameworks_make_of_a_call(shown: str, same: bool) -> None:
    """Another tool, or another argument, is another call."""
    assert is_same_call(shown, MADE) is same
