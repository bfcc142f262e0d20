"""Figures of readers' answers: their own error rates, what they recognise, and how far a judge agrees.

Rates of error follow the evaluation critique (MI-Eval-MLLM): FPR = FP / (FP + TN), FNR = FN / (FN + TP). Of
readers the truth is what a control shows; of the study's judge the truth is what readers say of a
reconstruction. A refusal counts nowhere but in its own number. Each control weighs the same, however many
readers answered it: a rate on controls is the mean of the shares of their readers.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch

from sweeper.statistics.agreement import fleiss_kappa
from trainables.judges.agreement import cohen_kappa
from trainables.metrics.attack_accuracy import interval95

WORDS = ("yes", "no")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a reader said of a panel.

    Attributes:
        panel: its identifier.
        answer: "yes", "no" or "refused"; of two images "first", "second" or "none".
        reader: who said it.
        about: what the panel is, of its key.
    """

    panel: str
    answer: str
    reader: str
    about: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "panel": self.panel,
            "answer": self.answer,
            "reader": self.reader,
            "about": dict(self.about),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the answer that `to_json` made `document` of."""
        return cls(**document)


def figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return all figures, JSON-ready; None for what has no case.

    - ``readers``: name, number of answers, error rates on controls, share of reconstructions recognised.
    - ``answers``, ``refused``: how many; panels of two are not among them.
    - ``false_positive_rate``, ``false_negative_rate``: on controls, the mean over panels of the share of
      readers who err, each with an interval over panels.
    - ``swapped_rate``: the same of reconstructions that are recognised as somebody else whose images lie
      beside them: what readers would say to one that tells nothing; with an interval, and for each trial.
    - ``kappa``: Cohen's of two readers, Fleiss' of more, over the panels that all of them answered.
    - ``judge``: ``agreement``, ``kappa`` with the study's first judge on reconstructions, and its error rates
      with the readers as the truth.
    - ``trials``: of each trial, panels and people, the share recognised over people with its 95 % interval,
      and the judge's share on the same panels.
    - ``pairs``: of two trials, how often each was the closer one, none, and the share of the first among
      those that were decided, with its interval over people.
    """
    single = [answer for answer in answers if answer.about["kind"] != "pair"]
    decided = [answer for answer in single if answer.answer in WORDS]
    attacks = [answer for answer in decided if answer.about["kind"] == "attack"]
    swapped = [answer for answer in decided if answer.about["kind"] == "swapped"]
    return {
        "readers": [_reader(name, [a for a in single if a.reader == name]) for name in _readers(single)],
        "answers": len(single),
        "refused": len(single) - len(decided),
        **_errors(decided),
        "kappa": _kappa(decided),
        "judge": _judge(attacks),
        "trials": [
            _trial(number, rows, [answer for answer in swapped if answer.about["trial"] == number])
            for number, rows in sorted(_by_trial(attacks).items())
        ],
        "pairs": _pairs([answer for answer in answers if answer.about["kind"] == "pair"]),
    }


def _readers(answers: Sequence[Answer]) -> list[str]:
    return list(dict.fromkeys(answer.reader for answer in answers))


def _reader(name: str, answers: Sequence[Answer]) -> dict[str, Any]:
    decided = [answer for answer in answers if answer.answer in WORDS]
    attacks = [answer.answer == "yes" for answer in decided if answer.about["kind"] == "attack"]
    return {"reader": name, "answers": len(answers), **_errors(decided), "rate": _share(attacks)}


