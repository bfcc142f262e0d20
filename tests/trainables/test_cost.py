import dataclasses

import pytest
import torch
from picture_folders import write_pictures

from trainables import cost
from trainables.attacks.smile import SMILE
from trainables.config import load_trial
from trainables.cost import STAGES, estimate
from trainables.nn import inference, precision
from trainables.priors.eigenfaces import Portraits
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.duration import Duration
from trainables.stages.target import new_target
from trainables.storage.documents import merge

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 1},
    "target": {"architecture": "small_cnn", "epochs": 2},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 2, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 50, "restarts": 2},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
}


def test_the_estimate_names_the_stages_and_grows_with_the_work():
    small = estimate(load_trial(DOCUMENT))
    assert tuple(small) == STAGES
    assert small.pop("pretrained").low > 0 and all(seconds.low > 0 for seconds in small.values())
    thousand = {"attack.iterations": 50_000, "prior.epochs": 2_000, "target.epochs": 2_000}
    large = merge(DOCUMENT, {**thousand, "judge.epochs": 1_000, "pretraining.kind": "none"})
    big = estimate(load_trial(large))
    assert big["pretrained"] == Duration.exactly(0)
    same = small.pop("evaluation").middle
    assert big["evaluation"].middle / same < 30  # as many reconstructions
    for stage, seconds in small.items():
        assert 30 < big[stage].middle / seconds.middle < 30_000  # a busy machine hides no factor 1000


def test_weights_from_a_file_cost_what_it_takes_to_ask_them_of_the_private_people(monkeypatch):
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), Duration.exactly(2.0))[1])
    given = {"kind": "checkpoint", "path": "weights.pt"}
    document = {**DOCUMENT, "pretraining": given, "target": {**DOCUMENT["target"], "batch_size": 4}}
    # 2 seconds for the 8 images of two batches, and all 32 are asked
    assert estimate(load_trial(document), stages=["pretrained"])["pretrained"] == Duration.exactly(8.0)


def test_a_backbone_is_priced_by_the_images_that_it_learns(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), Duration.exactly(2.0))[1])
    learnt = [f"train/{person}/{number}.png" for person in "ab" for number in range(10)]
    reserved = [f"test/{person}/{number}.png" for person in "ab" for number in range(30)]
    write_pictures(tmp_path / "learnt", *learnt)
    write_pictures(tmp_path / "reserved", *learnt, *reserved)
    some, same = (
        estimate(
            load_trial(merge(DOCUMENT, {"pretraining.data": {"kind": "image_folder", "root": str(root)}})),
            stages=["pretrained"],
        )["pretrained"]
        for root in (tmp_path / "learnt", tmp_path / "reserved")
    )
    assert some == same


def test_an_attack_is_priced_in_the_numbers_that_it_computes_with(monkeypatch):
    monkeypatch.setattr(cost, "_seconds", lambda work, device: Duration.exactly(1.0))
    seen = []
    monkeypatch.setattr(
        inference,
        "apply_precision",
        lambda network, device: (seen.append(precision._current.get()), network)[1],
    )
    for form in ("bfloat16", "float32"):
        plan = {"attack.precision": form, "attack.compile": True}
        estimate(load_trial(merge(DOCUMENT, plan)), stages=["attack"])
        assert seen and {(used.number_format, used.compiled) for used in seen} == {(form, False)}
        seen.clear()


def test_passes_that_memory_does_not_hold_at_once_are_priced_in_parts(monkeypatch):
    """Three seconds a pass, however many images: whole, and of at most five in four parts of four."""
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), Duration.exactly(3.0))[1])
    linear = {"attack": {"kind": "map", "iterations": 8}, "prior": {"kind": "eigenfaces", "components": 12}}
    config, drawing = load_trial({**DOCUMENT, **linear}), Portraits.forward
    whole = estimate(config, stages=["attack"])["attack"]

    def small(self, latents):
        if len(latents) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return drawing(self, latents)

    monkeypatch.setattr(Portraits, "forward", small)
    (plan,) = config.attack
    passes = plan.attack.shared_passes() + plan.attack.passes() * 4
    parts = estimate(config, stages=["attack"])["attack"]
    assert parts.low - whole.low == pytest.approx(passes.generator_forward / cost.ROWS * (4 - 1) * 3.0)


def test_more_restarts_are_more_to_evaluate(monkeypatch):
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), Duration.exactly(2.0))[1])
    few, more = (
        estimate(load_trial(merge(DOCUMENT, {"attack.restarts": restarts})))["evaluation"]
        for restarts in (2, 10)
    )
    # 16 images at once, 4 identities, 2 restarts, a verdict and an opinion
    assert few == Duration.exactly(2.0 / 16 * 4 * 2 * 2)
    assert more == few * 5


