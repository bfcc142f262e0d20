import csv

import pytest

from sweeper.results.comparing.published import FILTERS, FLAGS, FOLDER, departures, doubts, frame, points
from trainables.errors import ConfigError


def test_every_row_is_in_range_and_its_doubts_are_explained():
    table = frame()
    assert len(table) == 187
    for name in ("test_accuracy", "attack_accuracy", "attack_accuracy_top5"):
        known = table[name].dropna()
        assert len(known) and known.between(0, 1).all()
    assert {flag for text in table["flags"] for flag in text.split(";") if flag} == set(FLAGS)
    above = table.dropna(subset=["attack_accuracy_top5"])
    assert (above["attack_accuracy_top5"] >= above["attack_accuracy"]).all()


def test_printed_ratios_follow_from_the_accuracies_unless_flagged():
    table = frame()
    setup = ["source", "attack", "private", "public", "architecture", "pretraining"]
    checked = 0
    for _, group in table.groupby(setup, sort=False):
        bare = group[group["defense"] == "none"]
        for _, row in group.dropna(subset=["delta_ratio"]).iterrows():
            (free,) = bare.itertuples()
            gained = free.attack_accuracy - row["attack_accuracy"]
            ratio = gained / (free.test_accuracy - row["test_accuracy"])
            checked += 1
            doubted = "ratio" in row["flags"] or "above_undefended" in row["flags"]
            assert doubted or ratio == pytest.approx(row["delta_ratio"], abs=0.0101), row.to_dict()
    assert checked == 43


def test_a_query_picks_rows_and_keeps_setups_apart():
    found = points("attack=kedmi, architecture=vgg-16, protocol=single run")
    assert [record.study for record in found] == [
        "KEDMI on VGG16 (ImageNet-1K), CelebA from CelebA, single run",
        "KEDMI on VGG16 (ImageNet-1K), CelebA from FFHQ, single run",
    ]
    assert [trial.values for trial in found[0].trials] == [
        {"test_accuracy": 0.89, "attack_accuracy": 0.9087},
        {"test_accuracy": 0.8341, "attack_accuracy": 0.5167},
    ]
    assert found[0].trials[1].params == {"defense.trained": "13.9 M"}
    setups = [tuple(record.setup.values()) for record in points("attack=PPA")]
    assert len(setups) == len(set(setups)) > 5


def test_single_runs_and_means_of_seeds_never_share_a_front():
    found = points("attack=KEDMI,architecture=VGG16,public=CelebA,private=CelebA")
    assert len({record.setup["protocol"] for record in found}) == len(found) > 2


def test_doubts_name_the_rows():
    (record,) = points("attack=PPA,architecture=MaxViT,protocol=mean of seeds")
    assert list(doubts(record)) == [
        "setup_unknown (none of Table 9, TL-DMI of Table 9): part of the set-up is not stated"
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("attack", r"expects column=value pairs, .*; got 'attack' \(--published; columns: attack, private"),
        ("attack=", "expects column=value pairs"),
        ("atack=GMI", r"knows the columns attack, .*; got 'atack'; did you mean 'attack'"),
        ("attack=KEDM", r"has attack=KEDM; did you mean 'KEDMI'\?; possible values: BREP-MI, GMI, KEDMI"),
        (
            "attack=GMI,architecture=ResNet-18",
            "with attack=GMI has architecture=ResNet-18; possible values: Fa",
        ),
        ("source=Table 17", "no published row has source=Table 17"),  # it has no attack accuracies
    ],
)
def test_mistakes_name_what_there_is(query, message):
    with pytest.raises(ConfigError, match=message):
        points(query)
    with pytest.raises(ConfigError) as caught:
        points(query, "mine.yaml: published[0]")
    assert "(mine.yaml: published[0]" in str(caught.value) and "--published" not in str(caught.value)


def test_a_study_always_departs_from_a_paper():
    (record,) = points("attack=GMI,architecture=VGG16,public=FFHQ,private=CelebA")
    template = {
        "attack": {"kind": "gmi"},
        "target": {"architecture": "vgg16_bn"},
        "private": {"kind": "image_folder", "root": "people"},
        "public": {"kind": "image_folder", "root": "others"},
        "pretraining": {"kind": "torchvision", "weights": "IMAGENET1K_V1"},
    }
    found = departures(record.setup, {"trial": template})
    assert found == [
        "private: CelebA there, image_folder people here",
        "public: FFHQ there, image_folder others here",
        "pretraining: ImageNet-1K there, torchvision IMAGENET1K_V1 here",
        "judge: the paper's own",
    ]
    several = {**template, "attack": [{"kind": "gmi"}, {"kind": "kedmi"}]}
    assert "attack: GMI there, gmi and kedmi here" in departures(record.setup, {"trial": several})
    assert departures(record.setup, None) == [
        "judge: the paper's own",
        "the study's own set-up is not known",
    ]


def test_the_file_has_the_columns_that_filters_need():
    for path in FOLDER.glob("*.csv"):
        with path.open(newline="") as file:
            assert set(FILTERS) <= set(csv.DictReader(file).fieldnames)
