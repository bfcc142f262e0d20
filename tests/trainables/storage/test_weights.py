import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from trainables.errors import ConfigError
from trainables.storage.weights import listed, read_weights

STATE = {"a.weight": torch.ones(2, 3), "b": torch.zeros(1)}


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])
def test_what_was_saved_comes_back(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path)
    found = read_weights(path, "here")
    assert found.keys() == STATE.keys() and all(torch.equal(found[k], v) for k, v in STATE.items())


def test_wrappings_are_taken_off(tmp_path):
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in STATE.items()}}, tmp_path / "w.pt")
    assert read_weights(tmp_path / "w.pt", "here").keys() == STATE.keys()


class Trap:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_would_run_code_is_not_opened(tmp_path):
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"a": Trap(tmp_path / "ran")}))
    torch.save({"a": Trap(tmp_path / "ran")}, tmp_path / "zip.pt")
    for name, said in (("w.pt", "cannot be read"), ("zip.pt", r"asks for \w+\.mkdir.*could run code")):
        with pytest.raises(ConfigError, match=f"{name}.*{said}"):
            read_weights(tmp_path / name, "here")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_files_that_are_none(tmp_path, name):
    with pytest.raises(ConfigError, match=r"no file \(pretraining.path\)"):
        read_weights(tmp_path / name, "pretraining.path")
    (tmp_path / name).write_bytes(b"garbage")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_weights(tmp_path / name, "here")


def test_something_else_than_a_state_dict(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "w.pt")
    with pytest.raises(ConfigError, match="got list"):
        read_weights(tmp_path / "w.pt", "here")


def test_long_lists_are_cut():
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdef")) == "a, b, c, d and 2 more"
