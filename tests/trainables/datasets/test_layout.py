"""Trees as people have them: parts in every spelling, levels too many, people without a readable image."""

import os
from pathlib import Path

import pytest
from picture_folders import write_pictures as write

from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.layout import arrange, role_of
from trainables.datasets.split import split
from trainables.errors import ConfigError


def people(*parts: str, images: int = 4) -> list[str]:
    """Return the files of two people in each of the parts."""
    return [f"{part}/{name}/{n}.png" for part in parts for name in ("ada", "bob") for n in range(images)]


def load(root: Path):
    return ImageFolder(root=str(root)).load(8)


@pytest.mark.parametrize("wrap", ["", "faces/"])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "TEST"),
        ("training", "testing"),
        ("TrainSet", "test_set"),
        ("train_images", "test-images"),
        ("train2017", "test2017"),
        ("trn", "tst"),
        ("training data", "holdout"),
    ],
)
def test_a_train_and_a_test_part_are_read_whatever_their_spelling(tmp_path, train, test, wrap):
    images = load(write(tmp_path, *people(wrap + train, wrap + test)))
    assert images.names == ("ada", "bob") and len(images) == 16
    assert [f"/{test}/" in file for file in images.files] == images.reserved.tolist()
    assert images.checked is None


@pytest.mark.parametrize("validation", ["val", "Valid", "VALIDATION", "dev", "val_set"])
def test_a_validation_part_stays_the_validation_part(tmp_path, validation):
    images = load(write(tmp_path, *people("train", validation, "test")))
    assert images.names == ("ada", "bob") and len(images) == 24
    for seed in (0, 1):
        parts = split(images, seed=seed)
        for part, folder in ((parts.train, "train"), (parts.validation, validation), (parts.test, "test")):
            assert len(part) == 8 and all(f"/{folder}/" in file for file in part.files)


@pytest.mark.parametrize(
    "parts",
    [
        ("train", "val"),
        ("Train", "Valid"),
        ("training", "validation"),
        ("train", "dev"),
        ("val", "test"),
        ("validation", "testing"),
        ("train", "Train", "test"),
        ("train", "test", "testing"),
        ("train", "test", "extra"),
        ("train", "eval"),
        ("trainval", "test"),
        ("gallery", "query"),
        ("fold1", "fold2", "fold3"),
    ],
)
@pytest.mark.parametrize("with_people", [True, False])
def test_parts_that_are_not_clear_are_no_people(tmp_path, parts, with_people):
    files = people(*parts) if with_people else [f"{part}/{n}.png" for part in parts for n in range(4)]
    with pytest.raises(ConfigError, match="are parts, not people") as error:
        load(write(tmp_path, *files))
    assert parts[0] in str(error.value) and str(tmp_path) in str(error.value)


@pytest.mark.parametrize("parts", [("train", "test"), ("Training", "Testing"), ("train", "val", "test")])
def test_parts_without_people_are_refused(tmp_path, parts):
    with pytest.raises(ConfigError, match="are parts, not people"):
        load(write(tmp_path, *(f"{part}/{n}.png" for part in parts for n in range(4))))


def test_a_part_without_an_image_is_not_overlooked(tmp_path):
    write(tmp_path, *people("train"))
    (tmp_path / "test").mkdir()
    with pytest.raises(ConfigError, match=r"are parts, not people.*no readable image in 'test'"):
        load(tmp_path)
    (tmp_path / "test" / "ada").mkdir()
    (tmp_path / "test" / "ada" / "1.heic").write_bytes(b"x")
    with pytest.raises(ConfigError, match="no readable image in 'test'"):
        load(tmp_path)


def test_people_may_be_called_like_parts(tmp_path):
    assert load(write(tmp_path, "Dev/1.png", "Priya/1.png", "Testa/1.png")).names == ("Dev", "Priya", "Testa")
    assert role_of("Val") == "validation" and role_of("Valerie") is None and role_of("Trainor") is None


