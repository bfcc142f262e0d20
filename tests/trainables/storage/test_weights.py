import gzip
import os
import pickle
import re
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from trainables.errors import ConfigError
from trainables.storage.weights import listed, misfits, read_weights, without_prefix

STATE = {"a.weight": torch.ones(2, 3), "b.c": torch.zeros(1)}


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])
def test_what_was_saved_comes_back(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path)
    found = read_weights(path, "here")
    assert found.keys() == STATE.keys() and all(torch.equal(found[k], v) for k, v in STATE.items())


def prefixed(prefix):
    return {f"{prefix}{name}": value for name, value in STATE.items()}


@pytest.mark.parametrize(
    "content",
    [
        {"epoch": 3, "state_dict": prefixed("module.")},
        {"model_state_dict": STATE, "optimizer_state_dict": {"state": {}, "param_groups": []}, "loss": 0.1},
        {"model": STATE, "args": {"lr": 0.1}},
        {"net": prefixed("module."), "acc": 93.1},
        {"state": 1, "model": {"state_dict": STATE}},
        {"weights": torch.ones(3).sum(), "state_dict": STATE},
        prefixed("module."),
        prefixed("_orig_mod."),
        prefixed("_orig_mod.module."),
        prefixed("module.encoder.net."),
        {"module.a.weight": STATE["a.weight"], "b.c": STATE["b.c"]},
        {"n_averaged": torch.tensor(7), **prefixed("module.")},
    ],
)
def test_wrappings_and_prefixes_are_taken_off(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    weights = read_weights(tmp_path / "w.pt", "here")
    assert weights.keys() == STATE.keys() and all(torch.equal(weights[k], v) for k, v in STATE.items())


@pytest.mark.parametrize(
    "names",
    [
        ("fc.weight", "fc.bias"),  # of one module
        ("features.0.weight", "features.0.bias"),  # of torchvision's networks without their heads
        ("stages.conv1.0.weight", "stages.conv2.0.weight"),
        ("a.0.weight", "b.0.weight"),
        ("weight",),
    ],
)
def test_names_that_mean_something_stay(names):
    assert tuple(without_prefix(dict.fromkeys(names, torch.ones(1)))) == names


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state}])
def test_tensors_under_numbers_are_weights_of_those_names(tmp_path, wrap):
    torch.save(wrap({0: torch.ones(2), 1: torch.zeros(2)}), tmp_path / "w.pt")
    assert list(read_weights(tmp_path / "w.pt", "here")) == ["0", "1"]


MOVED = {**STATE, "b.c": torch.ones(1)}


@pytest.mark.parametrize(
    "content",
    [
        {"epoch": 3, "state_dict": STATE, "state_dict_ema": MOVED},  # as timm saves
        {
            "model": STATE,
            "model_ema": {"n_averaged": torch.tensor(7), **{f"module.{k}": v for k, v in MOVED.items()}},
        },
        {"ema": MOVED, "net": prefixed("module.")},
        {"checkpoint": 1, "model": {"weights": STATE, "teacher": MOVED}},
        {
            "model": {"state_dict": STATE},
            "averaged": {"of": {"epochs": MOVED, "number": 3}},
        },  # at other depths
        {
            "state_dict": STATE,
            "callbacks": {"ema": {"weights": prefixed("module.") | {"module.b.c": torch.ones(1)}}},
        },
    ],
)
def test_of_two_states_of_one_network_none_is_taken_for_the_other(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(
        ConfigError, match=r"w\.pt \(here\), got the same network with different weights under"
    ):
        read_weights(tmp_path / "w.pt", "here")


@pytest.mark.parametrize(
    "beside",
    [
        {"state_dict_ema": prefixed("module.")},  # the same weights once more
        {"critic": {"a.weight": torch.ones(3, 2), "b.c": torch.ones(1)}},
        {"optimizer": {"state": {}, "param_groups": []}, "head": {"c": torch.ones(1)}},
        {"optimizers": [], "Optim_0": {"exp_avg": {"a.weight": torch.ones(2, 3), "b.c": torch.ones(1)}}},
    ],
)
def test_what_lies_beside_a_state_may_be_something_else(tmp_path, beside):
    torch.save({"state_dict": STATE, **beside}, tmp_path / "w.pt")
    weights = read_weights(tmp_path / "w.pt", "here")
    assert all(torch.equal(weights[k], v) for k, v in STATE.items())


def test_keys_are_listed_where_no_state_dict_is_inside(tmp_path):
    torch.save({"epoch": 3, "optimizer": {"state": {}}, "a": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"something else: epoch \(int\), optimizer \(dict\)"):
        read_weights(tmp_path / "w.pt", "here")
    torch.save({}, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match="an empty dict"):
        read_weights(tmp_path / "w.pt", "here")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_finite_are_refused(tmp_path, value, dtype):
    torch.save({**STATE, "c": torch.tensor([1.0, value]).to(dtype)}, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"expected finite weights in .*w\.pt \(here\).*: c;"):
        read_weights(tmp_path / "w.pt", "here")


def test_the_content_counts_and_not_the_suffix(tmp_path):
    save_file(STATE, tmp_path / "w.pt")
    torch.save(STATE, tmp_path / "w.safetensors")
    torch.save(STATE, tmp_path / "old", _use_new_zipfile_serialization=False)
    for name in ("w.pt", "w.safetensors", "old"):
        assert read_weights(tmp_path / name, "here").keys() == STATE.keys()


def saved(path, save):
    save(path)
    return path.read_bytes()


def contents(tmp_path):
    """What people have instead of weights, and what is said of it."""
    script = tmp_path / "script"
    torch.jit.script(torch.nn.Linear(2, 2)).save(script)
    whole, tensors = saved(tmp_path / "a", lambda p: torch.save(STATE, p)), tmp_path / "b"
    save_file(STATE, tensors)
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("model/weights.txt", "1")
    return {
        "an empty file": b"",
        "nothing but zeros": bytes(5000),
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a web page": b"\n<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
        "a cut-off file": whole[:-200],
        "a cut-off safetensors file": tensors.read_bytes()[:-3],
        "a cut-off safetensors file of 20 bytes": tensors.read_bytes()[:20],
        "a TorchScript program": script.read_bytes(),
        "a zip archive of other files": (tmp_path / "zip").read_bytes(),
        "a gzip archive": gzip.compress(whole),
        "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(50),
        "a JSON text": b'{"error": "not found"}',
        "which cannot be read": b"garbage",
    }


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_of_something_else_is_named_by_its_content(tmp_path, suffix):
    for said, content in contents(tmp_path).items():
        path = tmp_path / f"w{suffix}"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"w{suffix} .*{said}") as caught:
            read_weights(path, "here")
        assert "\n" not in str(caught.value)


class Trap:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_would_run_code_is_not_opened(tmp_path):
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"a": Trap(tmp_path / "ran")}))
    torch.save({"a": Trap(tmp_path / "ran")}, tmp_path / "zip.pt")
    for name, said in (("w.pt", "could run code.*save"), ("zip.pt", r"asks for \w+\.mkdir.*could run code")):
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


