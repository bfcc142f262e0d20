"""Pickles read as data: what data needs is rebuilt, anything else is refused before it runs."""

import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.errors import ConfigError
from trainables.storage.safe_pickle import read


def saved(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_data_comes_back(tmp_path, protocol):
    content = {
        "list": [1, 2.5, "text", None, True, b"bytes"],
        "ordered": OrderedDict(a=1),
        "numbers": [np.float64(2.5), np.float32(0.5), np.int64(-7), np.bool_(True)],
        "tensor": torch.arange(6.0).reshape(2, 3).T,
        "half": torch.ones(2, dtype=torch.float16),
        "weight": torch.nn.Parameter(torch.ones(3)),
    }
    found = read(saved(tmp_path / "file.pkl", content, max(protocol, 3)), "a file")
    assert found["list"] == content["list"] and found["ordered"] == content["ordered"]
    assert found["numbers"] == [2.5, 0.5, -7, True]
    assert torch.equal(found["tensor"], content["tensor"]) and found["half"].dtype == torch.float16
    assert torch.equal(found["weight"], torch.ones(3)) and type(found["weight"]) is torch.Tensor


class Evil:
    """Pickled, it is the call of a function."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize(
    "call",
    [
        (os.system, "touch {}"),
        (eval, "open({!r}, 'w')"),
        (exec, "open({!r}, 'w')"),
        (getattr, torch, "load"),
        (__import__, "antigravity"),
    ],
)
def test_code_is_refused_and_not_run(tmp_path, call):
    mark = tmp_path / "ran"
    arguments = [part.format(str(mark)) if isinstance(part, str) else part for part in call[1:]]
    if call[0] is getattr:  # a module cannot be pickled; its name can
        arguments = ["torch", "load"]
    path = saved(tmp_path / "evil.pkl", {"G_ema": Evil(call[0], *arguments)})
    with pytest.raises(ConfigError, match=r"asks for \S+, which was not run"):
        read(path, "a file")
    assert not mark.exists()


def test_code_inside_a_tensors_storage_is_refused(tmp_path):
    """A pickled storage is a pickle in a pickle: it is read weights-only."""
    mark = tmp_path / "ran"
    inner = pickle.dumps(Evil(os.system, f"touch {mark}"))
    path = saved(tmp_path / "evil.pkl", [Evil(torch.storage._load_from_bytes, inner)])
    with pytest.raises(ConfigError):
        read(path, "a file")
    assert not mark.exists()


def test_names_that_lead_to_others_are_refused(tmp_path):
    """Protocol 4 can ask for an attribute of an attribute."""
    for module, name in (("torch.storage", "_load_from_bytes.__globals__"), ("collections", "abc.sys")):
        path = tmp_path / "evil.pkl"
        path.write_bytes(
            b"\x80\x04"
            + b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
            + b"\x93."
        )
        with pytest.raises(ConfigError, match="was not run"):
            read(path, "a file")


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04\x95"])
def test_what_is_no_pickle(tmp_path, content):
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"expected a file in .*file.pkl"):
        read(path, "a file")


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="found no file at"):
        read(tmp_path / "missing.pkl", "a file")
    with pytest.raises(ConfigError, match="found no file at"):
        read(tmp_path, "a file")


def test_nothing_is_imported(tmp_path):
    path = tmp_path / "file.pkl"
    path.write_bytes(b"cantigravity\nfly\n.")
    with pytest.raises(ConfigError, match=r"asks for antigravity\.fly"):
        read(path, "a file")
    assert "antigravity" not in sys.modules
