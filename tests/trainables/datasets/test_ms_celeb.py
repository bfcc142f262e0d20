"""MS-Celeb-1M: where its crops lie, and that copies of it may hold any number of them."""

from pathlib import Path

import pytest
from published_trees import classes, ms_celeb, write

from trainables.datasets.ms_celeb import MSCeleb
from trainables.datasets.preparation import prepare

SIDES = (112, 112)


@pytest.mark.parametrize("home", ["imgs", "ms1m/imgs"])
def test_people_are_the_folders_in_imgs_and_not_what_lies_beside_it(home: str, tmp_path: Path) -> None:
    write(tmp_path, classes(f"{home}/m.02_b", f"{home}/m.01_a", images=2), SIDES)
    write(tmp_path, classes("samples", f"{Path(home).parent}/thumbnails", images=3), SIDES, first=50)
    images = MSCeleb(root=str(tmp_path)).load(112)
    assert images.names == ("m.01_a", "m.02_b")
    files = [f"{home}/{name}/{number:04d}.jpg" for name in images.names for number in range(2)]
    assert [Path(file).relative_to(tmp_path.resolve()).as_posix() for file in images.files] == files


def test_a_person_is_called_as_the_folder_is(tmp_path: Path) -> None:
    """Their identifiers are no names, in which an underscore would stand for a space."""
    write(tmp_path, classes("m.0107_f", "m.0107f", images=2), SIDES)
    assert MSCeleb(root=str(tmp_path)).load(112).names == ("m.0107_f", "m.0107f")


def test_nothing_is_set_apart_for_testing(tmp_path: Path) -> None:
    write(tmp_path, classes("imgs/train", "imgs/test", images=2), SIDES)
    images = MSCeleb(root=str(tmp_path)).load(112)
    assert images.names == ("test", "train") and images.reserved is None and images.checked is None


def test_no_number_of_people_or_crops_is_asked_for(tmp_path: Path) -> None:
    prepared = prepare(MSCeleb(root=str(ms_celeb(tmp_path))))
    assert prepared.counts == {"classes": 3, "images": 12} and prepared.published == {}


def test_a_study_is_told_to_take_its_crops_as_they_are(tmp_path: Path) -> None:
    usage = prepare(MSCeleb(root=str(ms_celeb(tmp_path)))).usage
    assert (usage["image_size"], usage["normalization"]) == (112, "none")
    assert usage["view"] == {"crop": None, "of": None, "squeeze": False}
