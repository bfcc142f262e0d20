"""What two short trainings say of a long one, where an image lasts as long as any other."""

from dataclasses import dataclass

import pytest

from trainables.runtime.short_run import of_epochs

SETTING_UP = 5.0


@dataclass(frozen=True)
class Knobs:
    epochs: int
    width: int = 1


def seconds(knobs: Knobs, images: int) -> float:
    """Return how long a training takes: a while before the first step, then `width` seconds an image."""
    return SETTING_UP + sum(knobs.width for _ in range(knobs.epochs) for _ in range(images))


def priced(knobs: Knobs, few: int, public: int) -> float:
    short = of_epochs(knobs, few, public)
    once, longer = seconds(short.first, few), seconds(short.more, few)
    return once + short.times * (longer - once)


@pytest.mark.parametrize(
    ("epochs", "few", "public"), [(7, 4, 12), (4, 4, 10), (1, 8, 100), (20, 16, 16), (1, 6, 6), (3, 6, 2)]
)
def test_the_price_is_that_of_all_epochs_over_all_public_images(epochs, few, public):
    knobs = Knobs(epochs=epochs, width=3)
    assert priced(knobs, few, public) == pytest.approx(seconds(knobs, public))


def test_one_and_three_epochs_are_run_and_no_other_knob_is_touched():
    short = of_epochs(Knobs(epochs=9, width=3), 4, 12)
    assert (short.first, short.more) == (Knobs(epochs=1, width=3), Knobs(epochs=3, width=3))


def test_a_training_shorter_than_the_short_run_costs_what_that_does():
    assert priced(Knobs(epochs=1), 8, 6) == seconds(Knobs(epochs=1), 8)


def test_the_target_is_asked_of_each_public_image_once():
    """The short runs ask it of few; all others are what remains to be priced."""
    few, public = 4, 30
    short = of_epochs(Knobs(epochs=9), few, public, asks=True)
    assert few + short.asked == public
    assert of_epochs(Knobs(epochs=9), few, public).asked == 0
