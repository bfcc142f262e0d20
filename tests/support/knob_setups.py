"""A small piece of work for every method in which each of its knobs makes a difference.

A new method needs an entry in `SETUPS`, a new knob an entry in its method's: how it is changed, and what else
must be set for the change to matter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from knob_datasets import CHANGES, USUAL, published_outcome
from knob_outcomes import (
    FromFolder,
    Outcome,
    analysis_outcome,
    attack_outcome,
    dataset_outcome,
    dcgan_file,
    defense_outcome,
    distillation_outcome,
    embedder_file,
    face_folder,
    judge_outcome,
    metric_outcome,
    onnx_file,
    pretraining_outcome,
    prior_outcome,
    recipe_outcome,
    shield_outcome,
    stylegan_file,
    training_analysis_outcome,
    weights_file,
)
from knob_values import (
    ALIGN_CHANGES,
    CONDITIONAL,
    CONDITIONAL_CHANGES,
    CROPS,
    CROPS_CHANGES,
    FACES,
    GAN,
    GAN_CHANGES,
    GAUSSIAN,
    GAUSSIAN_CHANGES,
    KEY_ALONE,
    LATENT,
    LATENT_CHANGES,
    POOL,
    POOL_CHANGES,
    RECIPE,
    RECIPE_CHANGES,
    STUDENTS,
    STUDENTS_CHANGES,
    TUNED_GAN,
    TUNED_GAN_CHANGES,
    TUNED_STYLES,
    TUNED_STYLES_CHANGES,
    To,
)

from trainables.datasets.synthetic_faces import SyntheticFaces


@dataclass(frozen=True)
class Setup:
    """Work of a method: its usual knobs, another value of each, and what comes out."""

    outcome: Callable[[Any], Outcome]
    usual: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)


SETUPS: dict[tuple[str, str], Setup] = {
    ("attacks", "gmi"): Setup(attack_outcome("gmi"), LATENT, LATENT_CHANGES),
    ("attacks", "lomma_gmi"): Setup(
        attack_outcome("gmi"), LATENT | STUDENTS, LATENT_CHANGES | STUDENTS_CHANGES
    ),
    ("attacks", "kedmi"): Setup(attack_outcome("kedmi"), GAUSSIAN, GAUSSIAN_CHANGES),
    ("attacks", "lomma_kedmi"): Setup(
        attack_outcome("kedmi"), GAUSSIAN | STUDENTS, GAUSSIAN_CHANGES | STUDENTS_CHANGES
    ),
    ("attacks", "plg"): Setup(attack_outcome("plg"), CONDITIONAL, CONDITIONAL_CHANGES),
    ("attacks", "lokt"): Setup(attack_outcome("lokt"), CONDITIONAL, CONDITIONAL_CHANGES),
    ("attacks", "ppa"): Setup(
        attack_outcome("stylegan2"),
        CROPS | {"milestones": (2,), "realism_weight": 0.5},
        CROPS_CHANGES | {"milestones": (1,), "realism_weight": 0.0},
    ),
    ("attacks", "ppdg_gmi"): Setup(
        attack_outcome("gmi"),
        LATENT | {"restarts": 3} | TUNED_GAN,
        LATENT_CHANGES | {"restarts": 4} | TUNED_GAN_CHANGES,
    ),
    ("attacks", "ppdg_ppa"): Setup(
        attack_outcome("stylegan2"),
        CROPS | {"milestones": (2,), "realism_weight": 0.5} | TUNED_STYLES,
        CROPS_CHANGES | {"milestones": (1,), "realism_weight": 0.0} | TUNED_STYLES_CHANGES,
    ),
    ("attacks", "if_gmi"): Setup(
        attack_outcome("stylegan2"),
        CROPS | {"blocks": 2, "block_iterations": 3, "radii": (0.5, 0.5, 0.5)},
        CROPS_CHANGES | {"blocks": 1, "block_iterations": 2, "radii": (0.1, 0.5, 0.5), "keep_picture": True},
    ),
    ("attacks", "mirror"): Setup(
        attack_outcome("stylegan2"),
        POOL | {"starts": 3, "iterations": 5, "learning_rate": 0.3, "loss_weight": 2.0},
        POOL_CHANGES
        | ALIGN_CHANGES
        | {
            "starts": 2,
            "iterations": 6,
            "learning_rate": 0.1,
            "loss_weight": 1e-6,
            "flips": False,
            "choice": False,
        },
    ),
    ("attacks", "mirror_blackbox"): Setup(
        attack_outcome("stylegan2"),
        POOL | {"population": 6, "generations": 4, "mutation_chance": 0.3, "mutation_size": 0.5},
        POOL_CHANGES
        | {
            "population": 8,
            "generations": 5,
            "enough": 0.3,
            "crossover": "corrected",
            "mutation_chance": 0.6,
            "mutation_size": 1.0,
        },
    ),
    ("attacks", "smile"): Setup(
        attack_outcome("stylegan2"),
        POOL
        | {
            "surrogate": "small_cnn",
            "experts": 2,
            "epochs": 2,
            "batch_size": 8,
            "surrogate_rate": 0.01,
            "iterations": 10,
            "learning_rate": 0.1,
            "local_spread": 0.5,
            "budget": 4,
        },
        POOL_CHANGES
        | {
            "surrogate": "small_resnet",
            "surrogate_path": weights_file(0),
            "normalization": "imagenet",
            "experts": 3,
            "epochs": 3,
            "batch_size": 10,
            "surrogate_rate": 0.02,
            "label_weight": 2.0,
            "diversity_weight": 1.0,
            "iterations": 8,
            "learning_rate": 0.2,
            "local_spread": 0.7,
            "budget": 5,
        },
    ),
    ("attacks", "brep"): Setup(
        attack_outcome("gmi"),
        {
            "points": 8,
            "radius": 0.5,
            "iterations": 4,
            "calls": 6,
            "start_batch": 32,
            "start_queries": 512,
            "growth_share": 0.5,
            "clip": 1.2,
            "expansion": 1.5,
        },
        {
            "points": 9,
            "radius": 0.7,
            "expansion": 1.2,
            "growth_share": -1.0,
            "iterations": 1,
            "clip": 0.6,
            "repulsion_only": False,
            "calls": 7,
            "start_batch": 16,
            "start_queries": 3,
        },
    ),
    ("attacks", "map"): Setup(
        attack_outcome("gmi"),
        {"iterations": 4, "pool": 12, "starts": 3, "learning_rate": 0.3, "views": 2, "rounds": 1},
        ALIGN_CHANGES
        | {
            "iterations": 5,
            "pool": 6,
            "starts": 1,
            "learning_rate": 0.2,
            "penalty": 0.5,
            "identity_loss": "max_margin",
            "views": 3,
            "shift": 0.2,
            "rounds": 9,
        },
    ),
    ("attacks", "rlb"): Setup(
        attack_outcome("gmi"),
        {"episodes": 8, "hidden": 5, "replay": 3, "learning_rate": 0.05, "blend": 0.2, "floor": 0.1},
        {
            "episodes": 9,
            "hidden": 6,
            "replay": 4,
            "learning_rate": 0.1,
            "blend": 0.4,
            "state_weight": 1.0,
            "action_weight": 1.0,
            "margin_weight": 1.0,
            "floor": 0.5,
        },
    ),
    ("attacks", "vmi"): Setup(
        attack_outcome("gmi"),
        {
            "batch": 3,
            "steps": 4,
            "samples": 2,
            "learning_rate": 0.1,
            "momentum": 0.5,
            "kl_weight": 0.3,
            "kl_samples": 4,
            "smoothing": 0.1,
        },
        ALIGN_CHANGES
        | {
            "posterior": "flow",
            "layers": 2,
            "components": To(3, {"posterior": "mixture", "components": 2}),
            "flow_steps": To(3, {"posterior": "flow", "flow_steps": 2, "hidden": 4}),
            "hidden": To(5, {"posterior": "flow", "flow_steps": 2, "hidden": 4}),
            "batch": 4,
            "steps": 5,
            "samples": 3,
            "learning_rate": 0.2,
            "momentum": 0.7,
            "kl_weight": 0.6,
            "kl_samples": 0,
            "smoothing": 0.3,
        },
    ),
    ("auxiliaries", "distillation"): Setup(
        distillation_outcome,
        {
            "students": ("small_cnn",),
            "weights": "none",
            "epochs": 2,
            "batch_size": 8,
            "feature_images": 5,
            "temperature": 2.0,
        },
        {
            "students": ("small_resnet",),
            "weights": To("imagenet", {"students": ("resnet18",), "epochs": 1}),
            "epochs": 3,
            "batch_size": 10,
            "learning_rate": 0.02,
            "momentum": 0.5,
            "weight_decay": 0.1,
            "temperature": 4.0,
            "feature_images": 8,
        },
    ),
    ("auxiliaries", "public_images"): Setup(distillation_outcome, {"images": 3}, {"images": 4}),
    ("priors", "gmi"): Setup(prior_outcome, GAN, GAN_CHANGES),
    ("priors", "eigenfaces"): Setup(prior_outcome, {"components": 5}, {"components": 6}),
    ("priors", "dcgan"): Setup(
        prior_outcome,
        {"path": dcgan_file("generator", 0), "discriminator": dcgan_file("discriminator", 0)},
        {"path": dcgan_file("generator", 1), "discriminator": dcgan_file("discriminator", 1)},
    ),
    ("priors", "kedmi"): Setup(prior_outcome, GAN, GAN_CHANGES),
    ("priors", "plg"): Setup(
        prior_outcome,
        {
            "latent_size": 5,
            "width": 2,
            "top": 3,
            "iterations": 5,
            "critic_steps": 1,
            "batch_size": 6,
            "learning_rate": 0.01,
        },
        {
            "latent_size": 6,
            "width": 3,
            "top": 4,
            "guidance": 2.0,
            "iterations": 6,
            "critic_steps": 2,
            "batch_size": 8,
            "learning_rate": 0.02,
        },
    ),
    ("priors", "lokt"): Setup(
        prior_outcome,
        {
            "latent_size": 5,
            "width": 2,
            "iterations": 2,
            "warmup": 1,
            "critic_steps": 1,
            "batch_size": 6,
            "surrogates": ("small_cnn",),
            "images_per_class": 3,
            "surrogate_epochs": 1,
            "epoch_images": 16,
            "surrogate_batch": 8,
        },
        {
            "latent_size": 6,
            "width": 3,
            "iterations": 3,
            "warmup": 0,
            "class_weight": 0.5,
            "critic_steps": 2,
            "batch_size": 8,
            "learning_rate": 0.01,
            "surrogates": ("small_resnet",),
            "images_per_class": 4,
            "surrogate_epochs": 2,
            "epoch_images": 24,
            "surrogate_batch": 6,
            "surrogate_rate": 0.01,
        },
    ),
    ("priors", "stylegan2"): Setup(
        prior_outcome,
        {
            "latent_size": 5,
            "mapping_layers": 1,
            "width": 2,
            "widest": 4,
            "epochs": 2,
            "batch_size": 8,
            "penalty": 1.0,
            "penalty_every": 2,
            "averaging": 10,
        },
        {
            "path": FromFolder(stylegan_file),
            "crop": To(40, {"path": FromFolder(stylegan_file)}),
            "label": To(2, {"path": FromFolder(stylegan_file)}),
            "psi": 0.5,
            "latent_size": 6,
            "mapping_layers": 2,
            "width": 3,
            "widest": 3,
            "noise": True,
            "epochs": 3,
            "batch_size": 10,
            "learning_rate": 0.01,
            "penalty": 5.0,
            "penalty_every": 1,
            "path_length": 2.0,
            "averaging": 1,
        },
    ),
    ("defenses", "none"): Setup(defense_outcome),
    ("defenses", "bido"): Setup(
        defense_outcome,
        {"lambda_x": 0.2, "lambda_y": 0.3, "sigma": 2.0, "label_kernel": "gaussian"},
        {
            "measure": "coco",
            "lambda_x": 0.4,
            "lambda_y": 0.6,
            "sigma": 1.0,
            "label_kernel": "imq",
            "coco_norm": To("spectral", {"measure": "coco"}),
            "images_per_identity": 3,
        },
    ),
    ("defenses", "mid"): Setup(
        defense_outcome, {"beta": 0.1, "bottleneck": 4}, {"beta": 0.5, "bottleneck": 5}
    ),
    ("defenses", "negative_label_smoothing"): Setup(
        defense_outcome, {"warmup": 0.0}, {"alpha": -0.5, "warmup": 0.5, "full": To(0.0, {"warmup": 0.0})}
    ),
    ("defenses", "midre"): Setup(defense_outcome, {}, {"area": 0.8, "smallest": 0.3}),
    ("defenses", "loft"): Setup(defense_outcome, {"rank": 4}, {"rank": 5, "activation": "relu"}),
    ("defenses", "calor"): Setup(
        defense_outcome,
        {"rank": 4, "adaptation_rate": 0.1},
        {
            "rank": 5,
            "activation": "sigmoid",
            "gamma": 4.0,
            "smoothing": 0.1,
            "adaptation_epochs": 4,
            "adaptation_rate": 0.2,
        },
    ),
    ("defenses", "rolss"): Setup(defense_outcome, {}, {"skips": (1.0, 0.5, 1.0, 1.0)}),
    ("defenses", "ssf"): Setup(defense_outcome, {}, {"skips": (1.0, 0.5, 1.0, 1.0), "factor": 0.3}),
    ("defenses", "tts"): Setup(defense_outcome, {}, {"skips": (1.0, 0.5, 1.0, 1.0), "second_epochs": 5}),
    ("defenses", "dp_sgd"): Setup(
        defense_outcome, {"max_grad_norm": 0.3}, {"noise_multiplier": 0.5, "max_grad_norm": 0.6}
    ),
    ("defenses", "ssd"): Setup(
        shield_outcome, {"temperature": 0.5, "epsilon": 0.3}, {"temperature": 0.05, "epsilon": 0.6}
    ),
    ("defenses", "trap_mid"): Setup(
        defense_outcome,
        {"alpha": 0.3},
        {
            "alpha": 0.4,
            "beta": 0.4,
            "trigger_step": 0.1,
            "crop": 0.5,
            "degrees": 5.0,
            "label_smoothing": -0.05,
        },
    ),
    ("judges", "classifier"): Setup(
        judge_outcome,
        RECIPE | {"architecture": "small_cnn"},
        RECIPE_CHANGES
        | {"architecture": "small_resnet", "normalization": "none", "input_size": 40, "seed": 1},
    ),
    ("judges", "embedder"): Setup(
        judge_outcome,
        {"path": embedder_file(0), "overlap": "none"},
        {"path": embedder_file(1), "architecture": KEY_ALONE, "overlap": KEY_ALONE},
    ),
    ("judges", "onnx"): Setup(
        judge_outcome,
        {"path": onnx_file("hw"), "input_size": 8, "overlap": "none"},
        {
            "path": onnx_file("wh"),
            "input_size": 9,
            "mean": 100.0,
            "std": (90.0, 127.0, 127.5),
            "channels": "bgr",
            "overlap": KEY_ALONE,
        },
    ),
    ("pretrainings", "none"): Setup(pretraining_outcome),
    ("pretrainings", "dataset"): Setup(
        pretraining_outcome,
        RECIPE | {"batch_size": 4, "data": SyntheticFaces(**{**FACES, "population": "far"})},
        RECIPE_CHANGES | {"data": SyntheticFaces(**{**FACES, "population": "public"})},
    ),
    ("pretrainings", "checkpoint"): Setup(
        pretraining_outcome, {"path": weights_file(0)}, {"path": weights_file(1)}
    ),
    ("pretrainings", "torchvision"): Setup(pretraining_outcome, {}, {"weights": KEY_ALONE}),
    ("recipes", "target"): Setup(
        recipe_outcome,
        RECIPE | {"architecture": "small_cnn"},
        RECIPE_CHANGES
        | {
            "architecture": "small_resnet",
            "freeze_point": "conv3",
            "frozen_batchnorm": To("train", {"freeze_point": "conv3"}),
            "normalization": "half",
            "kept_epoch": 1,
            "trained": ("conv2", "conv4"),
        },
    ),
    ("datasets", "synthetic_faces"): Setup(
        dataset_outcome,
        FACES,
        {"population": "far", "identities": 4, "images_per_identity": 5, "seed": 1},
    ),
    ("datasets", "image_folder"): Setup(
        dataset_outcome,
        {"root": face_folder("ann", "ben", "cat")},
        {
            "root": face_folder("ann", "ben"),
            "crop": 20,
            "limit": 2,
            "fit": "pad",
            "allow_duplicates": To(True, {"root": face_folder("ann", "ben", equal=True)}),
            "anonymous_names": To(True, {"root": face_folder("public-0000", "ben")}),
            "canaries": 2,
            "grey": True,
        },
    ),
    ("metrics", "centroid_distance"): Setup(metric_outcome, {}, {"squared": True}),
    ("metrics", "face_distance"): Setup(
        metric_outcome,
        {"path": "here.onnx"},
        {
            "path": "there.onnx",
            **dict.fromkeys(("input_size", "mean", "std", "channels"), KEY_ALONE),  # its own tests run a file
        },
    ),
    ("metrics", "fid"): Setup(
        metric_outcome,
        {"path": "here", "least": 4},
        {"path": "there", "images": To("successful", {"least": 99}), "least": 99},
    ),
    ("metrics", "fid_images"): Setup(
        metric_outcome,
        {},
        {"images": "successful", "path": KEY_ALONE, "least": KEY_ALONE},
    ),
    ("metrics", "lpips"): Setup(
        metric_outcome,
        {"path": "here", "backbone": "there"},
        {"path": "elsewhere", "backbone": To("here", {"path": __file__})},
    ),
    **{
        ("metrics", kind): Setup(metric_outcome, {}, {"neighbours": 2})
        for kind in ("prdc_precision", "prdc_recall", "prdc_density", "prdc_coverage")
    },
    **{("datasets", kind): Setup(published_outcome, usual, CHANGES[kind]) for kind, usual in USUAL.items()},
    ("analyses", "batch_norm"): Setup(training_analysis_outcome, {"targets": 4}, {"targets": 6}),
    ("analyses", "cost"): Setup(
        training_analysis_outcome,
        {"epochs": 2, "repeats": 1},
        {"epochs": KEY_ALONE, "repeats": KEY_ALONE},  # seconds are never the same
    ),
    ("analyses", "evaluator_confidence"): Setup(analysis_outcome, {"threshold": 0.3}, {"threshold": 0.6}),
    ("analyses", "false_positives"): Setup(analysis_outcome, {"threshold": 0.3}, {"threshold": 0.6}),
    ("analyses", "membership"): Setup(training_analysis_outcome, {"targets": 4}, {"targets": 6}),
}
