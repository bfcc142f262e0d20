"""The trial of a study of seconds, as a study file has it."""

from typing import Any

TRIAL: dict[str, Any] = {
    "image_size": 32,
    "private": {
        "kind": "synthetic_faces",
        "population": "private",
        "identities": 4,
        "images_per_identity": 6,
    },
    "public": {"kind": "synthetic_faces", "population": "public", "identities": 4, "images_per_identity": 6},
    "pretraining": {"kind": "none"},
    "target": {
        "architecture": "small_cnn",
        "epochs": 1,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "augmentation": "none",
        "normalization": "none",
    },
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 8, "epochs": 1},
    "attack": {"kind": "gmi"},
    "judge": {"kind": "classifier", "architecture": "small_resnet"},
}
