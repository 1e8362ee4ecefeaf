"""One file a kind of noise. Opened by learner.population.noises.open."""
