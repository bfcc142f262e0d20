"""The nearest mean among directions of the plane, where cosines are those of angles."""

import cmath
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from face_pack import as_images
from pretend_card import DEVICE, pretend_card

from trainables.datasets.split import Split
from trainables.errors import ConfigError
from trainables.judges.nearest_mean import NearestMeanJudge
from trainables.method import file_knob
from trainables.runtime.run import Run
from trainables.storage.content import with_content


@dataclass(frozen=True, kw_only=True)
class Compass(NearestMeanJudge):
    """Embeds an image as the direction of as many degrees as it has red, and as many more as a file says."""

    kind: ClassVar[str] = "compass"

    path: str = file_knob()

    def weights(self):
        if not Path(self.path).is_file():
            raise ConfigError(f"no compass at {self.path!r}")
        return {"turn": torch.tensor(float(Path(self.path).read_text()))}

    def embedder(self, state, device):
        turn = state["turn"].to(device)

        def embed(images):
            angles = (images[:, 0, 0, 0] * 255 + turn) * math.pi / 180
            return torch.stack([angles.cos(), angles.sin()], 1)

        return embed


TURN = 15
PEOPLE = {0: [10, 20, 90], 1: [200, 220], 2: [120]}  # angles of each, without the turn


def pictures(angles: list[int], labels: list[int]):
    pixels = torch.zeros(len(angles), 3, 2, 2, dtype=torch.uint8)
    pixels[:, 0] = torch.tensor(angles, dtype=torch.uint8)[:, None, None]
    return as_images(pixels, labels)


def mean_angle(angles: list[int]) -> float:
    """Return the direction, in degrees, in which one ends who goes a step in each of these."""
    return math.degrees(cmath.phase(sum(cmath.rect(1, math.radians(angle)) for angle in angles)))


@pytest.fixture
def data() -> Split:
    """Six images to train on, out of order; of four to test by, one is nearer to another person's mean."""
    return Split(
        train=pictures([220, 10, 120, 90, 200, 20], [1, 0, 2, 0, 1, 0]),
        validation=pictures([210, 20, 30], [0, 1, 2]),
        test=pictures([30, 100, 230, 130], [0, 0, 1, 2]),
    )


@pytest.fixture
def judge(tmp_path) -> Compass:
    (tmp_path / "compass.txt").write_text(str(TURN))
    return Compass(path=str(tmp_path / "compass.txt"))


def test_logits_are_cosines_to_the_mean_direction_of_each_person(judge, data):
    model = judge.restore(judge.fit(data, run=Run(seed=0)), data, "cpu")
    shown = [50, 0, 255]
    expected = [
        [math.cos(math.radians(angle - mean_angle(own))) for own in PEOPLE.values()] for angle in shown
    ]
    images = pictures(shown, [0, 1, 2]).pixels.float() / 255
    torch.testing.assert_close(model.logits(images), torch.tensor(expected), atol=1e-5, rtol=0)
    assert torch.equal(model.decide(model.features(images)), model.logits(images))


def test_the_accuracy_is_the_share_of_test_images_nearest_to_their_own_mean(judge, data):
    reports = []
    saved = judge.fit(data, run=Run(seed=0, report=lambda *done, **told: reports.append((*done, told))))
    assert saved["test_accuracy"] == 3 / 4
    assert judge.restore(saved, data, "cpu").test_accuracy == 3 / 4
    told = [("judge", done, 10, {}) for done in (0, 6, 10)]
    assert reports == [*told, ("judge", 10, 10, {"test_accuracy": 3 / 4})]


def test_progress_is_told_within_the_images_of_a_part(judge, data):
    many = pictures([10, 200, 120] * 200, [0, 1, 2] * 200)
    reports = []
    split = Split(train=many, validation=many, test=data.test)
    judge.fit(split, run=Run(seed=0, report=lambda *done, **told: reports.append(done)))
    assert {total for _, _, total in reports} == {604}
    done = [number for _, number, _ in reports]
    assert done == sorted(done) and sum(0 < number < 600 for number in done) >= 2 and done[-1] == 604


def test_the_features_that_it_keeps_are_those_of_the_training_images_in_their_order(judge, data):
    kept = judge.fit(data, run=Run(seed=0))["train_features"]
    expected = [cmath.rect(1, math.radians(angle + TURN)) for angle in (220, 10, 120, 90, 200, 20)]
    torch.testing.assert_close(kept, torch.tensor([[z.real, z.imag] for z in expected]), atol=1e-5, rtol=0)


def test_a_stored_judge_stays_itself_beside_other_images_and_another_file(judge, data):
    saved = judge.fit(data, run=Run(seed=0))
    images = data.test.pixels.float() / 255
    before = judge.restore(saved, data, "cpu").logits(images)
    Path(judge.path).write_text("70")
    others = Split(train=data.test, validation=data.test, test=data.validation)
    again = judge.restore(saved, others, "cpu")
    assert torch.equal(again.logits(images), before) and again.test_accuracy == 3 / 4


def test_on_a_card_embeddings_and_means_meet_there(judge, data):
    saved = judge.fit(data, run=Run(seed=0))
    with pretend_card():
        there = judge.fit(data, run=Run(seed=0, device=DEVICE))
        model = judge.restore(saved, data, DEVICE)
        logits = model.logits((data.test.pixels.float() / 255).to(DEVICE))
    assert there["test_accuracy"] == 3 / 4
    torch.testing.assert_close(there["means"], saved["means"])
    expected = judge.restore(saved, data, "cpu").logits(data.test.pixels.float() / 255)
    torch.testing.assert_close(logits.numbers, expected)


def test_a_file_that_is_not_there_is_told_before_any_work(tmp_path):
    with pytest.raises(ConfigError, match=r"no compass at .*nowhere"):
        Compass(path=str(tmp_path / "nowhere")).check(32)


def test_what_its_supplier_says_is_passed_on_and_decides_nothing(judge):
    told = Compass(path=judge.path, overlap="two actors", trained_on="CASIA-WebFace")
    assert (told.overlap_stated, told.trained_on_stated) == ("two actors", "CASIA-WebFace")
    assert (judge.overlap_stated, judge.trained_on_stated) == ("unknown", "unknown")
    assert with_content(told) == with_content(judge)
