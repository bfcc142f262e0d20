import json
import platform

import torch

from trainables.storage.machine import machine_here, note_machine, noted_machine


def test_a_machine_is_its_device_its_threads_and_its_torch():
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            machine = machine_here("cpu")
            assert machine["device"] == "cpu" and machine["threads"] == count
            assert machine["torch"] == torch.__version__ and machine["name"]
    finally:
        torch.set_num_threads(threads)
    assert json.loads(json.dumps(machine)) == machine
    assert platform.node() not in machine["name"]  # the kind of machine, not which


def test_what_was_not_noted_or_cannot_be_read_is_unknown(tmp_path):
    assert noted_machine(tmp_path) is None
    for damaged in ("", "{", "[1]", "\0"):
        (tmp_path / "machine.json").write_text(damaged)
        assert noted_machine(tmp_path) is None
    note_machine(tmp_path, "cpu")
    assert noted_machine(tmp_path) == machine_here("cpu")
    assert noted_machine(tmp_path / "nowhere") is None
