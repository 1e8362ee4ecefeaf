"""Scores as Langfuse's clients send them, taken as feedback on our responses.

For others: routes.
"""
