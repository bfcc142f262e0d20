"""How any classifier here is trained."""
