"""Machines without a shared disk: each has a store of its own, here two folders, and one mirror for both."""

import shutil
import time

import pytest

from trainables.errors import ConfigError, TrialError
from trainables.storage.remote import VARIABLE, RemoteStore, _open, remote_here
from trainables.storage.store import Store, content_key

KEY = content_key(seed=0)


@pytest.fixture(params=["folder", "memory://"])
def url(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "shared")
    return f"memory://{tmp_path}"  # through fsspec, as any scheme that pyarrow does not know


@pytest.fixture
def machines(tmp_path, url):
    return [Store(tmp_path / name, RemoteStore(url)) for name in ("one", "two")]


def make(folder):
    (folder / "weights").write_bytes(bytes(range(256)))
    (folder / "deep").mkdir()
    (folder / "deep" / "er").write_text("as well")
    return {"value": 7}


def refuse(folder):
    raise AssertionError("it was made a second time")


def test_what_one_machine_has_made_another_copies(machines):
    one, two = machines
    made = one.get("target", {"seed": 0}, make)
    assert made.made_now
    found = two.get("target", {"seed": 0}, refuse)
    assert not found.made_now and found.path == two.root / "target" / KEY
    assert found.result == {"value": 7} and found.seconds == made.seconds
    assert (found.path / "weights").read_bytes() == bytes(range(256))
    assert (found.path / "deep" / "er").read_text() == "as well"
    assert one.remote.keys("target") == [KEY] and one.remote.keys("prior") == []
    shutil.rmtree(one.root)
    assert one.fetch("target", KEY).result == {"value": 7}
    assert one.fetch("target", content_key(seed=1)) is None


def test_an_upload_that_was_cut_off_counts_for_nothing_and_is_done_again(machines, monkeypatch):
    one, two = machines
    push = RemoteStore.push

    def cut_off(self, stage, key, folder):
        files, root = _open(self.url)
        files.create_dir(f"{root}/{stage}/{key}/0123", recursive=True)
        with files.open_output_stream(f"{root}/{stage}/{key}/0123/result.json") as stream:
            stream.write(b'{"result": {}, "seconds": 1}')
        raise TrialError("cut off")

    monkeypatch.setattr(RemoteStore, "push", cut_off)
    with pytest.raises(TrialError, match="cut off"):
        one.get("target", {"seed": 0}, make)
    assert two.fetch("target", KEY) is None
    monkeypatch.setattr(RemoteStore, "push", push)
    assert not one.get("target", {"seed": 0}, refuse).made_now  # what it made was kept, and is uploaded now
    assert two.get("target", {"seed": 0}, refuse).result == {"value": 7}


def test_of_two_uploads_one_counts_whole(machines, tmp_path):
    one, two = machines
    for name, store in (("a", one), ("b", two)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "weights").write_text(name)
        (folder / "result.json").write_text(f'{{"result": {{"by": "{name}"}}, "seconds": 1}}')
        store.remote.push("target", KEY, folder)
    found = one.fetch("target", KEY)
    assert (found.path / "weights").read_text() == found.result["by"]


def test_a_place_that_cannot_be_used_is_named_soon(tmp_path):
    (tmp_path / "file").write_text("")
    began = time.monotonic()
    for url in (f"{tmp_path}/file/below", "nonsense://somewhere"):
        with pytest.raises(ConfigError, match=f"shared store that can be written at {VARIABLE}={url}, got: "):
            RemoteStore(url).check()
        with pytest.raises(TrialError, match="expected to reach the shared store"):
            RemoteStore(url).push("target", KEY, tmp_path)
    assert time.monotonic() - began < 15
    RemoteStore(f"{tmp_path}/new").check()
    assert list((tmp_path / "new").iterdir()) == []


def test_one_that_says_nothing_is_waited_for_no_longer_than_that(monkeypatch):
    monkeypatch.setattr("trainables.storage.remote.REACH_SECONDS", 0.2)
    monkeypatch.setattr("trainables.storage.remote._open", lambda url: time.sleep(60))
    with pytest.raises(ConfigError, match="no answer within"):
        RemoteStore("s3://somewhere").check()


def test_the_environment_names_it(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert remote_here() is None and Store(tmp_path).remote is None
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/shared/")
    assert Store(tmp_path).remote == RemoteStore(f"{tmp_path}/shared")
