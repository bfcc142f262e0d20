"""The base of attacks: from a target and a prior to images of the attacked identities."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.errors import ConfigError, TrialError
from trainables.method import Method
from trainables.nn.conditional_gan import ConditionalGenerator, with_labels
from trainables.nn.inference import inference_copy
from trainables.oracle import Oracle, seen_as
from trainables.priors.base import PriorNetworks, inference_prior
from trainables.runtime.run import Run
from trainables.runtime.short_run import ShortRun, of_epochs

ThreatModel = Literal["white-box", "scores", "labels"]

TOLERANCE = 1e-3  # of a generator's range, for half precision
Learnt = Mapping[str, Any] | None  # what an `Auxiliary` has made
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Reconstructions:
    """The result of an attack, on the CPU; R restarts of N identities.

    latents: float32 (R, N, Z), whatever the attack searched in, flattened.
    images: uint8 (R, N, 3, S, S), the generator's images in 8 bits.
    history: some 50 points of ``{"iteration", "identity_loss", "prior_loss"}``, means over all rows, taken
    before the step of that iteration; an attack without losses gives what it has.
    queries: how many images the target was asked about, where the attacker must ask (scores, labels).
    shared_queries: how many of them serve all identities: fewer identities would not make them fewer.
    """

    latents: Tensor
    images: Tensor
    history: list[dict[str, float]]
    queries: int | None = None
    shared_queries: int = 0


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Costs of an attack for one identity: images put forward through, and back through, the networks.

    surrogate: each of the networks that stand in for the target, the prior's or the attack's own.
    """

    generator_forward: int
    generator_backward: int = 0
    target_forward: int
    target_backward: int = 0
    surrogate_forward: int = 0
    surrogate_backward: int = 0

    @classmethod
    def descents(cls, starts: int, steps: int, *, views: int = 1, images: int | None = None) -> "Passes":
        """Return the costs of `steps` from each of `starts`, the target seeing `views` of every image.

        images: how many are made at the end; by default one from each start.
        """
        count = starts * steps
        return cls(
            generator_forward=count + (starts if images is None else images),
            generator_backward=count,
            target_forward=views * count,
            target_backward=views * count,
        )

    def __add__(self, other: "Passes") -> "Passes":
        """Return the costs of both."""
        mine, theirs = asdict(self), asdict(other)
        return Passes(**{name: count + theirs[name] for name, count in mine.items()})

    def __mul__(self, factor: int) -> "Passes":
        """Return the costs of so many identities."""
        return Passes(**{name: count * factor for name, count in asdict(self).items()})


