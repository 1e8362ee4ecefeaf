"""Traces: what happened to a turn on its whole way, as spans that any OpenTelemetry backend shows.

For others: changes, contract, open, places.
"""
