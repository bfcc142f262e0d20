"""Rendered faces and shapes."""
