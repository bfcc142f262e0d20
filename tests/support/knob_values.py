"""Knobs away from their defaults that members of a family share, and other values of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainables.training.recipe import Recipe

KEY_ALONE = object()  # of a knob whose effect cannot be had without a network: its content key must change


@dataclass(frozen=True)
class To:
    """Another value of a knob, and what else is set beside the usual for it to matter."""

    value: Any
    given: Mapping[str, Any] = field(default_factory=dict)


MULTISTEP = {"schedule": "multistep", "milestones": (1,)}
RECIPE = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.02,
    "momentum": 0.7,
    "weight_decay": 0.01,
    "augmentation": "flip",
    "optimizer": "sgd",
    "schedule": "constant",
}
RECIPE_CHANGES = {
    "epochs": 3,
    "batch_size": 10,
    "optimizer": "adam",
    "learning_rate": 0.03,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "schedule": "cosine",
    "augmentation": "crop_flip",
    "milestones": To((2,), {**MULTISTEP, "epochs": 3}),
    "gamma": To(0.5, MULTISTEP),
    "nesterov": True,
    "precision": "bfloat16",
    "channels_last": To(KEY_ALONE, {"channels_last": True}),  # the same numbers, up to rounding
    "compile": To(KEY_ALONE, {"compile": True}),
    "deterministic": To(KEY_ALONE, {"deterministic": True}),
}
assert RECIPE_CHANGES.keys() == Recipe.__dataclass_fields__.keys()

TAA = {"align": "taa", "align_copies": 2, "align_area": 0.6, "align_degrees": 20.0}
PAA = {"align": "paa", "align_copies": 2, "align_noise": 0.1}
ALIGN_CHANGES = {
    "align": To("taa", {"align_copies": 2}),
    "align_copies": To(3, TAA),
    "align_noise": To(0.3, PAA),
    "align_area": To(0.9, TAA),
    "align_degrees": To(3.0, TAA),
}
LATENT = {
    "iterations": 4,
    "restarts": 2,
    "learning_rate": 0.3,
    "momentum": 0.5,
    "identity_weight": 3.0,
    "clip": 0.8,
    "group": 7,
}
LATENT_CHANGES = {
    **ALIGN_CHANGES,
    "iterations": 5,
    "restarts": 3,
    "learning_rate": 0.2,
    "momentum": 0.7,
    "identity_weight": 5.0,
    "clip": 0.5,
    "group": 3,
}
GAUSSIAN = {
    "iterations": 4,
    "restarts": 2,
    "learning_rate": 0.1,
    "identity_weight": 3.0,
    "log_variance": 0.3,
    "clip": 0.8,
    "group": 2,
}
GAUSSIAN_CHANGES = {
    **ALIGN_CHANGES,
    "iterations": 5,
    "restarts": 3,
    "learning_rate": 0.2,
    "identity_weight": 5.0,
    "log_variance": 0.6,
    "clip": None,
    "group": 3,
}
STUDENTS = {"students": ("small_cnn",), "student_epochs": 1, "student_weights": "none", "feature_weight": 0.3}
STUDENTS_CHANGES = {
    "identity_loss": "cross_entropy",
    "feature_weight": 0.6,
    "students": (),
    "student_epochs": 2,
    "student_learning_rate": 0.1,
    "student_weights": "imagenet",
}
CONDITIONAL = {"iterations": 3, "restarts": 2, "learning_rate": 0.1, "group": 5}
CONDITIONAL_CHANGES = {**ALIGN_CHANGES, "iterations": 4, "restarts": 1, "learning_rate": 0.2, "group": 2}
CROPS = {
    "candidates": 20,
    "psi": 0.6,
    "cutoff": 5,
    "clip_samples": True,
    "starts": 4,
    "iterations": 3,
    "learning_rate": 0.05,
    "crop": (0.5, 0.8),
    "clip": True,
    "group": 3,
    "rounds": 2,
    "selection_crop": (0.2, 0.4),
    "selection_ratio": (0.8, 1.2),
    "kept": 3,
}
CROPS_CHANGES = {
    **ALIGN_CHANGES,
    "candidates": 40,
    "psi": 0.9,
    "cutoff": 2,
    "clip_samples": False,
    "starts": 5,
    "iterations": 4,
    "learning_rate": 0.1,
    "crop": (0.8, 1.0),
    "clip": False,
    "group": 9,
    "rounds": 1,
    "selection_crop": (0.8, 0.9),
    "selection_ratio": (0.3, 0.4),
    "kept": 2,
}
TUNED_GAN = {
    "points": 2,
    "rating_views": 2,
    "public_images": 8,
    "epochs": 2,
    "batch_size": 4,
    "tuning_rate": 0.01,
    "critic_steps": 2,
}
TUNED_GAN_CHANGES = {
    "tunings": 2,
    "points": 1,
    "rating_views": To(9, {"points": 1}),
    "public_images": 9,
    "epochs": 3,
    "batch_size": 5,
    "tuning_rate": 0.02,
    "critic_steps": 1,
}
TUNED_STYLES = {
    "points": 2,
    "inversion_steps": 6,
    "inversion_rate": 0.05,
    "tuning_steps": 2,
    "tuning_rate": 0.01,
    "features": "pixels",
}
TUNED_STYLES_CHANGES = {
    "tunings": 2,
    "points": 3,
    "inversion_steps": 7,
    "inversion_rate": 0.1,
    "tuning_steps": 3,
    "tuning_rate": 0.02,
    "features": KEY_ALONE,  # the other value downloads
}
POOL = {"pool": 20, "psi": 0.6, "cutoff": 5, "spread": 0.8}
POOL_CHANGES = {"pool": 40, "psi": 0.9, "cutoff": 2, "spread": 0.4}
GAN = {"latent_size": 5, "width": 2, "epochs": 2, "batch_size": 8, "learning_rate": 0.01, "critic_steps": 2}
GAN_CHANGES = {
    "latent_size": 6,
    "width": 3,
    "epochs": 3,
    "batch_size": 10,
    "learning_rate": 0.02,
    "critic_steps": 3,
    "averaging": 0.5,
}
FACES = {"population": "private", "identities": 3, "images_per_identity": 4, "seed": 0}
