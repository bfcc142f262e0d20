"""What a trial measured, put together from the stages that it made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainables import __version__
from trainables.config import TrialConfig
from trainables.metrics.attack_accuracy import interval95
from trainables.metrics.strongest import interval_of_maximum, people_found
from trainables.results import AttackResult, Interval, TrialResult
from trainables.stages.data import Data
from trainables.stages.pretraining_distance import distance_figures, distance_interval
from trainables.stages.warnings import lost_pretraining, trial_warnings
from trainables.storage.store import Stage


@dataclass(frozen=True, kw_only=True)
class Made:
    """The stages of a trial.

    attacks: by name, at least one; the strongest one's figures stand for the trial.
    judges: the first counts.  judged: their figures.
    distance: of the pre-training, None where the target is given.  read: the key of what it read.
    """

    config: TrialConfig
    data: Data
    trained: Stage
    attacks: Mapping[str, AttackResult]
    judges: Sequence[Stage]
    judged: Mapping[str, float]
    distance: Stage | None
    read: str | None

    @property
    def strongest(self) -> str:
        """Return the name of the attack with the highest attack accuracy."""
        return max(self.attacks, key=lambda name: self.attacks[name].metrics["attack_accuracy_top1"])

    @property
    def headline(self) -> AttackResult:
        """Return the strongest attack."""
        return self.attacks[self.strongest]

    @property
    def several(self) -> Mapping[str, AttackResult]:
        """Return the attacks whose figures need a prefix: none where there is one alone."""
        return self.attacks if len(self.attacks) > 1 else {}

    def result(self) -> TrialResult:
        """Return the result of the trial."""
        trained, attacks = self.trained.result, list(self.attacks.values())
        per_identity = torch.tensor([attack.per_identity for attack in attacks])
        value, interval = self.headline.metrics["attack_accuracy_top1"], highest(attacks)
        if self.config.suite == "mean":
            value, interval = average(attacks)
        return TrialResult(
            values={"test_accuracy": trained["test_accuracy"], "attack_accuracy": value},
            interval=self._intervals(interval),
            metrics=self._metrics(),
            attacks=dict(self.attacks),
            strongest=self.strongest,
            people={"attacked": per_identity.shape[1], "found": people_found(per_identity)},
            data=data_keys(self.data, self.read),
            version=__version__,
            machines=self._machines(),
            trained_params=trained["parameters"]["trained"],
            total_params=trained["parameters"]["total"],
            parameters=trained["parameters"],
            freeze_point=self.config.target.frozen,
            defense=self.config.defense.kind,
            seconds={"target": self.trained.seconds, **_summed([attack.seconds for attack in attacks])},
            history={"target": trained["history"], **self._histories()},
            artifacts=self._artifacts(),
            warnings=self._warnings(),
        )

    def _intervals(self, attacked: Interval) -> dict[str, Interval]:
        trained, split, verified = self.trained.result, self.data.split, self.headline.verified
        return {
            "test_accuracy": proportion(trained["test_accuracy"], len(split.test)),
            "validation_accuracy": proportion(trained["validation_accuracy"], len(split.validation)),
            "attack_accuracy": attacked,
            **distance_interval(self.distance),
            **({} if verified is None else {"attack_accuracy_verified": verified}),
        }

    def _metrics(self) -> dict[str, float]:
        trained = self.trained.result
        return {
            "validation_accuracy": trained["validation_accuracy"],
            "train_accuracy": trained["train_accuracy"],
            **target_figures(self.trained),
            **distance_figures(self.distance),
            **self.judged,
            **self.headline.metrics,
            **{
                f"{name}.{key}": figure
                for name, attack in self.several.items()
                for key, figure in attack.metrics.items()
            },
        }

    def _machines(self) -> dict[str, Mapping[str, Any] | None]:
        return {
            "target": self.trained.machine,
            "judge": self.judges[0].machine,
            **self.headline.machines,
            **{
                f"{stage}.{name}": machine
                for name, attack in self.several.items()
                for stage, machine in attack.machines.items()
            },
        }

    def _histories(self) -> dict[str, Sequence[Mapping[str, float]]]:
        return {
            "attack" if name == self.strongest else f"attack.{name}": attack.history
            for name, attack in self.attacks.items()
        }

    def _artifacts(self) -> dict[str, str]:
        return {
            "target": str(self.trained.path),
            "attack": self.headline.path,
            "judge": str(self.judges[0].path),
            **{f"judge_{number}": str(judge.path) for number, judge in enumerate(self.judges[1:], 2)},
            **{f"attack.{name}": attack.path for name, attack in self.several.items()},
        }

    def _warnings(self) -> list[str]:
        return [
            *trial_warnings(self.config, self.data, self.trained, self.judges, self.attacks.values()),
            *lost_in_training(self.config, self.data, self.trained, self.distance),
        ]


def data_keys(data: Data, read: str | None) -> dict[str, str]:
    """Return the content keys of a trial's data. read: of what pre-training reads, see `pretraining_key`."""
    return {
        "private": data.private_key,
        "public": data.public_key,
        **({} if data.images_key in ("", data.private_key) else {"images": data.images_key}),
        **({} if read is None else {"pretraining": read}),
    }


def lost_in_training(config: TrialConfig, data: Data, trained: Stage, distance: Stage | None) -> list[str]:
    """Return `lost_pretraining` of a target. distance: of `make_distance`."""
    probed = distance_figures(distance).get("probe_test_accuracy")
    return lost_pretraining(config, trained.result["test_accuracy"], probed, len(data.split.test))


def target_figures(trained: Stage) -> dict[str, float]:
    """Return the target's test accuracy as a mean over identities, and its defense's own figures.

    Targets of older stores, and of defenses without figures, have none.
    """
    name = "test_accuracy_per_identity"
    over_identities = {name: trained.result[name]} if name in trained.result else {}
    return {**over_identities, **trained.result.get("figures", {})}


def average(attacks: Sequence[AttackResult]) -> tuple[float, Interval]:
    """Return the mean attack accuracy over attacks, and its 95 % interval over identities."""
    per_identity = torch.tensor([attack.per_identity for attack in attacks]).double().mean(0)
    low, high = interval95(per_identity, sum(attack.restarts for attack in attacks))
    return per_identity.mean().item(), Interval(low=low, high=high)


def highest(attacks: Sequence[AttackResult]) -> Interval:
    """Return the 95 % interval of the strongest attack's accuracy, over identities and the choice of it."""
    per_identity = torch.tensor([attack.per_identity for attack in attacks])
    low, high = interval_of_maximum(per_identity, [attack.restarts for attack in attacks])
    return Interval(low=low, high=high)


def proportion(share: float, count: int) -> Interval:
    """Return Wilson's 95 % interval of a `share`, in [0, 1], of `count` images."""
    right = torch.zeros(count, dtype=torch.float64)
    right[: round(share * count)] = 1.0
    low, high = interval95(right, restarts=1)
    return Interval(low=low, high=high)


def _summed(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total
