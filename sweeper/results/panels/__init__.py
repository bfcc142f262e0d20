"""Panels of reconstructions for readers, and their answers as a judge."""