def _errors(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the error rates on controls: a yes to an impostor or a swapped image, a no to a genuine one."""
    impostor, genuine, swapped = (
        [answer for answer in answers if answer.about["kind"] == kind]
        for kind in ("impostor", "genuine", "swapped")
    )
    return {
        **_rate("false_positive", "yes", impostor),
        **_rate("false_negative", "no", genuine),
        **_rate("swapped", "yes", swapped),
    }


def _rate(name: str, wrong: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the mean over panels of the share of answers that are `wrong`, with Wilson's interval over them.

    Readers of one panel err together, so their answers are no more panels.
    """
    shares = _per_panel(wrong, answers)
    return {
        f"{name}_rate": float(shares.mean()) if answers else None,
        f"{name}_interval": list(interval95(shares, 1)) if answers else None,
    }


def _per_panel(word: str, answers: Sequence[Answer]) -> torch.Tensor:
    """Return the share of the answers to each panel that are `word`, float64 (P,)."""
    said: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        said[answer.panel].append(float(answer.answer == word))
    return torch.tensor([sum(own) / len(own) for own in said.values()], dtype=torch.float64)


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _kappa(answers: Sequence[Answer]) -> float | None:
    readers = _readers(answers)
    given: dict[str, dict[str, str]] = defaultdict(dict)
    for answer in answers:
        given[answer.panel][answer.reader] = answer.answer
    shared = [words for words in given.values() if len(words) == len(readers)]
    if len(readers) < 2:
        return None
    if len(readers) == 2:
        return cohen_kappa(*([words[reader] for words in shared] for reader in readers))
    return fleiss_kappa([[Counter(words.values())[word] for word in WORDS] for words in shared])


def _judge(attacks: Sequence[Answer]) -> dict[str, Any]:
    known = [answer for answer in attacks if answer.about.get("judge") is not None]
    said = [answer.answer == "yes" for answer in known]
    accepted = [bool(answer.about["judge"]) for answer in known]
    both = list(zip(said, accepted, strict=True))
    return {
        "agreement": _share([ours == theirs for ours, theirs in both]),
        "kappa": cohen_kappa(said, accepted),
        "false_positive_rate": _share([theirs for ours, theirs in both if not ours]),
        "false_negative_rate": _share([not theirs for ours, theirs in both if ours]),
    }


def _by_trial(attacks: Sequence[Answer]) -> dict[int, list[Answer]]:
    rows: dict[int, list[Answer]] = defaultdict(list)
    for answer in attacks:
        rows[answer.about["trial"]].append(answer)
    return rows


def _trial(number: int, answers: Sequence[Answer], swapped: Sequence[Answer]) -> dict[str, Any]:
    """Return what readers recognise of a trial: the mean over people, each of whom weighs the same.

    swapped: answers to its reconstructions beside somebody else's images.
    """
    rates = _per_person(answers, [float(answer.answer == "yes") for answer in answers])
    judged = [float(a.about["judge"]) for a in answers if a.about.get("judge") is not None]
    return {
        "trial": number,
        "panels": len({answer.panel for answer in answers}),
        "people": len(rates),
        "rate": float(rates.mean()),
        "interval": list(interval95(rates, _fewest(answers))),
        "judge_rate": float(_per_person(answers, judged).mean()) if len(judged) == len(answers) else None,
        "swapped_rate": float(_per_panel("yes", swapped).mean()) if swapped else None,
    }


def _per_person(answers: Sequence[Answer], values: Sequence[float]) -> torch.Tensor:
    """Return the mean of `values`, one an answer, of each person, float64 (N,)."""
    rows: dict[int, list[float]] = defaultdict(list)
    for answer, value in zip(answers, values, strict=True):
        rows[answer.about["identity"]].append(value)
    return torch.tensor([sum(row) / len(row) for row in rows.values()], dtype=torch.float64)


def _fewest(answers: Sequence[Answer]) -> int:
    """Return the fewest panels of one person; answers of several readers to one panel are no more panels."""
    panels: dict[int, set[str]] = defaultdict(set)
    for answer in answers:
        panels[answer.about["identity"]].add(answer.panel)
    return min(len(names) for names in panels.values())


def _pairs(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    rows: dict[tuple[int, int], list[Answer]] = defaultdict(list)
    for answer in answers:
        first, second = sorted(answer.about["trials"])
        rows[first, second].append(answer)
    return [_pair(trials, rows[trials]) for trials in sorted(rows)]


def _pair(trials: tuple[int, int], answers: Sequence[Answer]) -> dict[str, Any]:
    chosen = [(answer, _chosen(answer)) for answer in answers]
    decided = [answer for answer, trial in chosen if trial is not None]
    first = [float(trial == trials[0]) for _, trial in chosen if trial is not None]
    rates = _per_person(decided, first)
    return {
        "trials": list(trials),
        "closer": [sum(trial == number for _, trial in chosen) for number in trials],
        "none": sum(trial is None for _, trial in chosen),
        "people": len(rates),
        "rate": float(rates.mean()) if decided else None,
        "interval": list(interval95(rates, _fewest(decided))) if decided else None,
    }


def _chosen(answer: Answer) -> int | None:
    """Return the trial whose reconstruction was closer; None if nobody chose in time."""
    if answer.answer == "none":
        return None
    trials: Mapping[str, int] = dict(zip(("first", "second"), answer.about["trials"], strict=True))
    return trials[answer.answer]
