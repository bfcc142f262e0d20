"""Runtime of work: progress, randomness, background jobs, checks."""
