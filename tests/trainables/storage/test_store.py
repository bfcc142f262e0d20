import errno
import json
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from trainables.errors import DiskError
from trainables.storage.remote import RemoteStore
from trainables.storage.store import Store, content_key, to_json


@dataclass(frozen=True)
class Knobs:
    kind: ClassVar[str] = "sample"
    width: int = 3
    names: tuple[str, ...] = ("a", "b")


def test_plain_keeps_the_kind_and_nests() -> None:
    assert to_json({"x": Knobs()}) == {"x": {"kind": "sample", "width": 3, "names": ["a", "b"]}}


def test_key_changes_with_every_part_and_not_with_order() -> None:
    key = content_key(knobs=Knobs(), seed=0)
    assert key == content_key(seed=0, knobs=Knobs())
    assert key != content_key(knobs=Knobs(width=4), seed=0)
    assert key != content_key(knobs=Knobs(), seed=1)
    assert len(key) == 20


def test_a_stage_is_made_once_and_found_again(tmp_path: Path) -> None:
    calls = []

    def make(folder: Path) -> dict[str, int]:
        (folder / "weights").write_text("w")
        calls.append(folder)
        return {"value": 7}

    first = Store(tmp_path).get("target", {"seed": 0}, make)
    second = Store(tmp_path).get("target", {"seed": 0}, make)
    assert len(calls) == 1
    assert (first.made_now, second.made_now) == (True, False)
    assert first.result == second.result == {"value": 7}
    assert first.seconds == second.seconds
    assert (second.path / "weights").read_text() == "w"
    assert json.loads((second.path / "key.json").read_text()) == {"seed": 0}


def test_a_failed_stage_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, int]:
        (folder / "half").write_text("x")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        Store(tmp_path).get("target", {"seed": 0}, fail)
    assert [p for p in (tmp_path / "target").iterdir() if p.is_dir()] == []
    assert Store(tmp_path).get("target", {"seed": 0}, lambda _: {"ok": 1}).made_now


def test_the_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    key = content_key(seed=0)
    leftover = tmp_path / "target" / f".{key}-killed"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("x")
    Store(tmp_path).get("target", {"seed": 0}, lambda _: {})
    assert not leftover.exists()


def test_a_full_disk_is_one_error_and_finished_stages_stay(tmp_path: Path) -> None:
    Store(tmp_path).get("target", {"seed": 0}, lambda _: {"value": 1})

    def full(folder: Path) -> dict[str, int]:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskError, match="free space"):
        Store(tmp_path).get("target", {"seed": 1}, full)
    assert Store(tmp_path).find("target", content_key(seed=0)) is not None
    assert Store(tmp_path).find("target", content_key(seed=1)) is None


DAMAGES = ("", '{"result": {"val', "null", '{"seconds": 1.0}', None)  # of result.json; None: it is missing


def _damaged(root: Path, text: str | None) -> Path:
    """Return the folder of a finished stage whose result.json holds `text`."""
    stage = Store(root, None).get(
        "target", {"seed": 0}, lambda folder: (folder / "w").touch() or {"value": 1}
    )
    (stage.path / "result.json").unlink()
    if text is not None:
        (stage.path / "result.json").write_text(text)
    return stage.path


@pytest.mark.parametrize("text", DAMAGES)
def test_a_damaged_stage_is_made_again(tmp_path: Path, text: str | None) -> None:
    place = _damaged(tmp_path, text)
    store = Store(tmp_path)
    assert store.find("target", place.name) is None and store.fetch("target", place.name) is None
    made = store.get("target", {"seed": 0}, lambda _: {"value": 2})
    assert made.made_now and made.result == {"value": 2}
    assert sorted(path.name for path in place.iterdir()) == ["key.json", "result.json"]
    again = store.get("target", {"seed": 0}, lambda _: {"value": 3})
    assert not again.made_now and again.result == {"value": 2}


def test_a_file_in_the_place_of_a_stage_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / content_key(seed=0)).write_text("x")
    assert Store(tmp_path).get("target", {"seed": 0}, lambda _: {"value": 2}).made_now
    assert not Store(tmp_path).get("target", {"seed": 0}, lambda _: {"value": 3}).made_now


@pytest.mark.parametrize("text", DAMAGES)
def test_a_damaged_stage_is_fetched_from_the_mirror(tmp_path: Path, text: str | None) -> None:
    mirror = RemoteStore(str(tmp_path / "mirror"))
    Store(tmp_path / "other", mirror).get("target", {"seed": 0}, lambda _: {"value": 2})
    place = _damaged(tmp_path / "own", text)
    fetched = Store(tmp_path / "own", mirror).fetch("target", place.name)
    assert fetched is not None and fetched.result == {"value": 2} and not (place / "w").exists()


def test_a_stage_that_is_damaged_on_the_mirror_is_made_and_uploaded(tmp_path: Path) -> None:
    mirror = RemoteStore(str(tmp_path / "mirror"))
    mirror.push("target", content_key(seed=0), _damaged(tmp_path / "other", ""))
    own = Store(tmp_path / "own", mirror).get("target", {"seed": 0}, lambda _: {"value": 2})
    assert own.made_now
    found = Store(tmp_path / "third", mirror).fetch("target", own.key)
    assert found is not None and found.result == {"value": 2}


def test_a_stage_that_may_not_be_read_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    key = Store(tmp_path).get("target", {"seed": 0}, lambda _: {"value": 1}).key
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PermissionError):
        Store(tmp_path).find("target", key)


def test_a_stage_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "target" / content_key(seed=0)
    synced: list[set[str]] = []

    def note(draft: Path) -> None:
        assert not place.exists()
        synced.append({path.name for path in draft.iterdir()})

    monkeypatch.setattr("trainables.storage.store.sync", note)
    Store(tmp_path).get("target", {"seed": 0}, lambda folder: (folder / "w").touch() or {})
    assert synced == [{"w", "key.json", "result.json"}]


def _make_slowly(root: Path) -> None:
    def make(folder: Path) -> dict[str, int]:
        with (root / "log").open("a") as log:
            log.write("made\n")
        time.sleep(0.3)
        return {}

    Store(root).get("prior", {"seed": 0}, make)


def test_two_processes_make_a_stage_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_make_slowly, args=(tmp_path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (tmp_path / "log").read_text() == "made\n"
