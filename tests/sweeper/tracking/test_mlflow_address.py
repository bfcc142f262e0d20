"""The address of MLflow is looked at as its client would, and told before anything runs."""

import base64
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sweeper.tracking.mlflow_address import brief, check_reachable
from trainables.errors import ConfigError


@pytest.fixture
def server():
    """Yield the port of a server, and the headers of what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running.server_port, asked
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_server_with_userinfo_is_asked_with_it_as_the_client_does(server):
    port, asked = server
    check_reachable(f"http://me:s3cret@127.0.0.1:{port}/")
    ((path, headers),) = asked
    assert path == "/health"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:s3cret").decode()


def test_a_server_is_asked_with_the_clients_own_variables(server, monkeypatch):
    port, asked = server
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    check_reachable(f"http://127.0.0.1:{port}")
    assert asked[0][1]["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("uri", ["http://me:s3cret@127.0.0.1:9", "http:/127.0.0.1:9", "https://"])
def test_a_server_that_does_not_answer_is_named_soon_and_without_its_password(uri):
    began = time.monotonic()
    with pytest.raises(ConfigError, match="expected an MLflow server at http") as caught:
        check_reachable(uri)
    assert "s3cret" not in str(caught.value)
    assert "tracking.mlflow to false" in str(caught.value)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("uri", ["http://", "https:///runs", "http:/127.0.0.1:9", "http://:5000"])
def test_a_server_without_a_host_is_malformed(uri):
    with pytest.raises(ConfigError, match=r"expected an MLflow server at http://host:port .*names no host"):
        check_reachable(uri)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("localhost:5000", "write http://localhost:5000"),
        ("127.0.0.1:5000/", "write http://127.0.0.1:5000"),
        ("me:s3cret@mlflow.example:5000", r"write http://me:\*\*\*@mlflow.example:5000"),
        ("./mlruns", "or a database"),
        ("mlflow.db", "or a database"),
        ("s3://bucket/runs", "or a database"),
        ("nonsense://x", "or a database"),
        ("postgresql://me:s3cret@db:port/x", "expected the URL of a database"),
    ],
)
def test_what_mlflow_cannot_use_is_refused_at_once(uri, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(ConfigError, match=message) as caught:
        check_reachable(uri)
    assert "s3cret" not in str(caught.value) and "MLFLOW_TRACKING_URI" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_store_that_the_user_allows_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_reachable(f"file://{tmp_path}/mlruns")


def test_errors_are_brief_and_without_secrets():
    error = ValueError("no answer\n of http://me:s3cret@host/x?token=s3cret " + "x" * 500)
    assert brief(error, 60) == "no answer of http://me:***@host/x?token=*** …"
    assert brief(error, 20) == "no answer of …"
    assert brief(ValueError("no answer"), 9) == "no answer"
    assert brief(ValueError("x" * 500), 9) == "xxxxxxx …"
