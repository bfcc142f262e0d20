"""Where state lies: home, databases, lease."""
