"""Machines without a shared disk: each has a store of its own, here two folders, and one mirror for both."""

import importlib.util
import shutil
import threading
import time
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from trainables.errors import ConfigError, TrialError
from trainables.storage.remote import VARIABLE, RemoteStore, _open, remote_here
from trainables.storage.store import Store, content_key

KEY = content_key(seed=0)


class Buckets(MemoryFileSystem):
    """Object storage as fsspec shows it: paths begin with the bucket, there are no folders to make, and a
    listing may be an old one."""

    protocol = "bucket"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("bucket://")).lstrip("/")

    def makedirs(self, path, exist_ok=False):
        raise AssertionError(f"it makes the bucket of {path}")

    mkdir = makedirs

    def put_file(self, lpath, rpath, **options):
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def pipe_file(self, path, value, mode="overwrite", **options):
        self.store[self._strip_protocol(path)] = value

    def cat_file(self, path, **options):
        if path not in self.store:
            raise FileNotFoundError(path)
        return self.store[path]

    def get_file(self, rpath, lpath, **options):
        Path(lpath).write_bytes(self.cat_file(rpath))

    def mv(self, path1, path2, **options):
        self.store[path2] = self.store.pop(path1)

    def rm_file(self, path):
        del self.store[path]

    def find(self, path, **options):
        return sorted(name for name in self.store if name.startswith(f"{path}/"))

    def ls(self, path, detail=True, **options):
        below = {name.removeprefix(f"{path}/").partition("/")[0] for name in self.find(path)}
        if not below:
            raise FileNotFoundError(path)
        return [f"{path}/{name}" for name in below]


fsspec.register_implementation("bucket", Buckets, clobber=True)


@pytest.fixture(params=["folder", "file://", "memory://", "bucket://"])
def url(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "shared")
    return (
        f"{request.param}{tmp_path}" if request.param != "bucket://" else f"bucket://{tmp_path.name}/sweeps"
    )


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
        if root.startswith("/"):
            files.makedirs(f"{root}/{stage}/{key}/0123")
        files.pipe_file(f"{root}/{stage}/{key}/0123/result.json", b'{"result": {}, "seconds": 1}')
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


@pytest.mark.parametrize(
    ("url", "extra"), [("s3://bucket/x", "s3"), ("s3a://bucket/x", "s3"), ("gs://bucket/x", "gcs")]
)
def test_a_missing_package_is_named_with_its_extra(url, extra, monkeypatch):
    spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("s3fs", "gcsfs") else spec(name)
    )
    with pytest.raises(ConfigError, match=rf"pip install 'inversion-sweeper\[{extra}\]'"):
        RemoteStore(url).check()
    with pytest.raises(ConfigError, match="expected the package"):
        RemoteStore(url).keys("target")


def test_secrets_of_its_url_are_not_shown(tmp_path):
    store = RemoteStore(f"nonsense://me:s3cret@host{tmp_path}")
    for act in (store.check, lambda: store.keys("target")):
        with pytest.raises((ConfigError, TrialError), match=r"me:\*\*\*@host") as caught:
            act()
        assert "s3cret" not in str(caught.value)


def test_one_that_says_nothing_is_waited_for_no_longer_than_that(monkeypatch):
    monkeypatch.setattr("trainables.storage.remote.REACH_SECONDS", 0.2)
    over = threading.Event()
    monkeypatch.setattr("trainables.storage.remote._open", lambda url: over.wait(60))
    with pytest.raises(ConfigError, match="no answer within"):
        RemoteStore("s3://somewhere").check()
    (probe,) = [thread for thread in threading.enumerate() if thread.name == "probe"]
    over.set()  # what it gets now is no file system: it ends without a word
    probe.join(30)
    assert not probe.is_alive()


def test_the_environment_names_it(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert remote_here() is None and Store(tmp_path).remote is None
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/shared/")
    assert Store(tmp_path).remote == RemoteStore(f"{tmp_path}/shared")
