"""One preset for each published set-up: all are there, repeat the rows they name, and run at toy size."""

import csv
import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from knob_outcomes import stylegan_file
from PIL import Image

from sweeper.cli.app import main
from sweeper.cli.plan import published_rows
from sweeper.results.comparing.published import points
from sweeper.study.inheritance import read_study
from sweeper.study.loading import load_study
from sweeper.study.presets import PRESETS, find_preset, preset_files
from trainables.architectures import freeze_points, get_architecture
from trainables.config import load_trial
from trainables.datasets import DATASETS
from trainables.storage.store import Store
from trainables.training.freeze import count_parameters, freeze
from trainables.training.recipes import RECIPES
from trainables.trial import run_trial

FREEZE_POINTS = Path(__file__).parents[4] / "shared" / "published" / "freeze_points.csv"
NAMES = [name for name in preset_files() if name.startswith("tl_dmi/")]
TABLES = ("Table 3", "Table 4", "Table 5", "Table 6", "Table 7", "Table 9", "Table 11")
DATA = {"celeba", "ffhq", "facescrub", "vggface2", "stanford_dogs", "stanford_cars", "afhq"}
needs_data = pytest.mark.skipif(not DATASETS.keys() >= DATA, reason="the published data sets are not here")
# weights that a published table counts as trained, with the head that it counts with
TRAINED = {
    "vgg16_bn": (64, 1000, 13_855_208),
    "ir152": (64, 1000, 17_825_256),
    "facenet64": (64, 1000, 34_391_912),
    "resnet18": (224, 1000, 8_906_728),
    "maxvit_t": (224, 1000, 18_306_368),
    "resnest101": (224, 1000, 27_937_000),
    "vmi_resnet34": (64, 1000, 21_130_958),  # printed as 21.1 M
    "resnet101": (224, 1000, 17_013_736),
    "resnet50": (224, 8631, 32_649_655),
}
# as that table calls them, and what is frozen here besides: the input layer, which the released code trains
COUNTED = {
    "vgg16_bn": ("VGG16-BN 64px (BN1d head)", 0),
    "ir152": ("IR152 64px", 1_920),
    "facenet64": ("FaceNet64 (IR50 64px)", 1_920),
    "resnet18": ("ResNet-18 224px", 0),
    "maxvit_t": ("MaxViT-T 224px", 0),
    "resnest101": ("ResNeSt-101 224px", 0),
}


def document(name):
    return read_study(preset_files()[name])


def without_weights(name, folder):
    """Return overrides with a small StyleGAN2 instead of the published one, where the preset has one."""
    if document(name)["trial"]["prior"]["kind"] != "stylegan2":
        return []
    return [f"trial.prior.path={stylegan_file(folder)}", "trial.prior.crop=null"]


# sides of the images of published generators
SIDES = {"ffhq": 1024, "metfaces": 1024, "afhq_dog": 512, "lsun_cars": 512}


@pytest.mark.parametrize("name", [name for name in NAMES if "ppa_" in name or "mirror_" in name])
def test_a_crop_fits_the_images_of_the_generator_that_is_named(name):
    prior = document(name)["trial"]["prior"]
    side = SIDES[prior["path"].removeprefix("weights/stylegan2_").removesuffix(".safetensors")]
    assert prior["crop"] == (800 if side == 1024 else None)  # centre crop 800, none for AFHQ


@pytest.mark.parametrize("name", NAMES)
def test_what_the_released_code_does_is_done(name):
    """Frozen batch norm follows the private images; the Gaussians of KEDMI, LOMMA's too, begin at variance 1;
    every PPA set-up has the steps of Table 16."""
    trial = document(name)["trial"]
    assert trial["target"]["frozen_batchnorm"] == "train"
    if "kedmi" in trial["attack"]["kind"]:
        assert trial["attack"]["log_variance"] == 0.0
    if trial["attack"]["kind"] == "ppa":
        assert (trial["attack"]["iterations"], trial["attack"]["learning_rate"]) == (50, 0.005)
        assert trial["attack"].get("crop") == ([0.75, 1.0] if "dogs" in name else None)


