"""Where a request comes from: its client, its session, and whether a person asks it."""
