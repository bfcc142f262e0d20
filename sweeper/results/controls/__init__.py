"""Controls of a stored study: their figures, what they say of it, and what would help."""
