"""Reads the store and the log for the console."""
