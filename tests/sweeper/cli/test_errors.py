import errno

import pytest

from sweeper.cli.errors import guard
from trainables.errors import ConfigError, DiskError, TrialError

FULL = "the disk is full; free space and start again: finished work is kept"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("expected this"), 2, "expected this"),
        (TrialError("no prior"), 1, "no prior"),
        (DiskError(errno.EIO, "refused"), 1, "refused"),
        (DiskError("refused"), 1, "refused"),
        (OSError(errno.ENOSPC, "x"), 1, FULL),
        (OSError(errno.EDQUOT, "x"), 1, FULL),
    ],
)
def test_an_error_of_the_users_is_one_line_and_a_code(capsys, error, code, message):
    with pytest.raises(SystemExit) as stop, guard():
        raise error
    assert stop.value.code == code
    assert capsys.readouterr() == ("", f"error: {message}\n")


@pytest.mark.parametrize("error", [OSError(errno.EPIPE, "x"), ValueError("a bug"), KeyboardInterrupt()])
def test_any_other_error_passes(error):
    with pytest.raises(type(error)), guard():
        raise error