def test_every_set_up_of_the_tables_has_a_preset():
    repeated = {
        tuple(record.setup.values())
        for name in NAMES
        for query in document(name)["published"]
        for record in points(query)
    }
    wanted = {tuple(record.setup.values()) for table in TABLES for record in points(f"source={table}")}
    assert wanted == repeated and len(wanted) == 35 + 1  # LOMMA on VGG16 stands in two tables


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_named_by_what_it_repeats(name):
    study = document(name)
    attack, architecture = study["trial"]["attack"]["kind"], study["trial"]["target"]["architecture"]
    private = study["trial"]["private"]["kind"]
    assert name.removeprefix("tl_dmi/") == study["name"]
    assert study["name"].startswith(f"{attack}_") and private in study["name"]
    assert architecture.removesuffix("_bn").removesuffix("_t").removeprefix("vmi_") in study["name"]
    assert find_preset(study["name"]) == preset_files()[name]
    lines = published_rows(study["published"])
    assert sum("test accuracy" in line for line in lines) >= 2
    assert study["trial"]["target"]["recipe"] in RECIPES


@pytest.mark.parametrize("name", NAMES)
def test_the_freeze_point_trains_what_the_table_prints(name):
    if "resnest" in name:
        pytest.importorskip("timm", reason="the extra timm is not installed")
    study = document(name)
    architecture = study["trial"]["target"]["architecture"]
    none, point = study["space"][0]["target.freeze_point"]["choice"]
    assert none == "none" and point in freeze_points(architecture)
    size, classes, trained = TRAINED[architecture]
    with torch.device("meta"):
        classifier = get_architecture(architecture).build(classes, size)
    freeze(classifier, point)
    assert count_parameters(classifier).trained == trained


def test_the_counts_are_the_published_ones():
    if not FREEZE_POINTS.is_file():
        pytest.skip("the published tables are not here")
    with FREEZE_POINTS.open(encoding="utf-8", newline="") as file:
        verified = [row for row in csv.DictReader(file) if "verified" in row["status"]]
    assert {row["architecture"] for row in verified} == {name for name, _ in COUNTED.values()}
    for architecture, (name, more) in COUNTED.items():
        _, classes, trained = TRAINED[architecture]
        rows = [row for row in verified if row["architecture"] == name]
        assert str(trained + more) in {row["trained_params"] for row in rows}
        assert {row["head_classes"] for row in rows} == {str(classes)}


def test_files_that_others_share_are_no_presets():
    shared = list(PRESETS.rglob("_*.yaml"))
    assert len(shared) == 9 and not set(shared) & set(preset_files().values())


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_loads_with_every_value_of_its_space(name, tmp_path):
    given = without_weights(name, tmp_path)
    study = load_study(name.removeprefix("tl_dmi/"), overrides=given)
    assert study.budget == 2 ** len(study.space)
    assert (
        study.trial["target"]["epochs"]
        == RECIPES[document(name)["trial"]["target"]["recipe"]].knobs["epochs"]
    )


# one of them needs a file beside its data, one a package, and the others are slow: three seconds each
QUICK = ("tl_dmi/mirror_resnet50_vggface2", "tl_dmi/ppa_resnest101_stanford_dogs", "tl_dmi/gmi_vgg16_celeba")


