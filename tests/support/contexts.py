"""Keyword arguments of tests, those that make a `Run` put together."""

import dataclasses
from typing import Any

from trainables.runtime.run import Run

NAMES = {field.name for field in dataclasses.fields(Run)}


def with_run(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return `arguments` with the fields of a `Run` among them as one ``run``, without Nones."""
    own = {name: value for name, value in arguments.items() if name in NAMES and value is not None}
    rest = {name: value for name, value in arguments.items() if name not in NAMES}
    return {"run": Run(**own), **rest}
