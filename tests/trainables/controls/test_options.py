"""Options of the controls: ranges, and that they enter no trial's key."""

import pytest

from trainables.controls.options import Controls
from trainables.errors import ConfigError


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"null_pictures": -1}, "null_pictures must be at least 0; got -1"),
        ({"stopped": -1}, "stopped must be at least 0; got -1"),
        ({"smoothing": 0.0}, "smoothing must lie between 0 and 1; got 0.0"),
        ({"smoothing": 1.0}, "smoothing must lie between 0 and 1; got 1.0"),
        ({"ceiling_architecture": "resnet19"}, "architecture must be one of .* did you mean 'resnet18'"),
    ],
)
def test_what_is_out_of_range_is_refused(knobs, words):
    with pytest.raises(ConfigError, match=words):
        Controls(**knobs)


def test_all_are_on_by_default_and_can_be_switched_off():
    assert Controls() == Controls(
        null_pictures=1000, ceiling=True, positive=True, sampler=True, smoothing=0.1, stopped=4, budget=True
    )
    assert Controls(null_pictures=0, ceiling=False, positive=False, sampler=False) != Controls()