@needs_data
@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name not in QUICK)]
)
def test_a_dry_run_prints_the_published_rows_beside_the_full_form(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # without the data and weights: what a dry run says of a study alone
    monkeypatch.setitem(sys.modules, "timm", None)  # the import fails, as where the extra is not installed
    home = {"SWEEPER_HOME": str(tmp_path / "home")}
    shown = CliRunner().invoke(main, ["run", name, "--dry-run"], env=home)
    assert shown.exit_code == 2 and shown.stderr.startswith("error: ") and "expect" in shown.stderr
    form, knobs = yaml.safe_load(shown.stdout), document(name)["trial"]
    assert form["trial"]["target"].items() >= RECIPES[knobs["target"]["recipe"]].knobs.items()
    assert form["trial"]["prior"].keys() > knobs["prior"].keys()  # defaults that the preset leaves unsaid
    assert form["trial"]["attack"]["kind"] == knobs["attack"]["kind"]
    assert form["space"] == document(name)["space"]
    for query in document(name)["published"]:
        for record in points(query):
            for row in record.trials:
                assert f"test accuracy {row.values['test_accuracy']:.4f}" in shown.stdout
                assert f"attack accuracy {row.values['attack_accuracy']:.4f}" in shown.stdout


@pytest.fixture
def trees(tmp_path, monkeypatch):
    """Return the roots of small trees in the layouts of the published data sets."""
    if importlib.util.find_spec("published_trees") is None:
        pytest.skip("nothing writes trees of the published data sets here")
    import published_trees

    monkeypatch.setattr("trainables.datasets.celeba.PEOPLE", 4)
    monkeypatch.setattr("trainables.datasets.celeba.TRAINED", 5)
    monkeypatch.setattr("trainables.datasets.celeba.PUBLIC", 8)
    monkeypatch.setattr("trainables.datasets.split.LEAST", {"training": 1, "validation": 1, "test": 0})
    roots = {}
    for kind in DATA:
        (tmp_path / kind).mkdir()
        write = getattr(published_trees, kind)
        roots[kind] = str(
            write(tmp_path / kind, (7, 7, 6, 6, 4, 4)) if kind == "celeba" else write(tmp_path / kind)
        )
    for number in range(8):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.effect_noise((64, 64), 40 + number).convert("RGB").save(tmp_path / "pictures" / f"{number}.png")
    return roots | {"image_folder": str(tmp_path / "pictures")}


TOY = {
    "gmi": {"iterations": 2, "restarts": 1},
    "kedmi": {"iterations": 2, "restarts": 1},
    "lomma_gmi": {"iterations": 2, "restarts": 1, "students": ["small_cnn"]},
    "lomma_kedmi": {"iterations": 2, "restarts": 1, "students": ["small_cnn"]},
    "brep": {"iterations": 2, "calls": 4, "start_queries": 64},
    "vmi": {"steps": 2, "batch": 2, "samples": 2, "kl_samples": 4},
    "ppa": {"candidates": 6, "starts": 2, "iterations": 2, "rounds": 2, "kept": 1},
    "mirror": {"pool": 6, "starts": 2, "iterations": 2},
}
TOY_PRIOR = {
    "gmi": {"width": 2, "epochs": 1, "batch_size": 4},
    "kedmi": {"width": 2, "epochs": 1, "batch_size": 4},
    "stylegan2": {},
}


def toy(trial, roots):
    """Return the trial of a preset on small trees, not pre-trained, with the least of every budget."""
    size = 64 if trial["image_size"] == 64 else 128 if trial["target"]["architecture"] != "maxvit_t" else 224
    small = dict(
        trial, image_size=size, identities=2, validation=0.25, test=0.25, pretraining={"kind": "none"}
    )
    for role in ("private", "public"):
        small[role] = {**trial[role], "root": roots[trial[role]["kind"]]}
    few = {"epochs": 1, "batch_size": 16, "milestones": [], "schedule": "constant"}
    small["target"] = {**trial["target"], **few}
    judge = {"kind": "classifier", "architecture": "small_cnn", "epochs": 1, "batch_size": 4}
    small["judge"] = judge
    kind = trial["attack"]["kind"]
    small["attack"] = {**{k: v for k, v in trial["attack"].items() if k != "learning_rate"}, **TOY[kind]}
    small["prior"] = {**trial["prior"], **TOY_PRIOR[trial["prior"]["kind"]]}
    return small


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_runs_from_end_to_end_at_toy_size(name, trees, tmp_path):
    given = without_weights(name, tmp_path)
    study = load_study(name, overrides=given)
    point = study.space[0]["target.freeze_point"]["choice"][1]
    small = dataclasses.replace(study, trial=toy(study.trial, trees))
    result = run_trial(
        load_trial(small.document({"target.freeze_point": point})), store=Store(tmp_path / "store")
    )
    assert all(0 <= result.values[value] <= 1 for value in ("test_accuracy", "attack_accuracy"))
    assert result.freeze_point == point and result.trained_params < result.total_params
