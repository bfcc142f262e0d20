"""Stanford Cars: which model each picture shows, by annotations that the test writes."""

from pathlib import Path

import numpy as np
import pytest
from published_trees import picture, stanford_cars
from scipy.io import savemat

from trainables.datasets.preparation import prepare
from trainables.datasets.stanford_cars import StanfordCars
from trainables.errors import ConfigError

MODELS = ("Volvo 240", "AM General Hummer", "Fiat 500")  # classes 1 to 3 of the tree's cars_meta.mat
ANNOTATIONS = {"cars_train": "devkit/cars_train_annos.mat", "cars_test": "cars_test_annos_withlabels.mat"}


def annotate(root: Path, folder: str, rows: list[tuple[str, int]]) -> None:
    """Write which class each picture of a folder shows."""
    annotations = np.array(rows, dtype=[("fname", object), ("class", object)])
    savemat(root / "stanford_cars" / ANNOTATIONS[folder], {"annotations": annotations})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three models; six pictures to train on and six to test, 00001.jpg to 00006.jpg in both folders."""
    return stanford_cars(tmp_path)


def test_a_picture_shows_what_the_annotations_of_its_folder_say(root: Path) -> None:
    """In their order, which is neither that of the files nor the same in both parts."""
    rows = {
        "cars_train": [("00004.jpg", 2), ("00001.jpg", 3), ("00002.jpg", 1), ("00006.jpg", 2)],
        "cars_test": [("00002.jpg", 3), ("00005.jpg", 1), ("00001.jpg", 2)],
    }
    for folder, annotations in rows.items():
        annotate(root, folder, annotations)
    images = StanfordCars(root=str(root)).load(32)
    shown = [(Path(file).parent.name, Path(file).name) for file in images.files]
    assert shown == [(folder, name) for folder in rows for name, _ in rows[folder]]
    models = [MODELS[number - 1] for folder in rows for _, number in rows[folder]]
    assert [images.names[label] for label in images.labels] == models
    assert images.reserved is not None
    assert images.reserved.tolist() == [folder == "cars_test" for folder, _ in shown]


def test_a_picture_that_no_annotation_names_is_left_out(root: Path) -> None:
    picture(99, (120, 80)).save(root / "stanford_cars" / "cars_train" / "00099.jpg")
    images = StanfordCars(root=str(root)).load(32)
    assert len(images) == 12 and not any(file.endswith("00099.jpg") for file in images.files)


def test_models_keep_their_numbers_where_one_has_no_picture(root: Path) -> None:
    annotate(root, "cars_train", [("00001.jpg", 3), ("00002.jpg", 3)])
    annotate(root, "cars_test", [("00001.jpg", 1), ("00002.jpg", 1)])
    images = StanfordCars(root=str(root)).load(32)
    assert images.names == MODELS and images.labels.tolist() == [2, 2, 0, 0]


@pytest.mark.parametrize("folder", ANNOTATIONS)
@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_class_that_no_model_has_is_told_with_its_picture(folder: str, number: int, root: Path) -> None:
    annotate(root, folder, [("00001.jpg", 1), ("00003.jpg", number)])
    expected = rf"expects classes 1 to 3 .*got {number} of stanford_cars/{folder}/00003\.jpg"
    with pytest.raises(ConfigError, match=expected):
        StanfordCars(root=str(root)).load(32)


@pytest.mark.parametrize("file", ANNOTATIONS.values())
def test_a_missing_file_of_annotations_is_named(file: str, root: Path) -> None:
    (root / "stanford_cars" / file).unlink()
    with pytest.raises(ConfigError, match=rf"expects the file stanford_cars/{file} .*got none"):
        StanfordCars(root=str(root)).load(32)


@pytest.mark.parametrize("folder", ANNOTATIONS)
def test_annotations_without_classes_are_told_by_their_folder(folder: str, root: Path) -> None:
    """As in the authors' cars_test_annos.mat, which has none."""
    rows = np.array([("00001.jpg",), ("00002.jpg",)], dtype=[("fname", object)])
    savemat(root / "stanford_cars" / ANNOTATIONS[folder], {"annotations": rows})
    with pytest.raises(ConfigError, match=rf"expects annotations of {folder} that scipy reads"):
        StanfordCars(root=str(root)).load(32)


def test_the_published_counts_are_asked_for(root: Path) -> None:
    expected = "stanford_cars expects 196 classes, 8,144 training, 8,041 test, as published,"
    with pytest.raises(ConfigError, match=f"{expected} .*got 3 classes, 6 training, 6 test"):
        prepare(StanfordCars(root=str(root)))


def test_a_study_is_told_to_scale_whole_pictures_as_ppa_normalizes_them(root: Path) -> None:
    usage = prepare(StanfordCars(root=str(root)), partial=True).usage
    assert (usage["image_size"], usage["normalization"], usage["view"]["squeeze"]) == (224, "half", True)
