"""What a target freezes, in words, for records, tables and plots. Imports no torch."""

from collections.abc import Mapping
from typing import Any


def frozen_name(target: Mapping[str, Any]) -> str:
    """Return what a target with the knobs `target` freezes; "none" if that is nothing.

    Its freeze point, or where it names the stages that are trained, ``all but conv1, conv2``.
    """
    trained = target.get("trained")
    if trained is None:
        return str(target.get("freeze_point") or "none")
    return f"all but {', '.join(trained)}" if trained else "all stages"
