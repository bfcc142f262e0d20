"""Price of the controls of a study, in stages of a trial."""

from trainables.config import TrialConfig
from trainables.controls.budget import SHARES
from trainables.controls.options import Controls


def control_stages(config: TrialConfig, controls: Controls) -> dict[str, float]:
    """Return how many of a trial's stages ``judge``, ``target``, ``attack`` and ``evaluation`` they take.

    At most: the undefended target is a trial of most studies too, and several stopped targets may be one. One
    that is frozen as its trial is was trained to its end before, to know where it reaches the accuracy. All
    attacks of the trial are one ``attack``. The ceiling's view is trained as a judge is.
    """
    several = 1 if controls.attack else len(config.attack)
    plans = [config.attack_plans[controls.attack]] if controls.attack else list(config.attack)
    alone = 1 / len(config.attack)  # one attack of the trial
    single = controls.positive + controls.sampler + controls.ceiling
    stages = {
        "judge": float(controls.ceiling),
        "target": 1.0
        + controls.positive
        + controls.sampler
        + controls.stopped * (1 + controls.stopped_alike),
        "attack": several * alone + single * alone + controls.stopped,
        "evaluation": several * alone + single * alone + controls.stopped,
    }
    if controls.budget:
        curves = 1 + controls.positive
        begins_anew = not all(plan.attack.is_prefix_of_longer for plan in plans)
        if begins_anew:
            stages["attack"] += curves * sum(SHARES) * alone
        elif several > 1:  # the strongest is known only once all of them ran
            stages["attack"] += max(SHARES) * alone
        stages["evaluation"] += curves * len(SHARES) * alone
    return stages
