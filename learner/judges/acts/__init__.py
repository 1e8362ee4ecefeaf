"""Dialogue acts: what each clause of a message is, and what all of it says of the reply."""
