"""Probes that score fixed continuations of the prompt sets; no reply is written for them."""
