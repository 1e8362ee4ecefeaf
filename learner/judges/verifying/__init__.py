"""Judges whose verdicts need no human: calls by their schemas, answers, the status of tools."""
