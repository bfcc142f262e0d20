"""MLflow's pages as `sweeper ui` opens them, in Chromium."""

import re
import signal
import socket
import subprocess
import sys

import pytest
from processes import default_signals

from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.tracking.mlflow_tracker import Tracker

pytestmark = pytest.mark.slow  # the server takes half a minute


@pytest.fixture
def address(home, cheap, result):
    """Serve the runs of a finished study; return the address that `sweeper ui` prints."""
    study = cheap(tracking={"mlflow": True})
    book = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    while (asked := book.ask()) is not None:
        book.tell(asked.number, result(asked.assignment["x"]) | {"params": asked.assignment})
    tracker = Tracker(study, home)
    tracker.finish(study_records(home, "cheap"), None)
    assert tracker.problem == ""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sweeper", "ui", "--home", str(home.root), "--port", str(port)]
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=default_signals,
    )
    for line in server.stdout:
        if found := re.search(r"http://\S+viewStateShareKey\S+", line):
            said = found.group()
        if "Uvicorn running" in line:
            break
    yield said
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)


def test_the_trials_are_shown_with_their_objectives_and_a_click_opens_one(browser, address):
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=1800, height=900, deviceScaleFactor=1, mobile=False
    )
    browser.open(address)
    browser.until("document.body.innerText.includes('6 matching runs')")
    browser.until("document.querySelectorAll('[role=row] a[href*=runs]').length >= 6")
    columns = browser.run(
        "[...document.querySelectorAll('[role=columnheader]')].map(e => e.getAttribute('col-id')).join()"
    )
    for name in ("test_accuracy", "attack_accuracy", "on_front"):
        assert name in columns
    shown = (
        "[...document.querySelectorAll('[role=gridcell][col-id*=\"`test_accuracy\"]')].map(e => +e.innerText)"
    )
    accuracies = browser.run(shown)
    assert len(accuracies) == 6 and accuracies == sorted(accuracies, reverse=True)
    browser.click("[role=row] a[href*=runs]")
    browser.until("/runs\\/[0-9a-f]{32}/.test(location.href)")
    browser.until("document.body.innerText.includes('attack_accuracy')")
    wrong = [
        one["entry"]
        for one in browser.complaints()
        if one.get("entry", {}).get("level") == "error" or "exceptionDetails" in one
    ]
    # MLflow itself asks who the user is, where nobody logs in
    assert [one for one in wrong if not one["url"].endswith("/users/current")] == []
