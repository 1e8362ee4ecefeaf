"""Holds ways to make one person content against each other: what they cost, and what else moves."""
