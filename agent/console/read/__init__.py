"""What operators see, section by section, from the agent's memory, the store and the log.

To add a section: a file here that reads it, and its line in registry.py.
"""
