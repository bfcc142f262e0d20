"""Adaptive attackers: what someone who knows of a defense does, and whether an attack of a trial does so.

A defense says both in its class: ``adaptive``, a text, and ``adaptive_attack``, the attacks that do so, apart
by commas: ``NAME``, ``*``, ``NAME KNOB=VALUE`` or ``* KNOB>NUMBER``, where ``*`` is any attack and a
value is as in a study file: ``* adaptive=true``. None: none does.
They are read from the text of the files, since importing them imports torch.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.study.metrics import ROOT
from sweeper.study.static_registry import registry_entries

PATTERN = re.compile(r"(\*|\w+)(?: (\w+)([=>])(\S+))?")
NOBODY = "no attack here does so"


@dataclass(frozen=True, kw_only=True)
class AdaptiveAttacker:
    """What one who knows of a defense does ("" where it does not say), and `attack`, what runs it here."""

    text: str = ""
    attack: str | None = None

    @property
    def runs_here(self) -> str:
        """Return the attacks that do so, in words."""
        if self.attack is None:
            return NOBODY
        return self.attack.replace("* ", "any attack with ").replace("*", "any attack").replace("=", ": ")

    def ran(self, attacks: Iterable[Mapping[str, Any]]) -> bool:
        """Return whether one of `attacks`, documents with their ``kind`` and knobs, does so."""
        wanted = [PATTERN.fullmatch(part.strip()) for part in (self.attack or "").split(",") if part.strip()]
        return any(_fits(match, attack) for match in wanted if match for attack in attacks)


def _fits(match: re.Match[str], attack: Mapping[str, Any]) -> bool:
    kind, knob, relation, value = match.groups()
    if kind not in ("*", attack.get("kind")):
        return False
    if knob is None:
        return True
    given = attack.get(knob)
    if relation == ">":
        return isinstance(given, int | float) and given > float(value)
    return value == (str(given).lower() if isinstance(given, bool) else str(given))


def adaptive_attacker(defense: str) -> AdaptiveAttacker:
    """Return who would attack the defense of that kind; one without words for a kind that is not known."""
    entries = registry_entries(ROOT, "trainables.defenses", "DEFENSES")
    if defense not in entries:
        return AdaptiveAttacker()
    entry = entries[defense]
    return AdaptiveAttacker(text=entry.text("adaptive"), attack=entry.value("adaptive_attack"))


def non_adaptive(defense: str, freeze_point: str, attacks: Iterable[Mapping[str, Any]]) -> str:
    """Return what is missing from the attacks on a defended target, in a sentence; "" if nothing is.

    defense: its kind; with "none" and a freeze point it is freezing that is meant. attacks: documents of an
    attack each, flat or under ``attack`` as `trainables.config` fills them in.
    """
    if defense == "none" and freeze_point == "none":
        return ""
    attacker = adaptive_attacker(defense)
    ran = [{**attack, **attack["attack"]} if _nested(attack) else attack for attack in attacks]
    if attacker.ran(ran):
        return ""
    name = "freezing" if defense == "none" else f"'{defense}'"
    knows = f"one who knows of {name} {attacker.text}" if attacker.text else "nobody says what one would be"
    return f"non-adaptive: {knows} ({attacker.runs_here})"


def _nested(attack: Mapping[str, Any]) -> bool:
    return isinstance(attack.get("attack"), Mapping)


def attacks_of(trial: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the documents of the attacks of a trial's document, which has one or a list of them."""
    attack = trial.get("attack") or []
    return [attack] if isinstance(attack, Mapping) else list(attack)
