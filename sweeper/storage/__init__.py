"""Places of state: home, databases, lease."""
