"""Pages of one thing each: a turn, a version."""
