"""How work runs: progress, randomness, background jobs, checks."""
