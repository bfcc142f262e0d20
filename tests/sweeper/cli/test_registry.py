import json
import subprocess
import sys

import pytest

from sweeper.cli import registry
from sweeper.cli.registry import KINDS, PASSES, attack_passes, rows
from sweeper.cli.tools import LISTS
from sweeper.study.presets import preset, preset_files
from trainables.errors import ConfigError

ATTACKS_HAVE = {"threat_model", "target_forward", "target_backward"}
METRICS_HAVE = {"direction", "unit"}
RECIPES_HAVE = {"departures"}


@pytest.mark.parametrize("what", KINDS)
def test_every_row_says_what_it_is_and_who_published_it(what):
    listed = rows(what)
    assert json.loads(json.dumps(listed)) == listed
    assert len({row["name"] for row in listed}) == len(listed)
    for row in listed:
        assert set(row) - ATTACKS_HAVE - METRICS_HAVE - RECIPES_HAVE == {"name", "summary", "source"}
        assert row["name"] and row["summary"] and row["source"], row
        assert "\n" not in row["summary"]


def test_rows_are_those_of_the_imported_registries():
    from search_spaces import SPACES
    from sweeper.analyses import STUDY_ANALYSES
    from trainables.analyses import ANALYSES
    from trainables.architectures import ARCHITECTURES
    from trainables.attacks import ATTACKS
    from trainables.datasets import DATASETS
    from trainables.defenses import DEFENSES
    from trainables.judges import JUDGES
    from trainables.metrics import METRICS
    from trainables.pretraining import PRETRAININGS
    from trainables.priors import PRIORS
    from trainables.training.recipes import RECIPES

    families = {
        "analyses": {**ANALYSES, **STUDY_ANALYSES},
        "architectures": ARCHITECTURES,
        "attacks": ATTACKS,
        "datasets": DATASETS,
        "defenses": DEFENSES,
        "judges": JUDGES,
        "metrics": METRICS,
        "pretraining": PRETRAININGS,
        "priors": PRIORS,
        "recipes": RECIPES,
        "spaces": SPACES,
    }
    for what, family in families.items():
        expected = [
            {"name": name, "summary": entry.summary, "source": entry.source} for name, entry in family.items()
        ]
        if what == "metrics":
            for row, metric in zip(expected, METRICS.values(), strict=True):
                row["direction"], row["unit"] = metric.direction, metric.unit
        if what == "attacks":
            for row, attack in zip(expected, ATTACKS.values(), strict=True):
                passes = attack().passes()
                row["threat_model"] = attack.threat_model
                row["target_forward"], row["target_backward"] = passes.target_forward, passes.target_backward
        if what == "recipes":
            for row, recipe in zip(expected, RECIPES.values(), strict=True):
                row["departures"] = recipe.departures
        if what == "priors":
            for row, prior in zip(expected, PRIORS.values(), strict=True):
                row["threat_model"] = prior.threat_model
        assert json.dumps(rows(what)) == json.dumps(expected), what  # with the order of the columns
    assert [row["name"] for row in rows("presets")] == list(preset_files())


def test_the_file_of_passes_is_what_the_attacks_compute():
    from trainables.attacks import ATTACKS

    written = json.loads(PASSES.read_text())  # an attack that is not in there is imported: right, but slower
    text = json.dumps({name: attack_passes(name) for name in ATTACKS if name in written}, indent=2) + "\n"
    assert PASSES.read_text() == text, f"write this to {PASSES.name}:\n{text}"


def test_an_attack_that_the_file_of_passes_lacks_is_computed(tmp_path, monkeypatch):
    expected = rows("attacks")
    (tmp_path / "passes.json").write_text("{}")
    monkeypatch.setattr(registry, "PASSES", tmp_path / "passes.json")
    assert rows("attacks") == expected