def test_variants_spread_the_price_of_a_target(monkeypatch):
    prices = {"none": 1.0, "mid": 4.0, "bido": 7.0}

    def price(config, data, device):
        return Duration.exactly(prices[config.defense.kind])

    monkeypatch.setattr(cost, "_target", price)
    config = load_trial(DOCUMENT)
    others = [load_trial(merge(DOCUMENT, {"defense": {"kind": kind}})) for kind in ("none", "mid", "bido")]
    other_data = load_trial(merge(DOCUMENT, {"image_size": 64, "defense": {"kind": "bido"}}))
    assert estimate(config)["target"] == Duration.exactly(1.0)
    assert estimate(config, variants=[other_data])["target"] == Duration.exactly(1.0)
    mean = (1.0 + 4.0 + 7.0) / 3
    assert estimate(config, variants=others)["target"] == Duration(low=(1 + mean) / 2, high=(mean + 7) / 2)


def test_a_training_that_stops_early_is_priced_to_its_end_alone(monkeypatch):
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), Duration.exactly(1.0))[1])
    whole, early = (
        estimate(load_trial(merge(DOCUMENT, {"target.epochs": 20, **knobs})), stages=("target",))["target"]
        for knobs in ({}, {"target.kept_epoch": 5})
    )
    # A second for each epoch, since a miniature of so few images holds them all; the rest is the same.
    assert whole.low - early.low == pytest.approx(20 - 5)


def test_of_many_variants_a_few_are_priced_that_span_them():
    config = load_trial(DOCUMENT)
    many = [load_trial(merge(DOCUMENT, {"target.learning_rate": 0.1 + n / 100})) for n in range(40)]
    rates = [other.target.learning_rate for other in cost._priced(config, many)]
    assert len(rates) == cost.VARIANTS
    assert rates == sorted(set(rates)) and rates[0] == 0.1 and rates[-1] >= 0.4


def test_one_of_each_defense_is_priced_however_many_the_space_has():
    config = load_trial(DOCUMENT)
    kinds = ["bido", "mid", "midre", "trap_mid", "loft", "calor", "negative_label_smoothing"]
    space = [{"defense.kind": kind, "target.epochs": epochs} for kind in kinds for epochs in (2, 3, 4)]
    priced = cost._priced(config, [load_trial(merge(DOCUMENT, knobs)) for knobs in space])
    assert [other.defense.kind for other in priced[: len(kinds)]] == kinds
    assert len(priced) == len(kinds) + cost.VARIANTS


def test_a_timing_spans_its_repeats_and_on_a_busy_machine_the_processor_time(monkeypatch):
    walls, owns = iter([0.0, 0.5, 10.0, 10.2, 20.0, 20.4]), iter([0.0, 0.1, 1.0, 1.15, 2.0, 2.3])
    calls = []

    def timed(busy, walls, owns):
        monkeypatch.setattr(cost, "is_busy", lambda: busy)
        monkeypatch.setattr(cost.time, "perf_counter", lambda: next(walls))
        monkeypatch.setattr(cost.time, "process_time", lambda: next(owns))
        monkeypatch.setattr(cost.torch, "get_num_threads", lambda: 1)
        return cost._seconds(lambda: calls.append(1), "cpu")

    idle = timed(False, walls, owns)
    assert (idle.low, idle.high) == (pytest.approx(0.2), pytest.approx(0.5))
    assert len(calls) == 1 + cost.REPEATS
    walls, owns = iter([0.0, 0.5, 10.0, 10.2, 20.0, 20.4]), iter([0.0, 0.1, 1.0, 1.15, 2.0, 2.3])
    busy = timed(True, walls, owns)
    assert (busy.low, busy.high) == (pytest.approx(0.1), pytest.approx(0.5))


def test_it_is_measured_with_the_threads_of_a_trial_and_leaves_torch_as_it_was(monkeypatch):
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(
        cost, "_seconds", lambda work, device: (seen.append(torch.get_num_threads()), Duration.exactly(1))[1]
    )
    estimate(load_trial(DOCUMENT), threads=before + 1)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("surrogates", "networks"), [(["small_cnn", "small_cnn"], 2), ([], 1)])
def test_surrogates_of_a_prior_are_priced_each(monkeypatch, surrogates, networks):
    """If each run of 16 images takes 16 seconds, an identity takes as many as it has forward passes."""
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), Duration.exactly(16))[1])
    config = load_trial(
        {
            **DOCUMENT,
            "attack": {"kind": "lokt", "iterations": 10, "restarts": 2},
            "prior": {"kind": "lokt", "width": 2, "latent_size": 4, "surrogates": surrogates},
        }
    )
    (plan,) = config.attack
    target = new_target(config, 4).eval()
    views = 2
    generated = 10 * 2 + 2
    passes = generated + networks * views * 10 * 2
    assert cost._attack(config, plan, target, "cpu", 3) == Duration.exactly(3 * passes)


def test_only_the_stages_asked_for_are_timed(monkeypatch):
    timed = []
    monkeypatch.setattr(
        cost, "_seconds", lambda work, device: (timed.append(1), work(), Duration.exactly(1.0))[2]
    )
    whole = estimate(load_trial(DOCUMENT))
    count = len(timed)
    some = estimate(load_trial(DOCUMENT), stages=("attack", "judge"))
    assert some == {stage: whole[stage] for stage in ("judge", "attack")}
    assert len(timed) - count < count