def quantized():
    return torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)


@pytest.mark.filterwarnings("ignore")  # torch means to drop quantized tensors; files of them stay
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda: torch.eye(3).to_sparse(), "sparse_coo"),
        (lambda: torch.eye(3).to_sparse_csr(), "sparse_csr"),
        (lambda: torch.ones(2, device="meta"), "meta, without values"),
        (quantized, "quantized"),
    ],
)
def test_tensors_that_are_not_dense_are_refused(tmp_path, value, said):
    torch.save({**STATE, "a.weight": value()}, tmp_path / "w.pt")
    with pytest.raises(
        ConfigError, match=rf"expected dense tensors in .*w\.pt \(here\).*a.weight \({said}\)"
    ):
        read_weights(tmp_path / "w.pt", "here")


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("name", ["a.weight", "bn.bias", "bn.running_mean", "bn.running_var"])
def test_weights_in_whole_numbers_are_refused(tmp_path, dtype, name):
    torch.save({**STATE, name: torch.ones(2).to(dtype)}, tmp_path / "w.pt")
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(ConfigError, match=rf"in floating point in .*w\.pt \(here\).*{name} \({kind}\)"):
        read_weights(tmp_path / "w.pt", "here")


def test_complex_numbers_are_refused_under_any_name(tmp_path):
    torch.save({**STATE, "mean": torch.ones(2).to(torch.complex64)}, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"in floating point .*mean \(complex64\)"):
        read_weights(tmp_path / "w.pt", "here")


def test_counters_masks_and_indices_stay_whole_numbers(tmp_path):
    others = {
        "bn.num_batches_tracked": torch.tensor(3),
        "attn.relative_position_index": torch.arange(4),
        "attn.mask": torch.tensor([True, False]),
        "levels": torch.ones(2, dtype=torch.uint8),
    }
    torch.save({**STATE, **others}, tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt", "here")
    assert all(torch.equal(found[name], value) for name, value in others.items())


def test_what_does_not_fit_is_said_by_name():
    weights = {"a.weight": torch.ones(3, 3), "d": torch.ones(1)}
    said = "missing: b.c; surplus: d; other shape: a.weight (3, 3) instead of (2, 3)"
    assert misfits(STATE, weights) == said
    assert misfits(STATE, STATE) == ""


def test_the_remedy_for_two_states_saves_one_of_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"state_dict": STATE}, "averaged": [{}], "ema": {3: MOVED}}, "w.pt")
    with pytest.raises(ConfigError, match=r"under model\.state_dict, ema\.3;") as refused:
        read_weights(tmp_path / "w.pt", "here")
    exec(re.search(r"torch\.save\(.*\)$", str(refused.value))[0])
    weights = read_weights(tmp_path / "one.pt", "here")
    assert all(torch.equal(weights[k], v) for k, v in MOVED.items())
