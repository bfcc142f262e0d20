"""MLflow's pages for one home, on this machine only."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

from sweeper.storage.databases import check_tracking, sqlite_file
from sweeper.storage.home import Home
from sweeper.tracking.mlflow_address import check_reachable
from sweeper.tracking.mlflow_tracker import EXPERIMENT, VIEW, VIEW_TAG
from trainables.errors import ConfigError
from trainables.storage.urls import redact

STOP_SECONDS = 10.0  # that the server has to end in


def serve(home: Home, port: int) -> int:
    """Run MLflow's server at 127.0.0.1:`port` until it or this process ends, and return its exit code.

    Works without a network. An interruption ends the server, which does not hear of it itself: it would
    answer with a traceback. Raises `ConfigError` where there is nothing that a server could show.
    """
    uri = home.tracking
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise ConfigError(f"expected MLflow's records at {redact(uri)}, found none; run a study there first")
    check_reachable(uri)
    check_tracking(uri, home.storage)
    if uri.startswith(("http://", "https://")):
        raise ConfigError(f"MLFLOW_TRACKING_URI is a server already: open {redact(uri)} in a browser")
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    page = f"http://127.0.0.1:{port}{_runs_page(uri)}"
    print(f"MLflow on {home.root}: {page} (ready in about half a minute; Ctrl-C ends it)")
    sys.stdout.flush()
    command = [sys.executable, "-m", "mlflow", "server"]
    if redact(uri) == uri:
        command += ["--backend-store-uri", uri]
    else:  # every user of the machine can read the words of a command
        os.environ["MLFLOW_BACKEND_STORE_URI"] = uri
    command += [
        "--default-artifact-root",
        home.artifacts.as_uri(),
        "--artifacts-destination",
        str(home.artifacts),
    ]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        return server.wait()
    finally:
        _stop(server)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server and its workers, if they still work."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        if server.poll() is not None:
            return
        os.killpg(server.pid, ending)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)


def _runs_page(uri: str) -> str:
    """Return the address of the trials in the columns that matter; "" if unknown.

    MLflow itself would open an empty page on traces, or runs without their objectives.
    """
    file = sqlite_file(uri)
    if file is None:
        return ""
    query = (
        "SELECT experiments.experiment_id FROM experiments JOIN experiment_tags USING (experiment_id) "
        f"WHERE experiments.name = '{EXPERIMENT}' AND experiment_tags.key = '{VIEW_TAG}'"
    )
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            experiment = database.execute(query).fetchone()
    except sqlite3.Error:
        return ""
    return f"/#/experiments/{experiment[0]}/runs?viewStateShareKey={VIEW}" if experiment else ""
