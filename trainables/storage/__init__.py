"""Finished stages, resumable states and files."""
