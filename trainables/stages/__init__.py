"""The stages of a trial, each made once and kept under a key of all that went into it."""