def images_as_seconds(monkeypatch, calibration):
    """Let work take a second for each image that the target sees; return what it has seen of the last."""
    asked = []
    calibration.network.head.register_forward_hook(lambda head, features, _: asked.append(len(features[0])))

    def seconds(work, device):
        asked.clear()
        work()
        return Duration.exactly(sum(asked))

    monkeypatch.setattr(cost, "_seconds", seconds)
    return asked


@pytest.mark.parametrize(
    "prior",
    [
        {"kind": "plg", "iterations": 7, "critic_steps": 2, "batch_size": 4, "top": 3},
        {
            "kind": "lokt",
            "iterations": 8,
            "critic_steps": 2,
            "batch_size": 4,
            "warmup": 0,
            "surrogates": ["small_resnet"],
            "images_per_class": 3,
            "surrogate_epochs": 1,
            "epoch_images": 8,
            "surrogate_batch": 8,
        },
        {"kind": "kedmi", "epochs": 3, "critic_steps": 2, "batch_size": 4},
    ],
    ids=lambda prior: prior["kind"],
)
def test_a_prior_that_asks_the_target_is_priced_by_what_it_asks(monkeypatch, prior):
    """If the target alone took time, a second an image, the price would be what a training asks of it."""
    config = load_trial({**DOCUMENT, "attack": {"kind": prior["kind"]}, "prior": {"width": 2, **prior}})
    calibration = cost._Calibration(config, "cpu", [])
    asked = images_as_seconds(monkeypatch, calibration)
    (plan,) = config.attack
    price = calibration._prior(plan.prior)
    asked.clear()
    plan.prior.train(calibration.data.public, run=calibration.run, target=calibration.network)
    assert price == Duration.exactly(sum(asked))
    assert sum(asked) >= len(calibration.data.public)


def test_what_an_attack_learns_first_is_priced_by_what_it_asks(monkeypatch):
    students = {"students": ["small_resnet"], "student_epochs": 5, "student_weights": "none"}
    config = load_trial({**DOCUMENT, "attack": {"kind": "lomma_gmi", **students}})
    calibration = cost._Calibration(config, "cpu", [])
    images_as_seconds(monkeypatch, calibration)
    recipe = config.attack[0].attack.auxiliary
    price = calibration._learnt(
        recipe, lambda part, few: part.make(calibration.network, few, run=calibration.run)
    )
    assert price == Duration.exactly(len(calibration.data.public))


def test_a_training_in_epochs_is_priced_by_its_steps(monkeypatch):
    """If setting up took 5 s and an image of an epoch 1 s, so would the price say of any number of epochs."""
    config = load_trial(merge(DOCUMENT, {"prior.epochs": 7}))
    calibration = cost._Calibration(config, "cpu", [])
    lasts = {"seconds": 0.0}

    def train(knobs, images):
        lasts["seconds"] = 5.0 + knobs.epochs * len(images)

    monkeypatch.setattr(
        cost, "_seconds", lambda work, device: (work(), Duration.exactly(lasts["seconds"]))[1]
    )
    price = calibration._learnt(config.prior, train)
    assert price == Duration.exactly(5.0 + 7 * len(calibration.data.public))


@pytest.mark.parametrize("place", ["target", "judge"])
def test_milestones_beyond_a_short_run_are_no_matter(place):
    """A published recipe falls after epochs that no short run has."""
    steps = {"schedule": "multistep", "milestones": [1], "epochs": 2}
    document = {**DOCUMENT, place: {**DOCUMENT[place], **steps}, "pretraining": {"kind": "none"}}
    assert estimate(load_trial(document), stages=("target", "judge", "evaluation"))["target"].low > 0


def test_a_prior_from_a_file_is_priced_as_it_is_read():
    whole = StyleGAN2Prior(path="published.pkl")
    short = whole.short_run(8, 10_000, 4)
    assert (short.first, short.more) == (whole, None)
    assert StyleGAN2Prior(epochs=4).short_run(8, 80, 4).times == (4 * 10 - 1) / 2


def test_what_all_identities_share_is_priced_once(monkeypatch):
    """If each run of 16 images takes 16 seconds, an attack takes as many as it has passes."""
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), Duration.exactly(16))[1])
    attack = SMILE(pool=10, surrogate="small_cnn", epochs=3, iterations=2, budget=5)
    config = load_trial(DOCUMENT)
    plan = dataclasses.replace(config.attack[0], attack=attack)
    target = new_target(config, 4).eval()
    surrogates = []
    original = cost.inference_copy
    monkeypatch.setattr(
        cost, "inference_copy", lambda network, d: (surrogates.append(network), original(network, d))[1]
    )
    price = cost._attack(config, plan, target, "cpu", 6)
    generated = 2 * 10 + 6 * (2 + 5 + 1)
    asked = 10 + 6 * 5
    learnt = 3 * 10 + 6 * 2
    assert price == Duration.exactly(generated + asked + learnt)
    assert type(surrogates[-1]).__name__ == "Experts" and len(surrogates[-1].experts) == 3
