"""PPDG-MI's rounds: the best images of an identity tune a copy of the GAN for the next. No attack."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.attacks.base import Attack, Learnt, Passes, Reconstructions
from trainables.attacks.sharding import merge
from trainables.oracle import Oracle
from trainables.priors.base import PriorNetworks, eval_mode, state
from trainables.runtime.checks import at_least
from trainables.runtime.progress import Report
from trainables.runtime.run import Run
from trainables.storage.resume import Within

SHARE = 1000  # units of progress of one search, and of one tuning


@dataclass(frozen=True, kw_only=True)
class PseudoPrivate(Attack):
    """PPDG-MI: Peng et al. 2024, around the attack that a subclass also inherits from.

    For each identity on its own the attack runs, the best of its reconstructions tune a copy of the prior
    (`tune`), and the attack runs again on that. The reconstructions of the last round are returned, with
    latents of the tuned generator. The prior that was given stays as it is. Batch norms are in eval mode
    while they are tuned, as in the released code.

    tunings: how often the prior is tuned; the attack runs once more.
    points: reconstructions that tune the prior, the best; all of them where there are fewer.
    """

    is_prefix_of_longer: ClassVar[bool] = False

    tunings: int = 1
    points: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # of the attack that a subclass also inherits from
        at_least(self, 1, "tunings", "points")

    @property
    def questions(self) -> int:
        """Return how many images the target is shown to rate an identity's reconstructions."""
        return 0

    def tuning_passes(self) -> Passes:
        """Return what tuning the prior once costs, at most."""
        raise NotImplementedError

    def tune(
        self, prior: PriorNetworks, pictures: Tensor, use: Sequence[object], run: Run, auxiliary: Learnt
    ) -> PriorNetworks:
        """Return a copy of `prior` tuned on the best reconstructions, uint8 (P, 3, S, S), the best first.

        use: names of its random streams, the identity and the round.
        """
        raise NotImplementedError

    def passes(self) -> Passes:
        """Return what one identity costs: its searches and tunings, and what chooses in between."""
        search = super().passes() + super().shared_passes()  # each search is of one identity
        tuning, count = self.tuning_passes(), self.tunings
        return Passes(
            generator_forward=(count + 1) * search.generator_forward + count * tuning.generator_forward,
            generator_backward=(count + 1) * search.generator_backward + count * tuning.generator_backward,
            target_forward=(count + 1) * search.target_forward + count * self.questions,
            target_backward=(count + 1) * search.target_backward,
        )

    def shared_passes(self) -> Passes:
        """Return nothing: identities share no work."""
        return Passes(generator_forward=0, target_forward=0)

    def prepare_prior(self, prior: PriorNetworks, device: str) -> PriorNetworks:
        """Return copies that can be tuned; each round makes of them those that the attack takes."""
        return copied(prior)

    def reconstruct(
        self, target: Any, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (R, N) reconstructions of the last round; the history goes through all rounds.

        queries: of all rounds; of a pool that all identities share, once for each
        round and identity, since each has a generator of its own.
        """
        results = []
        for place, identity in enumerate(identities.tolist()):
            report = _share(run.report, place, len(identities))
            own = replace(run, report=report, resume=Within(run.resume, f"identity-{identity}"))
            results.append(self._identity(target, prior, identity, own, auxiliary))
        return merge(results)

    def _identity(
        self, target: Any, prior: PriorNetworks, identity: int, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (R, 1) reconstructions of `identity`."""
        saved = run.resume.read("result")
        if saved is not None:
            run.report("attack", 1, 1)
            return Reconstructions(**saved)
        history: list[dict[str, float]] = []
        queries, parts = 0, 2 * self.tunings + 1
        for number in range(self.tunings + 1):
            own, tuning = (
                replace(
                    run,
                    report=_share(run.report, part, parts),
                    resume=Within(run.resume, f"round-{number}"),
                )
                for part in (2 * number, 2 * number + 1)
            )
            networks = super().prepare_prior(prior, run.device)
            result = super().reconstruct(target, networks, torch.tensor([identity]), own, auxiliary)
            begin = history[-1]["iteration"] + 1 if history else 0.0
            history += [{**point, "iteration": begin + point["iteration"]} for point in result.history]
            queries += result.queries or 0
            if number < self.tunings:
                use = (identity, number)
                pictures = self.best(target, result.images[:, 0], use, run)
                queries += self.questions
                tuned = own.resume.read("tuned")
                if tuned is None:
                    prior = self.tune(prior, pictures, use, tuning, auxiliary)
                    own.resume.write("tuned", state(prior))
                else:
                    prior = copied(prior)
                    prior.generator.load_state_dict(tuned["generator"])
                    prior.discriminator.load_state_dict(tuned["discriminator"])
                tuning.report("attack", 1, 1)
        result = replace(
            result,
            history=history,
            queries=queries if isinstance(target, Oracle) else None,
            shared_queries=0,
        )
        run.resume.write("result", vars(result))
        for number in range(self.tunings):  # as large as the prior, and of no use any more
            run.resume.forget(f"round-{number}-tuned")
        return result

    def best(self, target: Any, pictures: Tensor, use: Sequence[object], run: Run) -> Tensor:
        """Return the `points` best of the reconstructions (R, 3, S, S) of an identity, the best first.

        Here the first, for an attack that gives the best first.
        """
        return pictures[: self.points]


def copied(prior: PriorNetworks) -> PriorNetworks:
    """Return `prior` with copies of its networks, with the batch norms that they have, in eval mode."""
    return eval_mode(
        replace(
            prior, generator=copy.deepcopy(prior.generator), discriminator=copy.deepcopy(prior.discriminator)
        )
    )


def _share(report: Report, part: int, parts: int) -> Report:
    """Return a report of part number `part` of `parts` equal ones of the attack that `report` is told of."""

    def tell(stage: str, done: int, total: int, **metrics: float) -> None:
        report(stage, part * SHARE + SHARE * done // total, parts * SHARE, **metrics)

    return tell