def test_a_preset_is_described_by_its_first_comments(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text("# summary: a tiny sweep: two trials\n# source: nobody\ntrial: {}\n# summary: not this\n")
    assert preset(path) == {"name": "tiny", "summary": "a tiny sweep: two trials", "source": "nobody"}
    path.write_text("trial: {}\n")
    assert preset(path) == {"name": "tiny", "summary": "", "source": ""}


def test_an_architecture_of_a_library_is_shown_with_its_freeze_points():
    from click.testing import CliRunner

    from sweeper.cli.app import main

    shown = CliRunner().invoke(main, ["list", "architectures", "torchvision:resnext50_32x4d"])
    assert shown.exit_code == 0
    assert "freeze points: none, conv1, layer1_0, layer1_1" in shown.stdout
    wrong = CliRunner().invoke(main, ["list", "architectures", "torchvision:resnext50_32x4"])
    assert wrong.exit_code == 2 and "did you mean 'resnext50_32x4d'?" in wrong.stderr
    assert "torchvision:NAME or timm:NAME" in CliRunner().invoke(main, ["list", "architectures"]).stdout


def test_a_defense_is_shown_with_the_attacker_who_knows_it():
    from click.testing import CliRunner

    from sweeper.cli.app import main

    bido, mid = (CliRunner().invoke(main, ["list", "defenses", name]).stdout for name in ("bido", "mid"))
    assert "adaptive attacker: trains classifiers of its own" in bido
    assert "adaptive attack: lomma_gmi, lomma_kedmi" in bido
    assert "adaptive attack: any attack with adaptive: true" in mid
    frozen = CliRunner().invoke(main, ["list", "defenses", "none"]).stdout
    assert "adaptive attack: no attack here does so" in frozen


def test_a_recipe_is_shown_with_what_it_sets_and_where_it_departs():
    from click.testing import CliRunner

    from sweeper.cli.app import main
    from trainables.training.recipes import RECIPES

    for name, recipe in RECIPES.items():
        entry = registry.details("recipes", name)
        assert {knob["name"]: knob["value"] for knob in entry["knobs"]} == recipe.knobs
        assert all(knob["meaning"] for knob in entry["knobs"])
        assert entry["source"] == recipe.source and entry["departures"] == recipe.departures
    row = next(row for row in rows("recipes") if row["name"] == "tl_dmi_facenet64")
    assert row["summary"] == "200 epochs of sgd, learning rate 0.008 (constant), batches of 8"
    shown = CliRunner().invoke(main, ["list", "recipes", "tl_dmi_vgg16"]).stdout
    assert "departures: the released settings have a learning rate of 0.08" in shown
    assert "knob" in shown and "learning_rate" in shown and "0.02" in shown and "default" not in shown
    assert "departures" not in CliRunner().invoke(main, ["list", "recipes", "tl_dmi_ir152"]).stdout
    wrong = CliRunner().invoke(main, ["list", "recipes", "tl_dmi_vgg61"])
    assert wrong.exit_code == 2 and "did you mean 'tl_dmi_vgg16'?" in wrong.stderr


def test_the_command_takes_every_kind():
    assert tuple(KINDS) == LISTS


def test_an_unknown_word_is_named():
    with pytest.raises(ConfigError, match=r"one of attacks, defenses, .* got 'attack'"):
        rows("attack")


@pytest.mark.parametrize("what", KINDS)
def test_a_listing_does_not_load_torch(what):
    code = f"""
import sys
from sweeper.cli.app import main
from sweeper.cli.registry import rows
rows({what!r})
main(["list", {what!r}], standalone_mode=False)
main(["list", {what!r}, rows({what!r})[-1]["name"]], standalone_mode=False)
print({{"torch", "optuna", "ray", "mlflow"}} & sys.modules.keys(), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


def test_the_command_shows_the_knobs_of_one():
    from click.testing import CliRunner

    from sweeper.cli.app import main

    table = CliRunner().invoke(main, ["list", "datasets", "image_folder"])
    assert table.exit_code == 0
    for text in ("root", "required", "crop", "None cuts the largest one", "fit", "cut | pad", "image_folder"):
        assert text in table.stdout
    listed = json.loads(CliRunner().invoke(main, ["list", "datasets", "image_folder", "-f", "json"]).stdout)
    assert {knob["name"]: knob["default"] for knob in listed["knobs"]} == {
        "root": "required",
        "crop": None,
        "limit": None,
        "fit": "cut",
        "allow_duplicates": False,
        "anonymous_names": False,
        "canaries": 0,
        "grey": False,
    }
    wrong = CliRunner().invoke(main, ["list", "datasets", "image_folders"])
    assert wrong.exit_code == 2 and "did you mean 'image_folder'?" in wrong.stderr
    assert "no knobs" in CliRunner().invoke(main, ["list", "architectures", "vgg16_bn"]).stdout
