"""The errors a user can cause or meet. Each message says: expected, received, where, remedy."""


class ConfigError(ValueError):
    """A mistake in a study, its data or its environment, found before any work starts (exit code 2)."""


class MissingError(ConfigError):
    """A file or a package that a study names and this machine lacks; the study itself may be right."""


def placed(error: ConfigError, place: str) -> ConfigError:
    """Return `error` with where it is added to its text; what is missing stays so."""
    kind = MissingError if isinstance(error, MissingError) else ConfigError
    return kind(f"{error}{place}")


class TrialError(RuntimeError):
    """A trial that cannot give a result, with its reason: a loss that is not finite, no memory left."""


class DiskError(OSError):
    """The disk is full or refuses a write (exit code 1). What was finished before stays valid."""
