"""What a defense says of its own figures on a target, in the words of its class."""

from collections.abc import Mapping
from string import Formatter

from sweeper.study.metrics import ROOT
from sweeper.study.static_registry import registry_entries


def defense_said(defense: str, metrics: Mapping[str, float | None]) -> str:
    """Return what a defense of that kind tells of a trial with these metrics, as a clause.

    "" for one that has no figures of its own, and where they are not among `metrics`, as of a target that
    somebody else trained. The words are read from the text of its file, since importing it imports torch.
    """
    entries = registry_entries(ROOT, "trainables.defenses", "DEFENSES")
    words = entries[defense].text("figures_told") if defense in entries else ""
    known = {name: value for name, value in metrics.items() if value is not None}
    if not all(name in known for _, name, _, _ in Formatter().parse(words) if name):
        return ""
    return words.format_map(known)
