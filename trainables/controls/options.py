"""Options of the controls: which are measured, and how."""

from dataclasses import dataclass

from trainables.architectures import freeze_points
from trainables.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Controls:
    """Which controls a study has. None of these knobs enters a content key of a trial.

    Attributes:
        null_pictures: pictures of the prior that never saw the target, for the floor; 0 leaves the floor out,
            and with it the power and the verdict.
        ceiling: point the attack at the best white-box view of the people that there is.
        ceiling_architecture: of that view; None takes the target's, or the first in the registry that fits,
            but never the judge's.
        positive: attack a target that must leak.
        smoothing: label smoothing of that target, in (0, 1).
        sampler: train a target in BiDO's identity-balanced batches without BiDO.
        stopped: attacks at most on the undefended target stopped where it is as accurate as a defended trial
            of the front, once the search has ended; trials that reach one epoch share one. 0 leaves them out.
        stopped_alike: freeze that target as the trial is, where a defense protects the trial too: what the
            defense adds to the freezing. One that is frozen elsewhere may leak more at the same accuracy. A
            trial that only freezes is held against the template's target as ever.
        budget: attack the undefended target and the one that must leak for an eighth, a quarter and half of
            the steps too. Where an attack's short run is the beginning of the long one that costs next to
            nothing, else 0.875 of an attack each.
        attack: name of the attack that the controls run, as in `TrialConfig.attack_plans`; None takes the
            one that finds most on the undefended target.
    """

    null_pictures: int = 1000
    ceiling: bool = True
    ceiling_architecture: str | None = None
    positive: bool = True
    smoothing: float = 0.1
    sampler: bool = True
    stopped: int = 4
    stopped_alike: bool = False
    budget: bool = True
    attack: str | None = None

    def __post_init__(self) -> None:
        if self.null_pictures < 0:
            raise ConfigError(
                f"null_pictures must be at least 0; got {self.null_pictures} (controls.null_pictures); "
                "0 leaves the floor out"
            )
        if self.stopped < 0:
            raise ConfigError(
                f"stopped must be at least 0; got {self.stopped} (controls.stopped); "
                "0 stops no undefended target early"
            )
        if not 0 < self.smoothing < 1:
            raise ConfigError(
                f"smoothing must lie between 0 and 1; got {self.smoothing} (controls.smoothing); the "
                "published value is 0.1"
            )
        if self.ceiling_architecture is not None:
            freeze_points(self.ceiling_architecture)  # an unknown name is an error that lists the known ones
