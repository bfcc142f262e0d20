"""SMILE against plain loops, away from every default."""

import math

import pytest
import torch
import toy_networks as toys
from away import away
from torch.nn import functional

from trainables.attacks import long_tailed
from trainables.attacks.long_tailed import new_experts
from trainables.attacks.smile import SMILE
from trainables.oracle import observe
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream

nevergrad = pytest.importorskip("nevergrad")
IDENTITIES = torch.tensor([3, 0, 2])
SEED = 4
TOP = 2  # of 5 labels; of the published 10, all would be rare alike


def truncated(generator, styles, psi: float, cutoff: int):
    layers = styles[:, None].repeat(1, generator.network.synthesis.layers, 1)
    layers[:, :cutoff] = generator.network.mapping.w_avg * (1 - psi) + psi * layers[:, :cutoff]
    return layers


def style_range(pool, spread: float):
    before = torch.where(pool < 0, pool * 5, pool)
    ends = [before.mean(0) + sign * spread * before.std(0, unbiased=False) for sign in (-1, 1)]
    return [torch.where(end < 0, end * 0.2, end) for end in ends]


def batch_loss(outputs, answers, seen, attack):
    """The loss image by image and expert by expert, with logits over 0.5, twice where experts are apart."""
    total = 0.0
    mean = sum(outputs) / len(outputs)
    for logits in outputs:
        apart = 0.0
        for b, answer in enumerate(answers):
            label = int(answer.argmax())
            weight = 0.1 / (1 - 0.9 ** (int(seen[label]) + 1))
            p, log_q = (2 * answer).softmax(0), (2 * logits[b]).log_softmax(0)
            distance = (p * ((2 * answer).log_softmax(0) - log_q)).sum()
            total = total + weight * (distance - attack.label_weight * logits[b].log_softmax(0)[label])
            own = (2 * (2 * logits[b]).clamp(-20, 20)).log_softmax(0)
            apart = apart + (own.exp() * (own - (2 * mean[b]).log_softmax(0))).sum() / len(answers)
        total = total + attack.diversity_weight / apart
    return total


def trained(attack, pictures, answers):
    """Return the surrogate's mean logits of images, after plain Adam from the same random weights."""
    pixels = (pictures * 255).round().clamp(0, 255) / 255
    seed = derive(SEED, "smile", "surrogate")
    made = new_experts(
        attack.surrogate,
        toys.CLASSES,
        toys.SIZE,
        count=attack.experts,
        path="",
        normalization=attack.normalization,
        seed=seed,
    )
    stages = list(made.trunk.stages.values())[:-1]

    def outputs(images):
        x = (images - made.trunk.mean) / made.trunk.std
        for stage in stages:
            x = stage(x)
        return [
            expert.head(expert.neck(list(expert.stages.values())[-1](x)))
            for expert in made.experts.children()
        ]

    made.train()
    adam = torch.optim.Adam(made.parameters(), lr=attack.surrogate_rate)
    seen = torch.zeros(toys.CLASSES)
    for answer in answers:
        seen[torch.argsort(answer, descending=True)[:TOP]] += 1
    for epoch in range(attack.epochs):
        order = torch.randperm(len(pixels), generator=stream(SEED, "surrogate", "order", epoch))
        for first in range(0, len(pixels) - attack.batch_size + 1, attack.batch_size):
            part = order[first : first + attack.batch_size]
            adam.zero_grad()
            batch_loss(outputs(pixels[part]), answers[part], seen, attack).backward()
            adam.step()
    made.eval()
    return lambda images: sum(outputs(images)) / attack.experts


@pytest.mark.parametrize("budget", [1, 7])
def test_smile(budget, monkeypatch):
    """With one question, NGOpt asks about its start: where the surrogate led to."""
    monkeypatch.setattr(long_tailed, "TOP", TOP)
    prior = toys.prior("stylegan2")
    target, generator = toys.target(prior), prior.generator
    attack = away(
        SMILE,
        but=("surrogate_path",),
        pool=14,
        psi=0.5,
        cutoff=4,
        spread=0.8,
        surrogate="small_cnn",
        normalization="imagenet",
        experts=2,
        epochs=2,
        batch_size=5,
        surrogate_rate=0.003,
        label_weight=0.4,
        diversity_weight=5.0,
        iterations=6,
        learning_rate=0.05,
        local_spread=0.6,
        budget=budget,
    )
    result = attack.invert(observe(target, "scores", "cpu"), prior, IDENTITIES, run=Run(seed=SEED))
    with torch.no_grad():
        pool = generator.network.mapping(
            torch.randn(14, toys.LATENT, generator=stream(SEED, "smile", "pool"))
        )

    def picture(styles):
        return generator.network.synthesis(truncated(generator, styles, attack.psi, attack.cutoff)) / 2 + 0.5

    with torch.no_grad():
        pictures = picture(pool).clamp(0, 1)
        answers = target(pictures).log_softmax(1)
    surrogate = trained(attack, pictures, answers)
    for place, identity in enumerate(IDENTITIES.tolist()):
        low, high = style_range(pool, attack.local_spread)
        style = pool[answers[:, identity].argmax()][None].clone().requires_grad_(True)
        adam = torch.optim.Adam([style])
        for step in range(1, attack.iterations + 1):
            t = step / attack.iterations
            fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))
            adam.param_groups[0]["lr"] = attack.learning_rate * fall * min(1.0, t / 0.05)
            adam.zero_grad()
            functional.cross_entropy(surrogate(picture(style)), torch.tensor([identity])).backward()
            adam.step()
            with torch.no_grad():
                style.copy_(torch.minimum(torch.maximum(style, low), high))
        low, high = (bound.double().numpy() for bound in style_range(pool, attack.spread))
        space = nevergrad.p.Array(init=style.detach()[0].double().numpy()).set_mutation(sigma=1)
        seed = derive(SEED, "smile", "evolution", identity) % 2**32
        space.random_state.seed(seed)
        search = nevergrad.optimizers.registry["NGOpt"](parametrization=space, budget=attack.budget)
        best, kept = -math.inf, None
        for _ in range(attack.budget):
            candidate = search.ask()
            candidate.value[:] = candidate.value.clip(low, high)
            asked = torch.from_numpy(candidate.value.copy()).float()[None]
            with torch.no_grad():
                score = target(picture(asked).clamp(0, 1)).log_softmax(1)[0, identity].item()
            search.tell(candidate, -score)
            if score > best:
                best, kept = score, asked
        assert budget > 1 or torch.equal(asked, style.detach())
        torch.testing.assert_close(result.latents[0, place], kept[0], rtol=1e-3, atol=1e-3)
    assert result.queries == 14 + 3 * budget and result.shared_queries == 14
