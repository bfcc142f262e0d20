"""Study files, presets and their checks."""
