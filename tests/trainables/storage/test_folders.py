"""What a listing of a folder holds, and what other programs left there."""

import os

import pytest

from trainables.errors import ConfigError
from trainables.storage.folders import is_foreign, is_regular, list_folder

FOREIGN = [
    "@eaDir",
    "@EADIR",
    "#recycle",
    "lost+found",
    "__MACOSX",
    "$RECYCLE.BIN",
    "System Volume Information",
    "@Recycle",
    ".Trash-1000",
    ".hidden",
]


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"12")


@pytest.mark.parametrize("folder", FOREIGN)
@pytest.mark.parametrize("place", ["", "a/", "a/b/"])
def test_other_programs_folders_are_skipped_at_every_level(tmp_path, folder, place):
    touch(tmp_path, "a/b/1.jpg", f"{place}{folder}/2.jpg", f"{place}{folder}/more/3.jpg")
    listing = list_folder(tmp_path)
    assert [path for path, _, _ in listing.files] == ["a/b/1.jpg"] and listing.folders == ("a", "a/b")


@pytest.mark.parametrize(
    "file", [".DS_Store", "Thumbs.db", "desktop.ini", "._1.jpg", "~$letter.jpg", "Icon\r"]
)
def test_other_programs_files_are_skipped(tmp_path, file):
    touch(tmp_path, "a/1.jpg", f"a/{file}")
    assert [path for path, _, _ in list_folder(tmp_path).files] == ["a/1.jpg"]


def test_people_are_no_foreign_names():
    assert not is_foreign(["@ada", "Thumbelina", "lost", "1.jpg", "#1"])


def test_sizes_and_times_are_those_of_what_links_lead_to(tmp_path):
    touch(tmp_path / "elsewhere", "1.jpg")
    os.utime(tmp_path / "elsewhere" / "1.jpg", ns=(5, 7))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert list_folder(tmp_path / "root").files == (("a/1.jpg", 2, 7), ("gone.jpg", 0, 0))


def test_no_folder_is_read_twice(tmp_path):
    touch(tmp_path, "b/1.jpg", "c/2.jpg")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "d").symlink_to(tmp_path)
    (tmp_path / "b" / "up").symlink_to("..")
    (tmp_path / "itself").symlink_to("itself")
    listing = list_folder(tmp_path)
    assert [path for path, _, _ in listing.files] == ["b/1.jpg", "c/2.jpg", "itself"]
    assert listing.repeated == ("a", "b/up", "d")  # links, and not what they lead to


def test_what_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg")
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ConfigError, match=r"folder that can be read, got .*/a' \(Permission denied\)"):
        list_folder(tmp_path)


def test_only_files_that_end_are_regular(tmp_path):
    touch(tmp_path, "1.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert is_regular(tmp_path / "1.jpg")
    assert (
        not is_regular(tmp_path / "pipe.jpg")
        and not is_regular(tmp_path / "gone")
        and not is_regular(tmp_path)
    )
