"""RLB-MI: one agent per identity learns, from scores alone, which latents the target gives to it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.attacks.base import (
    Attack,
    Learnt,
    Passes,
    Reconstructions,
    ThreatModel,
    chunk_size,
    to_pixels,
)
from trainables.attacks.optim.actor_critic import Agents
from trainables.attacks.optim.descent import Journal, sampled
from trainables.attacks.optim.rows import search_rows
from trainables.errors import TrialError
from trainables.method import length_knob
from trainables.oracle import ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.resumable_loop import resumable_loop
from trainables.runtime.run import Run
from trainables.runtime.upload import upload

MEASURED = ("identity_loss", "reward", "confidence")
SMALLEST = 1e-38  # of a probability, so that its logarithm stays finite

# the probabilities (m, K) of the images of latents (m, Z), with the head's noise (m, size)
Ask = Callable[[Tensor, Tensor], Tensor]


def reward(
    reached: Tensor,
    action: Tensor,
    identities: Tensor,
    *,
    state_weight: float,
    action_weight: float,
    margin_weight: float,
    floor: float,
) -> Tensor:
    """Return the reward (n,) of probabilities of two images: of the state that is `reached`, and of `action`.

    reached, action: (n, K).  The reward is a sum of three terms, each with its weight: ln p_y(reached),
    ln p_y(action), and ln max(floor, p_y(reached) - max_{j != y} p_j(reached)) (released code of RLB-MI).
    """
    own, own_action = (p.gather(1, identities[:, None]).squeeze(1) for p in (reached, action))
    others = reached.scatter(1, identities[:, None], -1.0).amax(1)
    return (
        state_weight * own.clamp(min=SMALLEST).log()
        + action_weight * own_action.clamp(min=SMALLEST).log()
        + margin_weight * (own - others).clamp(min=floor).log()
    )


@dataclass(frozen=True, kw_only=True)
class RLB(Attack):
    """RLB-MI: Han et al. 2023, "Reinforcement Learning-Based Black-Box Model Inversion Attacks".

    Follows the released code: a soft actor-critic agent per identity, in episodes of one step. The state is a
    random latent z, the action another latent a, the next state blend z + (1 - blend) a, and `reward` says
    how sure the target is of the identity there. After each episode the agent is tried on a fresh state; the
    reconstruction is the trial with the highest probability.

    Episodes of one step need no target networks, and the released code's two critics are one: they start from
    the same seed and learn from the same batches. Its agents all start from the same seed and meet the same
    states and noise; here too, so all agents learn at once, as rows of one batch.
    With blend 0, as published, action and next state are one image, which is asked about once, not twice.

    episodes: published 40,000.  hidden, replay, learning_rate: of the agent's networks, their batches, Adam.
    blend: the paper's alpha.  state_weight, action_weight, margin_weight, floor: of `reward`.
    """

    kind: ClassVar[str] = "rlb"
    summary: ClassVar[str] = "score-based reinforcement learning in the latent space of a GAN"
    source: ClassVar[str] = "Han et al., CVPR 2023 (RLB-MI)"
    threat_model: ClassVar[ThreatModel] = "scores"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"episodes": 1000, "replay": 64, "hidden": 64},
    }

    episodes: int = length_knob(40_000)
    hidden: int = 256
    replay: int = 256
    learning_rate: float = 5e-4
    blend: float = 0.0
    state_weight: float = 2.0
    action_weight: float = 2.0
    margin_weight: float = 8.0
    floor: float = 1e-7

    def __post_init__(self) -> None:
        at_least(self, 1, "episodes", "hidden", "replay")
        at_least(self, 0, "blend", "state_weight", "action_weight", "margin_weight")
        above(self, 0, "learning_rate", "floor")
        if self.blend >= 1:
            raise ValueError(f"blend must be less than 1; got {self.blend}")

    def passes(self) -> Passes:
        """Return what one identity costs; the agent's own learning is not in it."""
        images = self.episodes * (3 if self.blend else 2)
        return Passes(generator_forward=images + 1, target_forward=images)

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return random latents of which `blend` is the state's and the rest an action in (-1, 1)."""
        return self.blend * normals + (1 - self.blend) * torch.tanh(normals)

    def reconstruct(
        self, target: ScoreOracle, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (1, N) reconstructions; see `Attack.reconstruct`.

        history: ``{"iteration", "identity_loss", "reward", "confidence"}``: -ln p of the identity, the reward
        and the highest probability in a trial so far, means over identities.
        """
        rows, images = len(identities), 3 if self.blend else 2  # of one identity in one question

        def ask(latents: Tensor, noise: Tensor) -> Tensor:
            with torch.no_grad():
                return target(prior.generator(latents), noise)

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor, Tensor]:
            labels = identities[first:stop].to(run.device)
            latents, measured = self.learn(ask, labels, prior.latent_size, target.noise_size, run, journal)
            with torch.no_grad():
                return latents, to_pixels(prior.generator(latents)), measured * (stop - first)

        (latents, pixels), history = search_rows(
            search, rows, chunk_size(run) // images, self.episodes, run=run, measured=MEASURED
        )
        return Reconstructions(
            latents=latents[None],
            images=pixels[None],
            history=history,
            queries=rows * self.episodes * images,
        )

    def learn(
        self, ask: Ask, labels: Tensor, size: int, noise_size: int, run: Run, journal: Journal
    ) -> tuple[Tensor, Tensor]:
        """Return the best latents (n, Z), and the `MEASURED` at `sampled` episodes, (P, 3).

        labels: (n,) on the device.  size: numbers in a latent, Z.  noise_size: of the target's head.
        """
        device, rows, points = labels.device, len(labels), set(sampled(self.episodes))
        agents = Agents(
            rows,
            size,
            self.hidden,
            self.episodes,
            learning_rate=self.learning_rate,
            generator=run.stream("rlb", "weights"),
            device=device,
        )
        course: list[Tensor] = []
        best, score = torch.zeros(rows, size, device=device), torch.full((rows,), -1.0, device=device)
        measured = torch.zeros(len(MEASURED))
        saved = journal.resume.read(journal.name)
        if saved is not None:
            agents.load(saved)
            course = list(saved["kept"].to(device))
            best, score = saved["best"].to(device), saved["score"].to(device)

        @torch.no_grad()
        def gain(state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
            """Return the rewards of `action`, and the probability of its image for the identity, (n,)."""
            reached = probabilities = ask(action, noise[0])
            if self.blend:
                reached = ask(self.blend * state + (1 - self.blend) * action, noise[1])
            rewards = reward(
                reached,
                probabilities,
                labels,
                state_weight=self.state_weight,
                action_weight=self.action_weight,
                margin_weight=self.margin_weight,
                floor=self.floor,
            )
            return rewards, probabilities.gather(1, labels[:, None])

        def episodes() -> Iterator[bool]:
            nonlocal best, score, measured
            for episode in range(agents.episode, self.episodes):
                draw = run.stream("rlb", "episode", episode)
                drawn = upload(torch.randn(2 * size + 3, generator=draw), device)
                noise = self._head_noise(labels, noise_size, episode, run)
                start, trial = drawn[:size], drawn[size : 2 * size]
                with torch.no_grad():
                    action = agents.act(start, drawn[-3])
                rewards, own = gain(start, action, noise)
                agents.remember(start, action, rewards)
                if agents.episode > self.replay:
                    order = torch.randperm(agents.episode, generator=draw)[: self.replay]
                    agents.learn(upload(order, device), drawn[-2])
                with torch.no_grad():
                    reached = self.blend * trial + (1 - self.blend) * agents.act(trial, drawn[-1])
                    confidence = ask(reached, noise[2]).gather(1, labels[:, None]).squeeze(1)
                    better = confidence >= score
                    best = torch.where(better[:, None], reached, best)
                    score = torch.where(better, confidence, score)
                    loss = own.clamp(min=SMALLEST).log().neg().mean()
                    measured = torch.stack((loss, rewards.mean(), score.mean()))
                if episode in points:
                    course.append(measured)
                yield agents.episode == self.episodes

        def tell() -> None:
            values = measured.tolist()
            if not all(value == value for value in values):
                raise TrialError(
                    f"the attack's rewards are not numbers at episode {agents.episode} of {self.episodes}"
                )
            journal.progress(agents.episode, *values)

        def save() -> None:
            course_so_far = torch.stack(course).cpu()
            state = {**agents.state(), "kept": course_so_far, "best": best.cpu(), "score": score.cpu()}
            journal.resume.write(journal.name, state)

        resumable_loop(episodes(), tell, save, journal.resume)
        return best, torch.stack(course).cpu()

    @staticmethod
    def _head_noise(labels: Tensor, size: int, episode: int, run: Run) -> Tensor:
        """Return noise (3, n, size) of the target's head, for the questions of one episode."""
        if not size:
            return torch.empty(3, len(labels), 0, device=labels.device)
        rows = [
            torch.randn(3, size, generator=run.stream("rlb", "head", label, episode))
            for label in labels.tolist()
        ]
        return torch.stack(rows, 1).to(labels.device)
