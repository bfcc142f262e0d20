"""Comparison of studies: their fronts drawn again, tested against each other, and in words."""
