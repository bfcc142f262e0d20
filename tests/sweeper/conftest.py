"""Cheap sweeps: a study whose trials take no time, one Ray cluster for the whole session, and a browser."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import sweeper  # noqa: F401  (sets Ray's switches before anything imports ray)
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from sweeper.study.study import Study


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("OPTUNA_STORAGE", "MLFLOW_TRACKING_URI", "SWEEPER_HOME", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    place = Home(tmp_path / "home")
    place.prepare()
    return place


@pytest.fixture
def cheap() -> Callable[..., Study]:
    """Return a maker of studies whose template is empty; changes go into the document."""

    def make(**changes: Any) -> Study:
        document: dict[str, Any] = {
            "name": "cheap",
            "trial": {},
            "space": [{"x": {"float": [0, 1]}}, {"k": {"choice": ["a", "b"]}}],
            "search": {"trials": 6},
            "tracking": {"mlflow": False},
        }
        return parse_study(document | changes, "test")

    return make


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    """Return a maker of what a trial gives: accuracy `x`, attack accuracy its square."""

    def make(x: float, **changes: Any) -> dict[str, Any]:
        found = {
            "values": {"test_accuracy": x, "attack_accuracy": x * x},
            "interval": {"attack_accuracy": [x * x / 2, min(1.0, x * x * 2)]},
            "metrics": {"knn_distance": 2.0},
            "trained_params": 10,
            "total_params": 20,
            "seconds": {"target": 0.5, "attack": 0.25},
            "freeze_point": "none",
            "defense": "none",
            "history": {"target": [{"loss": 2.0}, {"loss": 1.0}]},
            "artifacts": {},
            "warnings": [],
        }
        made = found | changes
        accuracy = made["values"].get("test_accuracy", x)
        return made | {"metrics": {"validation_accuracy": accuracy, **made["metrics"]}}

    return make


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Start one Ray cluster for the session and return its address; this process is connected to it."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    os.environ.setdefault("RAY_worker_niceness", "0")  # a busy machine starves workers that are nice
    import ray

    from sweeper.engine.machines.cluster import start_here

    start_here(num_cpus=2, object_store_memory=100_000_000, log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Chromium expects its pipes at 3 and 4, where this process has other files.
START = (
    "import os,sys;a,b=map(int,sys.argv[1:3]);os.dup2(a,3);os.dup2(b,4);os.execv(sys.argv[3],sys.argv[3:])"
)
PATIENCE = 120


class Browser:
    """One page of a headless Chromium, driven with the DevTools protocol over a pipe."""

    def __init__(self, folder):
        theirs, self.to = os.pipe()
        self.of, answers = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs, answers)]
        switches = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, ends), CHROMIUM, *switches, f"--user-data-dir={folder}"],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (*ends, theirs, answers):
            os.close(end)
        self.count, self.rest, self.events, self.session = 0, b"", [], {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = {
            "sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        }
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params, **self.session}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self.count:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _read(self):
        while b"\0" not in self.rest:
            assert select.select([self.of], [], [], PATIENCE)[0], "chromium does not answer"
            more = os.read(self.of, 1 << 16)
            assert more, "chromium has ended"
            self.rest += more
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def open(self, page):
        self.call("Page.navigate", url="about:blank")  # a new fragment alone loads nothing
        self.call("Page.navigate", url=page)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script):
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    @contextmanager
    def ahead(self, script):
        """Run `script` before those of every page that is loaded meanwhile."""
        added = self.call("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]
        try:
            yield
        finally:
            self.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added)

    def until(self, script):
        end = time.monotonic() + PATIENCE
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)

    def place(self, selector):
        """Return the middle of an element, which is first scrolled to."""
        return self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2, b.height] })()"
        )

    def mouse(self, kind, x, y):
        held = 0 if kind == "mouseMoved" else 1
        options = {"type": kind, "x": x, "y": y, "button": "left", "buttons": held, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", **options)

    def click(self, selector):
        x, y, _ = self.place(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def complaints(self):
        """Return what the console holds: errors, warnings and uncaught exceptions."""
        names = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event["params"] for event in self.events if event["method"] in names]

    def asked(self):
        """Return the addresses that pages asked for, beside what they bring along."""
        urls = [
            e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def close(self):
        os.close(self.to)  # Chromium ends with its pipe
        self.process.wait(PATIENCE)
        os.close(self.of)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()
