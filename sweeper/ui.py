"""MLflow's pages for one home, on this machine only."""

import os
import sys

from sweeper.home import Home
from trainables.errors import ConfigError


def serve(home: Home, port: int) -> None:
    """Replace this process by MLflow's server at 127.0.0.1:`port`; works without a network."""
    uri = home.tracking
    if uri.startswith("sqlite:///") and not os.path.exists(uri.removeprefix("sqlite:///")):
        raise ConfigError(f"expected MLflow's records at {uri}, found none; run a study there first")
    if uri.startswith(("http://", "https://")):
        raise ConfigError(f"MLFLOW_TRACKING_URI is a server already: open {uri} in a browser")
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    print(f"MLflow on {home.root}: http://127.0.0.1:{port} (ready in about half a minute; Ctrl-C ends it)")
    sys.stdout.flush()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += [
        "--default-artifact-root",
        home.artifacts.as_uri(),
        "--artifacts-destination",
        str(home.artifacts),
    ]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"])
