"""Folders and zips in every layout, and each way in which they can be wrong."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.datasets.image_folder import ImageFolder, _decode
from trainables.datasets.overlap import check_disjoint
from trainables.datasets.split import split
from trainables.errors import ConfigError
from trainables.storage import pixel_cache
from trainables.storage.content import with_content

PACK = Path(os.environ.get("SWEEPER_FACES", Path(__file__).parents[4] / "shared" / "data"))
SIZE = 8


def picture(path: Path, value: int = 0, width: int = SIZE, height: int = SIZE) -> Path:
    """Write a PNG whose red channel is `value`, green its column and blue its row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = value
    pixels[..., 1] = np.arange(width)
    pixels[..., 2] = np.arange(height)[:, None]
    Image.fromarray(pixels).save(path)
    return path


def tree(root: Path, *files: str) -> Path:
    """Write one picture per file; its red value is its place in the list."""
    for value, file in enumerate(files):
        picture(root / file, value)
    return root


def zipped(root: Path) -> Path:
    target = root.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(root.rglob("*"), reverse=True):
            archive.write(path, path.relative_to(root.parent))
    return target


def test_grey_takes_the_colours_away_and_keeps_the_brightness(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/1.png")
    picture(tmp_path / "b/1.png", 200)
    grey = ImageFolder(root=str(tmp_path), grey=True).load(SIZE).pixels
    colours = ImageFolder(root=str(tmp_path)).load(SIZE).pixels.double()
    assert (grey[:, :1] == grey).all()
    brightness = (colours * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)  # ITU-R 601
    assert (grey[:, 0].double() - brightness).abs().max() <= 0.51
    assert brightness[1].min() > brightness[0].max()


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("wrap", ["", "faces/"])
def test_identity_folders(tmp_path: Path, as_zip: bool, wrap: str) -> None:
    root = tree(tmp_path / "data", *(wrap + file for file in ("b/2.png", "b/1.PNG", "a/x.png", "a10/y.png")))
    (root / "notes.txt").write_text("not an image")
    picture(root / ".hidden" / "z.png")
    images = ImageFolder(root=str(zipped(root) if as_zip else root)).load(SIZE)
    assert images.names == ("a", "a10", "b")
    assert images.labels.tolist() == [0, 1, 2, 2]
    assert images.pixels[:, 0, 0, 0].tolist() == [2, 3, 1, 0]
    assert [Path(file).name for file in images.files] == ["x.png", "y.png", "1.PNG", "2.png"]
    assert images.reserved is None
    assert images.pixels[0, 1, 0].tolist() == list(range(SIZE)) == images.pixels[0, 2, :, 0].tolist()


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize(
    "foreign", ["a/@eaDir/SYNO/1.png", "@eaDir/1.png", "#recycle/c/1.png", "__MACOSX/a/1.png", "a/.x/1.png"]
)
def test_other_programs_pictures_are_nobodys(tmp_path: Path, as_zip: bool, foreign: str) -> None:
    root = tree(tmp_path / "data", "a/1.png", "b/1.png", foreign)
    (root / "lost+found").mkdir()
    images = ImageFolder(root=str(zipped(root) if as_zip else root)).load(SIZE)
    assert images.names == ("a", "b") and len(images) == 2 and images.warnings == ()


def test_a_folder_linked_twice_is_read_once_and_said(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/1.png", "b/1.png")
    (root / "latest").symlink_to("b")
    images = ImageFolder(root=str(root)).load(SIZE)
    assert images.names == ("a", "b") and len(images) == 2
    assert "left out 1 linked folder read already" in images.warnings[0]


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/1.png")
    os.mkfifo(tmp_path / "a" / "2.png")
    with pytest.raises(ConfigError, match=r"a/2.png \(unreadable"):
        ImageFolder(root=str(tmp_path)).load(SIZE)


@pytest.mark.parametrize("bad", [b"Jos\xe9/1.png", b"a/caf\xe9.png"])
def test_names_that_are_no_utf8_are_named_in_one_error(tmp_path: Path, bad: bytes) -> None:
    tree(tmp_path, "a/1.png", "b/1.png")
    path = os.fsencode(tmp_path) + b"/" + bad
    os.makedirs(os.path.dirname(path), exist_ok=True)
    picture(tmp_path / "b" / "3.png", 7)
    os.rename(tmp_path / "b" / "3.png", path)
    with pytest.raises(ConfigError, match=r"in UTF-8; got 1 that are not") as error:
        ImageFolder(root=str(tmp_path)).load(SIZE)
    assert repr(bad)[1:] in str(error.value)
    str(error.value).encode()  # can be printed


def test_a_zip_with_backslashes_is_a_tree(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "a/1.png", "b/1.png")
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        for name in "ab":
            content = (root / name / "1.png").read_bytes()
            archive.writestr(zipfile.ZipInfo(f"data\\{name}\\1.png"), content)
    images = ImageFolder(root=str(tmp_path / "old.zip")).load(SIZE)
    assert images.names == ("a", "b") and images.pixels[:, 0, 0, 0].tolist() == [0, 1]


def test_fit_pad_keeps_what_cutting_loses(tmp_path: Path) -> None:
    picture(tmp_path / "1.png", 90, width=20, height=10)
    padded = ImageFolder(root=str(tmp_path), fit="pad").load(20).pixels[0]
    assert padded[1, 5].tolist() == list(range(20)) and padded[2, 5:15, 0].tolist() == list(range(10))
    assert not padded[:, :5].any() and not padded[:, 15:].any()
    with pytest.raises(ConfigError, match="fit of image_folder must be one of cut, pad; got 'stretch'"):
        ImageFolder(root=str(tmp_path), fit="stretch")  # type: ignore[arg-type]


def test_later_knobs_enter_no_key_at_their_defaults(tmp_path: Path) -> None:
    root = str(tree(tmp_path, "a/1.png"))
    plain = with_content(ImageFolder(root=root))
    assert set(plain) == {"kind", "root", "crop", "limit"}
    for knob in ({"fit": "pad"}, {"allow_duplicates": True}, {"anonymous_names": True}, {"grey": True}):
        assert with_content(ImageFolder(root=root, **knob)) == plain | knob  # type: ignore[arg-type]


@pytest.mark.parametrize("as_zip", [False, True])
def test_train_and_test_trees_reserve_the_test_images(tmp_path: Path, as_zip: bool) -> None:
    root = tree(tmp_path / "data", "test/a/1.png", "test/b/2.png", "train/a/3.png", "train/b/4.png")
    images = ImageFolder(root=str(zipped(root) if as_zip else root)).load(SIZE)
    assert images.names == ("a", "b")
    assert images.reserved is not None
    red = images.pixels[:, 0, 0, 0]
    assert dict(zip(red.tolist(), images.reserved.tolist(), strict=True)) == {
        0: True,
        1: True,
        2: False,
        3: False,
    }
    assert dict(zip(red.tolist(), images.labels.tolist(), strict=True)) == {0: 0, 1: 1, 2: 0, 3: 1}


@pytest.mark.parametrize(
    "files", [("2.png", "1.png"), ("people/2.png", "people/1.png"), ("x/y/2.png", "x/y/1.png")]
)
def test_flat_images_are_one_identity(tmp_path: Path, files: tuple[str, ...]) -> None:
    images = ImageFolder(root=str(tree(tmp_path, *files))).load(SIZE)
    assert images.names == ("all",) and images.labels.tolist() == [0, 0]
    assert images.pixels[:, 0, 0, 0].tolist() == [1, 0]


def test_crop_is_from_the_middle_then_resized(tmp_path: Path) -> None:
    picture(tmp_path / "1.png", width=20, height=12)
    largest = ImageFolder(root=str(tmp_path)).load(12).pixels[0]
    assert largest[1, 0].tolist() == list(range(4, 16)) and largest[2, :, 0].tolist() == list(range(12))
    cut = ImageFolder(root=str(tmp_path), crop=8).load(8).pixels[0]
    assert cut[1, 0].tolist() == list(range(6, 14)) and cut[2, :, 0].tolist() == list(range(2, 10))
    half = ImageFolder(root=str(tmp_path), crop=8).load(4).pixels[0]
    inner = half[1, 0, 1:3].float()  # PIL's filter spans two output pixels: exact away from the border
    torch.testing.assert_close(inner, torch.tensor([8.5, 10.5]), atol=0.51, rtol=0)


def test_reducing_averages(tmp_path: Path) -> None:
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(np.stack([checks] * 3, -1)).save(tmp_path / "1.png")
    pixels = ImageFolder(root=str(tmp_path)).load(8).pixels
    assert (pixels.float() - 127.5).abs().max() < 10  # plain picking would give 0 or 255


def test_grey_and_palette_images_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 77).save(tmp_path / "a.png")
    Image.new("RGBA", (8, 8), (10, 20, 30, 255)).save(tmp_path / "b.png")
    Image.new("RGB", (8, 8), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE).save(
        tmp_path / "c.png"
    )
    pixels = ImageFolder(root=str(tmp_path)).load(8).pixels[:, :, 3, 3]
    assert pixels.tolist() == [[77, 77, 77], [10, 20, 30], [10, 20, 30]]


def test_limit(tmp_path: Path) -> None:
    root = tree(tmp_path / "many", "a/1.png", "b/1.png", "b/2.png", "c/1.png")
    images = ImageFolder(root=str(root), limit=2).load(SIZE)
    assert images.names == ("a", "b") and images.labels.tolist() == [0, 1, 1]
    flat = tree(tmp_path / "flat", "1.png", "2.png", "3.png")
    assert len(ImageFolder(root=str(flat), limit=2).load(SIZE)) == 2


def test_decoded_once_until_a_file_changes(tmp_path: Path) -> None:
    tree(tmp_path, "1.png", "2.png")
    data = ImageFolder(root=str(tmp_path))
    first = data.load(SIZE)
    assert data.load(SIZE) is first
    picture(tmp_path / "1.png", value=99)
    os.utime(tmp_path / "1.png", ns=(1, 1))
    assert data.load(SIZE).pixels[0, 0, 0, 0] == 99


def test_bad_files_are_named_together(tmp_path: Path) -> None:
    tree(tmp_path, "a/ok.png", "b/ok.png")
    for number in range(6):
        (tmp_path / "a" / f"bad{number}.jpg").write_bytes(b"no picture")
    (tmp_path / "b" / "empty.png").touch()
    (tmp_path / "b" / "cut.png").write_bytes((tmp_path / "b" / "ok.png").read_bytes()[:50])
    with pytest.raises(ConfigError) as error:
        ImageFolder(root=str(tmp_path)).load(SIZE)
    text = str(error.value)
    assert "got 8 bad of 10" in text and "and 3 more" in text
    assert "a/bad0.jpg (unreadable" in text and "a/bad4.jpg" in text and "bad5" not in text
    for number in range(6):
        (tmp_path / "a" / f"bad{number}.jpg").unlink()
    with pytest.raises(ConfigError, match=r"b/cut.png \(unreadable.*b/empty.png \(empty\)"):
        ImageFolder(root=str(tmp_path)).load(SIZE)


def test_dangling_link_is_unreadable(tmp_path: Path) -> None:
    tree(tmp_path, "a/ok.png", "b/ok.png")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ConfigError, match=r"a/gone.png \(unreadable"):
        ImageFolder(root=str(tmp_path)).load(SIZE)


