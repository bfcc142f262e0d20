"""Data sets are tested as on a machine without the extra ``heif``, whatever is installed here."""

import sys

import pytest
from PIL import Image

from trainables.datasets.pictures import HEIF


@pytest.fixture(autouse=True)
def no_heif(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for suffix in HEIF:
        monkeypatch.delitem(Image.EXTENSION, suffix, raising=False)
