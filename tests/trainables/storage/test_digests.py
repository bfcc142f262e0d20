"""Folders count by bytes, are read once, and what is remembered of them never outlives a change."""

import errno
import hashlib
import json
import os
import shutil
import time

import pytest

from trainables.storage import digests
from trainables.storage.digests import digest


@pytest.fixture
def root(tmp_path):
    for name, content in (("a/1.jpg", b"one"), ("b/1.jpg", b"two")):
        (tmp_path / "root" / name).parent.mkdir(parents=True)
        (tmp_path / "root" / name).write_bytes(content)
    return tmp_path / "root"


@pytest.fixture
def reads(monkeypatch):
    """Return the names of the files whose bytes were read, in order; all files count as settled."""
    seen = []
    read = digests._bytes_digest
    monkeypatch.setattr(digests, "_bytes_digest", lambda path: (seen.append(path.name), read(path))[1])
    monkeypatch.setattr(digests, "FRESH_NS", -1)
    return seen


def expected(**files):
    listing = [[name, hashlib.sha256(content).hexdigest()] for name, content in sorted(files.items())]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def test_a_folder_is_its_names_and_bytes_wherever_it_lies(root, tmp_path):
    truth = expected(**{"a/1.jpg": b"one", "b/1.jpg": b"two"})
    assert digest(root) == truth
    shutil.copytree(root, tmp_path / "copy")
    assert digest(tmp_path / "copy", tmp_path / "memory") == truth
    (root / "@eaDir").mkdir()
    (root / "@eaDir" / "1.jpg").write_bytes(b"thumbnail")
    (root / ".DS_Store").write_bytes(b"x")
    assert digest(root) == truth


def test_a_file_is_its_bytes(root):
    assert digest(root / "a" / "1.jpg") == hashlib.sha256(b"one").hexdigest()


def test_bytes_of_the_same_size_change_it(root, tmp_path, reads):
    before = digest(root, tmp_path / "memory")
    (root / "a" / "1.jpg").write_bytes(b"ONE")
    assert digest(root, tmp_path / "memory") != before
    assert digest(root, tmp_path / "memory") == expected(**{"a/1.jpg": b"ONE", "b/1.jpg": b"two"})


def test_only_what_changed_is_read_again(root, tmp_path, reads):
    memory = tmp_path / "memory"
    first = digest(root, memory)
    assert sorted(reads) == ["1.jpg", "1.jpg"]
    assert digest(root, memory) == first and len(reads) == 2
    (root / "b" / "2.jpg").write_bytes(b"three")
    assert digest(root, memory) != first and reads[2:] == ["2.jpg"]


def test_a_file_put_back_at_its_old_time_is_read_again(root, tmp_path, reads):
    path = root / "a" / "1.jpg"
    os.utime(path, ns=(10**18, 10**18))
    first = digest(root, tmp_path / "memory")
    time.sleep(0.02)
    path.write_bytes(b"ONE")
    os.utime(path, ns=(10**18, 10**18))
    assert digest(root, tmp_path / "memory") != first


def test_what_is_remembered_is_for_all_users_of_a_home_and_a_full_disk_leaves_no_draft(
    root, tmp_path, reads, monkeypatch
):
    first = digest(root, tmp_path / "memory")
    (plain := tmp_path / "plain").touch()
    assert [path.stat().st_mode for path in (tmp_path / "memory").iterdir()] == [plain.stat().st_mode]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert digest(root, tmp_path / "other") == first
    assert list((tmp_path / "other").iterdir()) == []


def test_a_file_that_changed_just_now_is_not_remembered(root, tmp_path):
    digest(root, tmp_path / "memory")
    assert not list((tmp_path / "memory").glob("*.json"))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a/1.jpg": 3}', '{"a/1.jpg": ["x", 1, 1, "y"]}'])
def test_a_damaged_memory_is_no_harm(root, tmp_path, reads, damage):
    memory = tmp_path / "memory"
    first = digest(root, memory)
    (note,) = memory.glob("*.json")
    note.write_text(damage)
    assert digest(root, memory) == first and len(reads) == 4


def test_a_memory_that_cannot_be_written_is_no_harm(root, tmp_path, reads):
    (tmp_path / "memory").write_text("a file")
    assert digest(root, tmp_path / "memory") == digest(root)


def test_names_that_are_no_utf8_count_as_they_are(root):
    before = digest(root)
    os.rename(root / "a" / "1.jpg", os.fsencode(root / "a") + b"/\xe9.jpg")
    assert digest(root) != before


def test_links_are_followed_and_what_hangs_is_not_read(root, tmp_path):
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "a").symlink_to(root / "a")
    os.mkfifo(tmp_path / "link" / "pipe.jpg")
    before = digest(tmp_path / "link")
    (root / "a" / "1.jpg").write_bytes(b"ONE")
    assert digest(tmp_path / "link") != before