def test_crop_larger_than_an_image(tmp_path: Path) -> None:
    picture(tmp_path / "small.png", width=6)
    with pytest.raises(
        ConfigError, match=r"small.png \(smaller than the crop of 7: lower it, or set fit: pad\)"
    ):
        ImageFolder(root=str(tmp_path), crop=7).load(4)


def test_missing_wrong_and_empty_roots(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing is at '.*missing'"):
        ImageFolder(root=str(tmp_path / "missing")).load(SIZE)
    (tmp_path / "notes.txt").write_text("no zip")
    with pytest.raises(ConfigError, match="which is no zip"):
        ImageFolder(root=str(tmp_path / "notes.txt")).load(SIZE)
    with pytest.raises(ConfigError, match="found none"):
        ImageFolder(root=str(tmp_path)).load(SIZE)


def test_identity_without_images_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").mkdir()
    (tmp_path / ".cache").mkdir()
    with pytest.raises(ConfigError, match=r"got 1 without any, such as 'c'"):
        ImageFolder(root=str(tmp_path)).load(SIZE)


def test_images_beside_identity_folders(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/1.png", "stray.png")
    with pytest.raises(ConfigError, match=r"got 1 of 3 images outside of one, such as 'stray.png'"):
        ImageFolder(root=str(tmp_path)).load(SIZE)


@pytest.mark.parametrize("mapped", [False, True])
def test_images_that_are_enlarged_more_than_twice_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    if mapped:  # what lies in a file says the same
        monkeypatch.setattr(pixel_cache, "SMALLEST", 1)
        monkeypatch.setitem(pixel_cache.PLACE, "folder", tmp_path / "cache")
    root = tree(tmp_path / "data", "a/1.png", "b/1.png")
    picture(root / "b" / "2.png", 2, width=30, height=3)
    (said,) = ImageFolder(root=str(root)).load(2 * SIZE).warnings
    assert said == "1 of 3 images are smaller than image_size and were enlarged (smallest 3x3)"
    _decode.cache_clear()
    assert ImageFolder(root=str(root)).load(2 * SIZE).warnings == (said,)
    assert ImageFolder(root=str(root), fit="pad").load(2 * SIZE).warnings == ()  # its whole width is kept
    (said,) = ImageFolder(root=str(root)).load(2 * SIZE + 1).warnings
    assert said.startswith("3 of 3")


def test_impossible_knobs() -> None:
    with pytest.raises(ConfigError, match="crop of image_folder must be at least 1, or left out; got 0"):
        ImageFolder(root="x", crop=0)
    with pytest.raises(ConfigError, match="limit of image_folder must be at least 1, or left out; got -2"):
        ImageFolder(root="x", limit=-2)
    for nothing in ("", " "):  # the current directory, to whoever opens it
        with pytest.raises(ConfigError, match=f"root of image_folder must name a folder .*got '{nothing}'"):
            ImageFolder(root=nothing)


def test_the_same_archive_on_both_sides_is_refused(tmp_path: Path) -> None:
    images = ImageFolder(root=str(tree(tmp_path, "a/1.png", "b/1.png"))).load(SIZE)
    with pytest.raises(ConfigError, match="share no files"):
        check_disjoint(images, images)


@pytest.mark.golden_pack
def test_real_faces() -> None:
    private, public = (PACK / f"faces_{side}" / f"celeba_{side}_64.zip" for side in ("private", "public"))
    if not (private.exists() and public.exists()):
        pytest.skip(f"no faces in {PACK}: set SWEEPER_FACES to the folder that holds faces_private/")
    images = ImageFolder(root=str(private)).load(64)
    assert (len(images), images.classes) == (5402, 214)
    parts = split(images)
    assert len(parts.train) + len(parts.validation) == 4316 and len(parts.test) == 1086
    others = ImageFolder(root=str(public), limit=500).load(64)
    assert len(others) == 500 and others.names == ("all",)
    check_disjoint(images, others)
