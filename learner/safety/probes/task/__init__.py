"""The budget of each small task: a probe each, as each may fall while their mean stays."""
