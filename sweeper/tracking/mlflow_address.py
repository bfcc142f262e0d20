"""The address of MLflow, looked at as MLflow's client would, before a sweep starts."""

import os
import re
import socket
from urllib.parse import urlsplit

from trainables.errors import ConfigError
from trainables.storage.urls import redact

REACH_SECONDS = 10.0
REMEDY = "correct MLFLOW_TRACKING_URI, or set tracking.mlflow to false"


def check_reachable(uri: str) -> None:
    """Raise `ConfigError` within seconds if nothing answers at the tracking URI, or MLflow cannot read it."""
    if re.match(r"https?:", uri):
        _check_server(uri)
    elif is_database(uri):
        _check_database(uri)
    else:
        _check_store(uri)


def is_database(uri: str) -> bool:
    """Return whether the URI is that of a database, which MLflow's client opens itself."""
    return bool(re.match(r"(postgres|mysql|mssql|sqlite)", uri))


def bounded_client() -> None:
    """Bound what MLflow's client waits and retries, unless the user has; to be called before it is made."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


def brief(error: BaseException, length: int = 200) -> str:
    """Return what an error says in one line of at most `length` signs, whole words of it, without secrets."""
    text = redact(" ".join(str(error).split()))
    if len(text) <= length:
        return text
    words = text[: length - 2]  # two for what is put behind them
    return f"{words.rpartition(' ')[0] or words} …"


def _check_server(uri: str) -> None:
    """Ask the server for a sign of life with MLflow's own request: its credentials, proxies, certificates."""
    if not urlsplit(uri).hostname:
        raise ConfigError(
            f"expected an MLflow server at http://host:port (MLFLOW_TRACKING_URI), got {redact(uri)}, which "
            f"names no host; {REMEDY}"
        )
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        # Any answer will do: what the server refuses shows when it is used.
        http_request(
            get_default_host_creds(uri),
            "/health",
            "GET",
            max_retries=0,
            timeout=REACH_SECONDS,
            raise_on_status=False,
        )
    except (MlflowException, OSError, ValueError) as error:
        raise ConfigError(
            f"expected an MLflow server at {redact(uri)}, got: {brief(_cause(error))}; start it, {REMEDY}"
        ) from None


def _cause(error: BaseException) -> BaseException:
    """Return the innermost reason of an error of urllib3 and requests, which wrap it several times."""
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _check_database(uri: str) -> None:
    """Connect to the host and port of a database server; its own client may wait for minutes."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(uri)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            f"expected the URL of a database, got {redact(uri)} ({brief(error)}); {REMEDY}"
        ) from None
    if parts.host and parts.port:
        try:
            socket.create_connection((parts.host, parts.port), timeout=REACH_SECONDS).close()
        except OSError as error:
            raise ConfigError(
                f"expected a database at {parts.host}:{parts.port} (MLFLOW_TRACKING_URI), got: {error}; "
                "start it or correct the address"
            ) from None


def _check_store(uri: str) -> None:
    """Let MLflow's client open what is neither a server nor a database; it refuses most of it at once."""
    if re.match(r"([\w.-]+:[^/@]*@)?[\w.-]+:\d+(/|$)", uri):
        raise ConfigError(
            f"expected a URL with its scheme in MLFLOW_TRACKING_URI, got {redact(uri)}; write "
            f"http://{redact(uri)}, or set tracking.mlflow to false"
        )
    bounded_client()
    from mlflow import MlflowClient

    try:
        MlflowClient(tracking_uri=uri).get_experiment_by_name("Default")
    except Exception as error:  # whatever the plugin of that scheme raises
        raise ConfigError(
            f"expected an MLflow server (http://host:port) or a database (sqlite:////folder/mlflow.db) in "
            f"MLFLOW_TRACKING_URI, got {redact(uri)}: {brief(error)}; {REMEDY}"
        ) from None
