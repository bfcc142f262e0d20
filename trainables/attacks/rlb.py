"""RLB-MI: one agent per identity learns, from scores alone, which latents the target gives to it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.attacks.base import (
    Attack,
    Passes,
    Reconstructions,
    ThreatModel,
    check_fit,
    chunk_size,
    in_chunks,
    to_pixels,
)
from trainables.attacks.optim.descent import DescentState, adam_step, sampled
from trainables.errors import TrialError
from trainables.method import length_knob
from trainables.nn.inference import inference_copy
from trainables.oracle import ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream
from trainables.storage.resume import Resume

LOG_STD = (-20.0, 2.0)  # bounds of the policy's log standard deviation
SMALLEST = 1e-38  # of a probability, so that its logarithm stays finite

# the probabilities (m, K) of the images of latents (m, Z), with the head's noise (m, size)
Ask = Callable[[Tensor, Tensor], Tensor]


def reward(
    here: Tensor,
    there: Tensor,
    identities: Tensor,
    *,
    state_weight: float,
    action_weight: float,
    margin_weight: float,
    floor: float,
) -> Tensor:
    """Return the reward (n,) of probabilities after the step, `here`, and of the action's image, `there`.

    here, there: (n, K).  The reward is a sum of three terms, each with its weight: ln p_y(here),
    ln p_y(there), and ln max(floor, p_y(here) - max_{j != y} p_j(here)) (released code of RLB-MI).
    """
    own, own_there = (p.gather(1, identities[:, None]).squeeze(1) for p in (here, there))
    others = here.scatter(1, identities[:, None], -1.0).amax(1)
    return (
        state_weight * own.clamp(min=SMALLEST).log()
        + action_weight * own_there.clamp(min=SMALLEST).log()
        + margin_weight * (own - others).clamp(min=floor).log()
    )


def layers(x: Tensor, parameters: DescentState, network: str, depth: int) -> Tensor:
    """Return what `network` makes of x (n, B, in): linear layers 0 to `depth` - 1, ReLU after each but 2.

    Weights are (n, in, out) and biases (n, 1, out): every row has a network of its own.
    """
    for number in range(depth):
        x = torch.baddbmm(parameters[f"{network}.{number}.bias"], x, parameters[f"{network}.{number}.weight"])
        x = x.relu() if number < 2 else x
    return x


def policy(parameters: DescentState, states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return actions (n, B, Z) in (-1, 1) and the mean over Z of their log densities (n, B).

    a = tanh(mu + e sigma) with one standard normal number e for all, as in the released code, which takes the
    mean of the log densities where the paper on SAC has their sum.
    """
    mu, log_std = layers(states, parameters, "actor", 3).chunk(2, dim=2)
    log_std = log_std.clamp(*LOG_STD)
    actions = torch.tanh(mu + noise * log_std.exp())
    normal = -0.5 * noise.square() - log_std - 0.9189385332046727  # ½ ln 2π
    return actions, (normal - torch.log(1 - actions.square() + 1e-6)).mean(2)


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
        return Passes(
            generator_forward=images + 1, generator_backward=0, target_forward=images, target_backward=0
        )

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return random latents of which `blend` is the state's and the rest an action in (-1, 1)."""
        return self.blend * normals + (1 - self.blend) * torch.tanh(normals)

    def invert(
        self,
        target: ScoreOracle,
        prior: PriorNetworks,
        identities: Tensor,
        *,
        run: Run,
        auxiliary: Mapping[str, Any] | None = None,
    ) -> Reconstructions:
        """Return (1, N) reconstructions; see `Attack.invert`.

        history: ``{"iteration", "identity_loss", "reward", "confidence"}``: -ln p of the identity, the reward
        and the highest probability in a trial so far, means over identities.
        """
        prior = PriorNetworks(
            inference_copy(prior.generator, run.device), prior.discriminator, prior.latent_size
        )
        check_fit(target, prior, identities, run.device, self.threat_model)
        identities, rows, finished = identities.cpu(), len(identities), 0
        asked = 3 if self.blend else 2  # images of one identity in one question

        def ask(latents: Tensor, noise: Tensor) -> Tensor:
            with torch.no_grad():
                return target(prior.generator(latents), noise)

        def work(first: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
            nonlocal finished

            def progress(episode: int, values: list[float]) -> None:
                done, named = finished + episode * (stop - first), dict(zip(_MEASURED, values, strict=True))
                run.report("attack", done, rows * self.episodes, **named)

            latents, measured = self.learn(
                ask,
                identities[first:stop].to(run.device),
                prior.latent_size,
                target.noise_size,
                seed=run.seed,
                progress=progress,
                resume=run.resume,
                name=f"rows-{first}-{stop}",
            )
            with torch.no_grad():
                pixels = to_pixels(prior.generator(latents))
            finished += (stop - first) * self.episodes
            return latents.cpu(), pixels.cpu(), measured * (stop - first)

        size = max(1, chunk_size(run) // asked)
        chunks = in_chunks(rows, size, work)
        mean = torch.stack([measured for _, _, measured in chunks]).sum(0) / rows
        return Reconstructions(
            latents=torch.cat([latents for latents, _, _ in chunks])[None],
            images=torch.cat([pixels for _, pixels, _ in chunks])[None],
            history=[
                {"iteration": float(episode), **dict(zip(_MEASURED, values, strict=True))}
                for episode, values in zip(sampled(self.episodes), mean.tolist(), strict=True)
            ],
            queries=rows * self.episodes * asked,
        )

    def learn(
        self,
        ask: Ask,
        labels: Tensor,
        size: int,
        noise_size: int,
        *,
        seed: int,
        progress: Callable[[int, list[float]], None],
        resume: Resume,
        name: str,
    ) -> tuple[Tensor, Tensor]:
        """Return the best latents (n, Z), and what was measured at `sampled` episodes, (P, 3).

        labels: (n,) on the device.  size: numbers in a latent, Z.  noise_size: of the target's head.
        """
        device, rows = labels.device, len(labels)
        keep, kept, begin = set(sampled(self.episodes)), [], 0
        parameters = {key: value.to(device) for key, value in self.agents(rows, size, seed).items()}
        zeros = {key: torch.zeros_like(value) for key, value in parameters.items()}
        moments: dict[str, DescentState] = {"first": zeros, "second": dict(zeros)}
        learnt = 0
        states = torch.zeros(self.episodes, size, device=device)
        actions = torch.zeros(rows, self.episodes, size, device=device)
        rewards = torch.zeros(rows, self.episodes, device=device)
        best = torch.zeros(rows, size, device=device)
        score = torch.full((rows,), -1.0, device=device)
        saved = resume.read(name)
        if saved is not None:
            begin, learnt, kept = saved["episode"], saved["learnt"], list(saved["kept"].to(device))
            parameters = {key: value.to(device) for key, value in saved["parameters"].items()}
            moments = {
                kind: {key: value.to(device) for key, value in saved[kind].items()} for kind in moments
            }
            states[:begin], actions[:, :begin] = saved["states"].to(device), saved["actions"].to(device)
            rewards[:, :begin] = saved["rewards"].to(device)
            best, score = saved["best"].to(device), saved["score"].to(device)
        last_report = time.monotonic()
        for episode in range(begin, self.episodes):
            draw = stream(seed, "rlb", "episode", episode)
            drawn, order = torch.randn(2 * size + 3, generator=draw).to(device), None
            if episode + 1 > self.replay:
                order = torch.randperm(episode + 1, generator=draw)[: self.replay].to(device)
            head = [
                torch.randn(3, noise_size, generator=stream(seed, "rlb", "head", label, episode))
                for label in (labels.tolist() if noise_size else [])
            ]
            noise = torch.stack(head, 1).to(device) if head else torch.empty(3, rows, 0, device=device)
            start, trial = drawn[:size], drawn[size : 2 * size]
            with torch.no_grad():
                action = self._act(parameters, start, drawn[-3], rows)
                there = ask(action, noise[0])
                here = there
                if self.blend:
                    here = ask(self.blend * start + (1 - self.blend) * action, noise[1])
                gain = reward(
                    here,
                    there,
                    labels,
                    state_weight=self.state_weight,
                    action_weight=self.action_weight,
                    margin_weight=self.margin_weight,
                    floor=self.floor,
                )
            states[episode], actions[:, episode], rewards[:, episode] = start, action, gain
            if order is not None:
                learnt += 1
                parameters = self.update(
                    parameters,
                    moments,
                    states[order].expand(rows, -1, -1),
                    actions[:, order],
                    rewards[:, order],
                    drawn[-2],
                    learnt,
                )
            with torch.no_grad():
                tried = self._act(parameters, trial, drawn[-1], rows)
                reached = self.blend * trial + (1 - self.blend) * tried
                sure = ask(reached, noise[2]).gather(1, labels[:, None]).squeeze(1)
                better = sure >= score
                best, score = torch.where(better[:, None], reached, best), torch.where(better, sure, score)
                own = there.gather(1, labels[:, None]).clamp(min=SMALLEST).log().neg().mean()
                measured = torch.stack((own, gain.mean(), score.mean()))
            if episode in keep:
                kept.append(measured)
            last = episode == self.episodes - 1
            if last or time.monotonic() - last_report > 1:
                values = measured.tolist()
                if not all(value == value for value in values):
                    raise TrialError(
                        f"the attack's rewards are not numbers at episode {episode + 1} of {self.episodes}"
                    )
                progress(episode + 1, values)
                last_report = time.monotonic()
            if last or resume.due():
                done = episode + 1
                state = {
                    "episode": done,
                    "learnt": learnt,
                    "kept": torch.stack(kept).cpu(),
                    "parameters": {key: value.cpu() for key, value in parameters.items()},
                    **{
                        kind: {key: value.cpu() for key, value in each.items()}
                        for kind, each in moments.items()
                    },
                    "states": states[:done].cpu(),
                    "actions": actions[:, :done].cpu(),
                    "rewards": rewards[:, :done].cpu(),
                    "best": best.cpu(),
                    "score": score.cpu(),
                }
                resume.write(name, state)
        return best, torch.stack(kept).cpu()

    @staticmethod
    def _act(parameters: DescentState, state: Tensor, noise: Tensor, rows: int) -> Tensor:
        """Return the agents' actions (n, Z) in a state (Z,) that all of them are in."""
        actions, _ = policy(parameters, state.expand(rows, 1, -1), noise)
        return actions.squeeze(1)

    def agents(self, rows: int, size: int, seed: int) -> DescentState:
        """Return the weights of `rows` equal agents: actor, critic and the log of the entropy's weight.

        Uniform within 1 / sqrt(fan in), but the critic's weights: within 1 / sqrt(fan out), the last 0.003.
        """
        generator = stream(seed, "rlb", "weights")
        shapes = {
            "actor": [(size, self.hidden), (self.hidden, self.hidden), (self.hidden, 2 * size)],
            "critic": [(2 * size, self.hidden), (self.hidden, self.hidden), (self.hidden, 1)],
        }
        parameters: DescentState = {}
        for network, sizes in shapes.items():
            for number, (fan_in, fan_out) in enumerate(sizes):
                bound = fan_in**-0.5
                if network == "critic":
                    bound = 3e-3 if number == 2 else fan_out**-0.5
                for part, shape, limit in (
                    ("weight", (fan_in, fan_out), bound),
                    ("bias", (1, fan_out), fan_in**-0.5),
                ):
                    drawn = (2 * torch.rand(shape, generator=generator) - 1) * limit
                    parameters[f"{network}.{number}.{part}"] = drawn.repeat(rows, 1, 1)
        parameters["log_alpha"] = torch.zeros(rows)
        return parameters

    def update(
        self,
        parameters: DescentState,
        moments: dict[str, DescentState],
        states: Tensor,
        actions: Tensor,
        rewards: Tensor,
        noise: Tensor,
        steps: int,
    ) -> DescentState:
        """Return the weights after one step of the critic, then of the actor and of the entropy's weight.

        states, actions: (n, B, Z); rewards: (n, B).  moments: of Adam, changed in place.  steps: how many
        were done, this one included.
        """
        parameters = dict(parameters)

        def descend(loss: Callable[[DescentState], Tensor], network: str) -> None:
            names = [key for key in parameters if key.startswith(network)]
            leaves = {key: parameters[key].detach().requires_grad_(True) for key in names}
            gradients = torch.autograd.grad(loss(parameters | leaves), list(leaves.values()))
            for key, gradient in zip(names, gradients, strict=True):
                parameters[key], moments["first"][key], moments["second"][key] = adam_step(
                    parameters[key],
                    moments["first"][key],
                    moments["second"][key],
                    gradient,
                    steps=steps,
                    learning_rate=self.learning_rate,
                )

        def critic_loss(p: DescentState) -> Tensor:
            value = layers(torch.cat((states, actions), 2), p, "critic", 3).squeeze(2)
            return 0.5 * (value - rewards).square().mean(1).sum()  # each agent's own mean

        descend(critic_loss, "critic")
        alpha = parameters["log_alpha"].exp()
        size = actions.shape[2]

        def actor_loss(p: DescentState) -> Tensor:
            chosen, log_density = policy(p, states, noise)
            value = layers(torch.cat((states, chosen), 2), p, "critic", 3).squeeze(2)
            return (alpha[:, None] * log_density - value).mean(1).sum()

        with torch.no_grad():
            _, log_density = policy(parameters, states, noise)
        descend(actor_loss, "actor")  # with the entropy's weight of before its step, and the other way round
        # the target entropy is -Z; a descent on -log_alpha (log density + target entropy)
        descend(lambda p: -(p["log_alpha"] * (log_density.mean(1) - size)).sum(), "log_alpha")
        return parameters


_MEASURED = ("identity_loss", "reward", "confidence")