@pytest.mark.parametrize(
    ("files", "tree"),
    [
        (("a/2019/1.png", "b/2020/1.png"), "a, b / 2019, 2020 / 2 images"),
        (("a/1.png", "b/1.png", "b/more/2.png"), "a, b / more / 3 images"),
        (("x/a/1.png", "y/b/1.png"), "x, y / a, b / 2 images"),
        (("a/x/y/1.png", "b/x/y/1.png"), "a, b / x / y / 2 images"),
        (("train/a/s/1.png", "test/a/s/1.png"), "test, train / a / s / 2 images"),
    ],
)
def test_a_level_too_many_is_refused_with_the_tree(tmp_path, files, tree):
    with pytest.raises(ConfigError, match="below that") as error:
        load(write(tmp_path, *files))
    assert tree in str(error.value)


def test_parts_below_people_are_to_be_turned_round(tmp_path):
    with pytest.raises(ConfigError, match="turn it round: train/identity/file"):
        load(write(tmp_path, "a/train/1.png", "a/test/2.png", "b/train/3.png", "b/test/4.png"))


def test_a_long_tree_is_cut_short(tmp_path):
    files = [f"p{n:02}/s/1.png" for n in range(20)]
    with pytest.raises(ConfigError, match=r"p00, p01, p02, p03, p04, … \(20\) / s / 20 images"):
        arrange(files, [], [], "root")


def test_a_person_whose_images_cannot_be_read_is_an_error(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").mkdir()
    for n in range(3):
        (tmp_path / "c" / f"{n}.HEIC").write_bytes(b"x")
    (tmp_path / "c" / "clip.mov").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"such as 'c' \(it holds 3 .heic, 1 .mov\).*pillow-heif"):
        load(tmp_path)


def test_files_that_cannot_be_read_are_counted_by_suffix(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    for name in ("a/2.heic", "a/3.HEIC", "b/clip.mov", "b/raw", "b/4.cr2", "b/notes.txt", "index.csv"):
        (tmp_path / name).write_bytes(b"x")
    (warning,) = load(tmp_path).warnings
    assert "left out 5 files that cannot be read as images: 2 .heic, 1 " in warning
    assert all(f"1 {suffix}" in warning for suffix in (".mov", "without a suffix", ".cr2"))
    assert "pillow-heif" in warning


def test_a_folder_of_unreadable_images_alone_says_what_it_holds(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.heic").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"found none, but 1 \.heic; install pillow-heif"):
        load(tmp_path)


def test_names_that_spell_the_same_are_one_person(tmp_path):
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    with pytest.raises(ConfigError, match=r"'Jose\\u0301' and 'Jos\\xe9' .* spell the same name"):
        load(write(tmp_path, f"{composed}/1.png", f"{decomposed}/1.png"))


@pytest.mark.parametrize("folder", ["thumbs", "Thumbnails"])
def test_thumbnails_below_a_person_are_left_out_and_counted(tmp_path, folder):
    images = load(write(tmp_path, "a/1.png", "b/1.png", f"a/{folder}/1.png", f"b/{folder}/s/1.png"))
    assert len(images) == 2
    assert "left out 2 images in folders of thumbnails" in images.warnings[0]


def test_nothing_to_warn_of(tmp_path):
    assert load(write(tmp_path, "a/1.png", "b/1.png")).warnings == ()


def test_names_that_move_the_cursor_or_are_no_utf8_are_escaped(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / os.fsdecode(b"x.\xe9")).write_bytes(b"x")
    (tmp_path / "a" / "x.\x1b[2J").write_bytes(b"x")
    (warning,) = load(tmp_path).warnings
    assert warning.isprintable() and "1 .\\udce9" in warning and "1 .\\x1b[2j" in warning
    with pytest.raises(ConfigError, match="below that") as error:
        load(write(tmp_path, "a\nb/x/2.png"))
    assert "\n" not in str(error.value)
