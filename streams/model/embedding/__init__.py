"""Texts as vectors: the port, and the one embedder that there is."""
