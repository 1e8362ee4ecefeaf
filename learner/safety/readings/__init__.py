"""How a version answers the gate's prompts, and where its states lie, in numbers."""
