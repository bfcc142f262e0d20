"""One trial: train a target, attack it, judge the reconstructions.

Needs torch, torchvision, numpy, pydantic and yaml; never ray, optuna or mlflow (only ``tune.py`` does).
"""

__version__ = "0.2.0"
