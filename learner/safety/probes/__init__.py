"""One file a probe; the names are the files'. Opened by learner.safety.probes.open."""
