"""A study of seconds, to derive from: rendered faces at 32 pixels, an epoch or four of everything."""

from typing import Any

FACES = {"kind": "synthetic_faces", "images_per_identity": 6}
TOY: dict[str, Any] = {
    "name": "toy",
    "trial": {
        "image_size": 32,
        "private": {**FACES, "population": "private", "identities": 4},
        "public": {**FACES, "population": "public", "identities": 4},
        "pretraining": {
            "kind": "dataset",
            "data": {**FACES, "population": "far", "identities": 3},
            "epochs": 1,
        },
        "target": {"architecture": "small_cnn", "epochs": 4},
        "defense": {"kind": "none"},
        "prior": {"kind": "eigenfaces", "components": 6},
        "attack": {"kind": "map", "iterations": 2, "pool": 8, "starts": 1, "rounds": 1},
        "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
    },
    "space": ["freeze_depth"],
    "search": {"trials": 2},
    "controls": False,
    "tracking": {"mlflow": False},
}
