"""No secret of a URL is ever shown, wherever in it or in a message about it the secret stands."""

import pytest

from trainables.storage.urls import redact


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:s3cret@db/studies", "postgresql+psycopg://me:***@db/studies"),
        ("postgresql://me@db:5432/studies", "postgresql://me@db:5432/studies"),
        ("postgresql://:s3cret@db/studies", "postgresql://:***@db/studies"),
        ("mysql://me:s3/c?r#e@t@db/x", "mysql://me:***@db/x"),
        ("postgresql:///x?user=me&password=s3cret", "postgresql:///x?user=me&password=***"),
        ("postgresql://db:5432/x?password=s3cret&user=me@corp", "postgresql://db:***@corp"),
        ("postgresql://db/x?user=me@corp&password=s3cret", "postgresql://db/x?user=me@corp&password=***"),
        (
            "postgresql://h/x?sslpassword=s3cret&sslmode=require",
            "postgresql://h/x?sslpassword=***&sslmode=require",
        ),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Ds3cret", "mssql+pyodbc:///?odbc_connect=***"),
        ("https://me:s3cret@mlflow.example:8443/path", "https://me:***@mlflow.example:8443/path"),
        ("https://s3cret@mlflow.example", "https://***@mlflow.example"),
        ("http://h/?access_token=s3cret#part", "http://h/?access_token=***#part"),
        ("s3://AKIA:s3cret@bucket/sweeps", "s3://AKIA:***@bucket/sweeps"),
        ("me:s3cret@localhost:5000", "me:***@localhost:5000"),
        ("sqlite:////home/a@b/studies.db", "sqlite:////home/a@b/studies.db"),
        ("sqlite:///C:/x/studies.db", "sqlite:///C:/x/studies.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("/home/me/sweeps", "/home/me/sweeps"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert redact(url) == shown
    assert "s3cret" not in redact(f"expected an answer of '{url}', got: {url} (host=db password=s3cret)")


def test_a_password_may_hold_quotes():
    assert redact("mysql://me:s'3\"x@db/x") == "mysql://me:***@db/x"


def test_other_text_stays_as_it_is():
    text = "expected 3 trials at 12:30, got: a@b.example, see https://docs.example/page (study: seed=3)"
    assert redact(text) == text
