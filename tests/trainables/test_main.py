import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from picture_folders import write_people

from trainables.__main__ import main
from trainables.controls.results import ControlResults

BLOCKED = "import sys; sys.modules.update(dict.fromkeys(['ray', 'optuna', 'mlflow', 'sweeper']))"
FACES = {"kind": "synthetic_faces", "population": "private", "identities": 3, "images_per_identity": 6}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 1, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
}


@pytest.fixture
def trial_file(tmp_path: Path) -> Path:
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    return path


def test_one_trial_runs_where_the_sweep_engine_is_absent(trial_file: Path, tmp_path: Path):
    program = f"{BLOCKED}; from trainables.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, str(trial_file), "--home", str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["values"]) == {"test_accuracy", "attack_accuracy"}
    assert "target: 1 of 1" in done.stderr


def test_controls_are_measured_beside_the_trial(trial_file: Path, tmp_path: Path, capsys):
    assert main([str(trial_file), "--home", str(tmp_path / "home"), "--controls"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    controls = ControlResults.from_json(document["controls"])
    assert controls.undefended.artifacts["target"] == document["artifacts"]["target"]
    assert controls.undefended.rates.mean == document["values"]["attack_accuracy"]
    assert controls.null is not None and controls.null.pictures == 1000
    assert None not in (controls.ceiling, controls.positive, controls.sampler)
    assert document["controls"]["verdict"]["reason"] == controls.verdict.reason
    assert "ceiling: 1 of 1" in captured.err


def test_mistakes_are_one_line_and_exit_code_2(trial_file: Path, tmp_path: Path, capsys):
    trial_file.write_text(yaml.safe_dump({**DOCUMENT, "atack": {}}))
    assert main([str(trial_file), "--home", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: unknown key 'atack'; did you mean 'attack'?")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        ({"kind": "onnx", "path": "none.onnx"}, "no such file (judge.path)"),
        ([DOCUMENT["judge"], {"kind": "onnx", "path": "trial.yaml"}], "expects an ONNX file"),
        ([DOCUMENT["judge"], DOCUMENT["judge"]], "got the same at judge[0] and judge[1]"),
        ([], "an empty list"),
    ],
)
def test_a_judge_that_cannot_be_used_is_said_before_any_work(
    judge, words, trial_file: Path, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    trial_file.write_text(yaml.safe_dump({**DOCUMENT, "judge": judge}))
    assert main([str(trial_file), "--home", str(tmp_path / "home")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and words in line
    assert not (tmp_path / "home" / "store").exists()


def test_several_judges_without_the_sweep(trial_file: Path, tmp_path: Path, capsys):
    other = {**DOCUMENT["judge"], "seed": 1}
    trial_file.write_text(yaml.safe_dump({**DOCUMENT, "judge": [DOCUMENT["judge"], other]}))
    assert main([str(trial_file), "--home", str(tmp_path / "home")]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert 0 <= metrics["judge_2.agreement"] <= 1 and 0 <= metrics["attack_accuracy_verified"] <= 1


def test_a_loss_that_is_not_finite_is_exit_code_1(trial_file: Path, tmp_path: Path, capsys):
    target = {**DOCUMENT["target"], "learning_rate": 1e30}
    trial_file.write_text(yaml.safe_dump({**DOCUMENT, "target": target}))
    assert main([str(trial_file), "--home", str(tmp_path)]) == 1
    assert "not finite" in capsys.readouterr().err


def test_a_home_or_a_device_that_cannot_be_used_is_exit_code_2(trial_file: Path, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    assert main([str(trial_file), "--home", str(tmp_path / "file")]) == 2
    assert "expected a home that can be written" in capsys.readouterr().err
    assert main([str(trial_file), "--home", str(tmp_path), "--device", "gpuu"]) == 2
    assert "expected a torch device" in capsys.readouterr().err


def test_paths_may_begin_with_the_home(trial_file: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    trial_file.write_text(yaml.safe_dump({**DOCUMENT, "private": {"kind": "image_folder", "root": "~/none"}}))
    assert main(["~/trial.yaml", "--home", "~/state"]) == 2
    assert f"{tmp_path}/none" in capsys.readouterr().err
    assert (tmp_path / "state").is_dir()


def test_what_to_know_of_the_data_is_said_first_and_kept_with_the_figures(
    trial_file: Path, tmp_path: Path, capsys
):
    root = write_people(tmp_path / "people", "ada", "bob")
    (root / "ada" / "7.cr2").write_bytes(b"x")
    private = {"kind": "image_folder", "root": str(root)}
    trial_file.write_text(yaml.safe_dump({**DOCUMENT, "private": private}))
    assert main([str(trial_file), "--home", str(tmp_path / "home")]) == 0
    captured = capsys.readouterr()
    first = captured.err.splitlines()[0]
    assert first.startswith("WARNING: private data: left out 1 file that cannot be read as images: 1 .cr2")
    assert first.removeprefix("WARNING: ") in json.loads(captured.out)["warnings"]


def test_pretraining_on_private_images_is_exit_code_2_though_the_backbone_is_made(
    trial_file: Path, tmp_path: Path, capsys
):
    root = write_people(tmp_path / "people", "ada", "bob")
    other = write_people(tmp_path / "other", "eve", "joe", first=50)
    pretraining = {"kind": "dataset", "data": {"kind": "image_folder", "root": str(other)}, "epochs": 1}
    document = {
        **DOCUMENT,
        "private": {"kind": "image_folder", "root": str(root)},
        "pretraining": pretraining,
    }
    trial_file.write_text(yaml.safe_dump(document))
    assert main([str(trial_file), "--home", str(tmp_path / "home")]) == 0
    write_people(root, "zoe", first=50)  # whose pictures are those of eve
    assert main([str(trial_file), "--home", str(tmp_path / "home")]) == 2
    assert "must share no images; got 6 shared of 18 private" in capsys.readouterr().err
