"""Fronts, hypervolumes, intervals: numpy only."""