@dataclass(frozen=True, kw_only=True)
class Auxiliary(Method):
    """Knowledge of a target, learnt from public images before an attack knows whom to attack.

    The result is kept in the store under its knobs, the target and the images.

    needs_target: whether it asks the target; one that does not is made once for all targets.
    """

    needs_target: ClassVar[bool] = True

    @property
    def epochs(self) -> int:
        """Return the passes over the public images; as a knob, it is what a miniature run shortens to 1."""
        return 1

    @property
    def batch_size(self) -> int:
        """Return how many images a step takes."""
        return 64

    @property
    def drops_last_batch(self) -> bool:
        """Return whether a pass over the public images leaves out those that fill no whole batch."""
        return False

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return what to run, on `few` of the `public` images, to price it; classes: of the target."""
        return of_epochs(self, few, public)

    def make(self, target: Any, public: Images, *, run: Run) -> dict[str, Any]:
        """Return tensors and plain values for ``torch.save``, on the CPU; reports as stage "auxiliary"."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Attack(Method):
    """The base of all attacks: knobs and one verb, `invert`. Register a subclass in ``attacks.ATTACKS``.

    threat_model: what the attacker sees of the target: its gradients, its scores, or only its labels.
    presets: name -> knobs; "paper" holds the published settings and "cpu" some for a machine without a GPU.
    An attack that asks for a prior of its own kind puts one under "prior".
    is_prefix_of_longer: whether a run of fewer ``iterations`` is the beginning of a longer one of the same
    knobs, which can then take up the state that the shorter one has saved at its end.
    reports_prior_queries: whether its count of queries holds those that its prior was trained with.
    """

    threat_model: ClassVar[ThreatModel]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    is_prefix_of_longer: ClassVar[bool] = False
    reports_prior_queries: ClassVar[bool] = False

    @property
    def auxiliary(self) -> Auxiliary | None:
        """Return the recipe of what `invert` wants as `auxiliary`; None where it learns nothing first."""
        return None

    @property
    def restarts(self) -> int:
        """Return how many reconstructions of each identity it gives; as a knob, independent starts."""
        return 1

    @property
    def group_size(self) -> int:
        """Return how many neighbouring identities the losses compare: 1 where each is on its own.

        N identities are cut into groups of so many, in their order; a group must be attacked as a whole.
        """
        return 1

    def check_size(self, image_size: int) -> None:
        """Raise `ConfigError` if a network that it trains beside the target does not take such images."""

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the attack can search in `prior`, whose networks may be untrained.

        An attack that does not override this takes no prior whose latents hold a label, which it would change
        as if it were a normal number, and so draw others than whom it attacks.
        """
        if isinstance(prior.generator, ConditionalGenerator):
            raise ConfigError(
                f"attack '{self.kind}' expects a prior whose latents are normal numbers; got one that makes "
                "images of an identity (prior); choose another prior, such as 'eigenfaces' or 'gmi'"
            )

    def passes(self) -> Passes:
        """Return what one identity costs."""
        raise NotImplementedError

    def shared_passes(self) -> Passes:
        """Return what is done once for all identities."""
        return Passes(generator_forward=0, target_forward=0)

    def surrogate_network(self, classes: int, image_size: int) -> nn.Module | None:
        """Return a network like the surrogate that the attack trains; None where it trains none."""
        return None

    def prepare_prior(self, prior: PriorNetworks, device: str) -> PriorNetworks:
        """Return `prior` as `reconstruct` takes it: copies of its networks."""
        return inference_prior(prior, device)

    def unguided(self, prior: PriorNetworks, count: int, *, run: Run) -> Tensor:
        """Return what the attack draws of `prior` where no target says anything, uint8 (count, 3, S, S).

        The floor of every attack: random latents within the bounds of the attack (`unguided_latents`), with a
        label drawn at random where the generator takes one. An attack that returns what another space than
        the latents' holds overrides this. The networks are as for `invert`; the pictures are on the CPU.
        """
        generator = run.stream("unguided", "latents")
        conditional = isinstance(prior.generator, ConditionalGenerator)
        normals = torch.randn(count, prior.latent_size - conditional, generator=generator)
        latents = self.unguided_latents(normals)
        if isinstance(prior.generator, ConditionalGenerator):
            labels = torch.randint(prior.generator.classes, (count,), generator=generator)
            latents = with_labels(latents, labels)
        return render(prior.generator, latents, run)

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return latents as the attack starts and bounds them, of standard normal numbers (n, Z)."""
        return normals

    def invert(
        self,
        target: Any,
        prior: PriorNetworks,
        identities: Tensor,
        *,
        run: Run,
        auxiliary: Mapping[str, Any] | None = None,
    ) -> Reconstructions:
        """Return reconstructions of `identities`, int64 (N,) labels of the target.

        target: a `Classifier` for a white-box attack, else an oracle (``trainables.oracle``).
        The networks lie on the device of `run` and are left as they are: weights, modes, ``requires_grad``.
        At most ``run.batch_size`` images are worked on at once (None: `rows_at_once`); that does not change
        the result beyond the rounding of floats. An identity's result does not depend on which others are
        attacked, unless the docstring of the attack says which group its loss couples.
        A killed run gives what it would have given, if ``run.resume`` finds what it saved.
        Raises `ConfigError` for identities that the target does not have, a prior that does not fit it or a
        target that shows too little; `TrialError` if a loss is not finite or not even one image fits into
        memory.
        """
        if self.threat_model == "white-box":
            target = inference_copy(target, run.device)
        self.check_prior(prior)
        prior = self.prepare_prior(prior, run.device)
        check_fit(target, prior, identities, run.device, self.threat_model)
        return self.reconstruct(target, prior, identities.cpu(), run, auxiliary)

    def reconstruct(
        self, target: Any, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return what `invert` does, of networks that fit: copies for the attack, or the target's oracle.

        identities: int64 (N,) on the CPU.
        """
        raise NotImplementedError


def rows_at_once(device: str) -> int:
    """Return how many images to work on at once: what a CPU's cache likes, or what fills a GPU."""
    return 60 if device == "cpu" else 1024


def chunk_size(run: Run) -> int:
    """Return how many images `run` works on at once: as many as it says, or `rows_at_once`."""
    return run.batch_size or rows_at_once(run.device)


def in_chunks(rows: int, size: int, work: Callable[[int, int], Result]) -> list[Result]:
    """Return ``[work(first, stop), ...]`` over `rows` rows in chunks of `size`, smaller where memory ends.

    A chunk that runs out of GPU memory is started again with half as many rows.
    """
    results: list[Result] = []
    first = 0
    while first < rows:
        stop = min(first + size, rows)
        try:
            results.append(work(first, stop))
        except torch.OutOfMemoryError as error:
            if stop - first == 1:
                raise TrialError(
                    "not even one image of the attack fits into the memory of the GPU"
                ) from error
            size = (stop - first + 1) // 2
        else:
            first = stop
            continue
        torch.cuda.empty_cache()  # outside the handler, where the failed chunk's tensors are gone
    return results


def all_chunks(rows: int, size: int, work: Callable[[int, int], Tensor]) -> Tensor:
    """Return the tensors (n, …) of `in_chunks` as one, (rows, …) on the CPU; without gradients."""
    with torch.no_grad():
        return torch.cat(in_chunks(rows, size, lambda first, stop: work(first, stop).cpu()))


def answers(
    oracle: Oracle, images: Callable[[Tensor], Tensor], latents: Tensor, noise: Tensor, run: Run
) -> Tensor:
    """Return what `oracle` says of the ``images(latents)`` of latents (n, Z), on the CPU.

    noise: (n, noise_size) for a target with a stochastic head, see `Oracle`.
    """

    def work(first: int, stop: int) -> Tensor:
        answer: Tensor = oracle(images(latents[first:stop].to(run.device)), noise[first:stop])
        return answer

    return all_chunks(len(latents), chunk_size(run), work)


def check_fit(
    target: Classifier | Oracle,
    prior: PriorNetworks,
    identities: Tensor,
    device: str,
    threat_model: ThreatModel = "white-box",
) -> None:
    """Raise `ConfigError` unless the target takes the prior's images, has all `identities` and shows enough.

    The networks are in eval mode. threat_model: of the attack; the target must be a `Classifier` for a
    white-box attack, else the oracle of that threat model, no more and no less.
    """
    if seen_as(target) != threat_model:
        shows = {"white-box": "a Classifier", "scores": "a ScoreOracle", "labels": "a LabelOracle"}
        raise ConfigError(
            f"a {threat_model} attack expects {shows[threat_model]}; got a {type(target).__name__} (target); "
            "hand it observe(target, threat_model, device) of trainables.oracle"
        )
    with torch.no_grad():
        zeros = torch.zeros(1, prior.latent_size, device=device)
        images = _taken(
            prior.generator,
            zeros,
            f"the attack expects a prior whose generator takes latents of {prior.latent_size} numbers; got",
            "give the latent size that it was built for",
        )
        if images.ndim != 4 or images.shape[1] != 3:
            raise ConfigError(
                f"the attack expects a prior of images (N, 3, S, S), got {tuple(images.shape)} (prior); "
                "choose another prior"
            )
        low, high = images.min().item(), images.max().item()
        if not -TOLERANCE <= low <= high <= 1 + TOLERANCE:
            raise ConfigError(
                f"the attack expects a prior of images in [0, 1], got values from {low:.3g} to {high:.3g} "
                "(prior); bring its images into that range"
            )
        if isinstance(target, Oracle):  # which counts every question
            classes = target.classes
        else:
            size = f"{images.shape[2]} x {images.shape[3]}"
            expected = f"the attack expects a prior whose images the target takes; got {size} pixels and"
            classes = _taken(target, images, expected, "train both for one image size").shape[1]
    if len(identities) == 0 or identities.min() < 0 or identities.max() >= classes:
        raise ConfigError(
            f"the attack expects identities from 0 to {classes - 1}, the target's classes; got "
            f"{identities.tolist()[:8]} (identities); ask for at most {classes} identities"
        )


def _taken(network: nn.Module, given: Tensor, expected: str, remedy: str) -> Tensor:
    """Return what `network` makes of `given`; raise `ConfigError` if its layers do not take that."""
    try:
        made: Tensor = network(given)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{expected}: {reason} (prior); {remedy}") from error
    return made


def to_pixels(images: Tensor) -> Tensor:
    """Return images in [0, 1] as uint8, rounded to the nearest level.

    The published evaluation also goes through 8 bits, but cuts fractions off: half a level darker on average.
    """
    return images.mul(255).round().clamp(0, 255).to(torch.uint8)


def render(images: Callable[[Tensor], Tensor], latents: Tensor, run: Run) -> Tensor:
    """Return ``images(latents)`` in 8 bits on the CPU, uint8 (…, 3, S, S), of latents (…, Z)."""
    rows = latents.flatten(0, -2)

    def work(first: int, stop: int) -> Tensor:
        return to_pixels(images(rows[first:stop].to(run.device)))

    pixels = all_chunks(len(rows), chunk_size(run), work)
    return pixels.reshape(*latents.shape[:-1], *pixels.shape[1:])
