import errno
import json
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from trainables.errors import DiskError
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
