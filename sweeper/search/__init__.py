"""Which trials to run: one Optuna study, asked and told."""
