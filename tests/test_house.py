"""The plan of the house: short files, folders of few modules, no import cycle, words that lead somewhere."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sweeper", "trainables", "search_spaces")
LONGEST = 400  # lines of a file, templates included
WIDEST = 16  # modules of a folder
# Methods of one kind, one file each, may be more.
FAMILIES = ("trainables/attacks", "trainables/defenses", "trainables/architectures", "trainables/datasets")

FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TEMPLATES = sorted((ROOT / "sweeper").rglob("*.j2"))

# A word of the field, and a part of the path that a newcomer looks for it by.
WORDS = {
    "hypervolume": "hypervolume",
    "Pareto": "pareto",
    "bootstrap": "bootstrap",
    "sampler": "sampler",
    "storage": "storage",
    "resume": "resume",
    "MLflow": "mlflow",
    "report": "report",
    "model card": "model_card",
    "freeze": "freeze",
    "batch norm": "batch_norm",
    "augmentation": "augmentation",
    "precision": "precision",
    "StyleGAN": "stylegan",
    "Wilson interval": "interval",
    "evaluation": "evaluation",
    "presets": "presets",
    "resources": "resources",
    "interrupt": "interrupt",
    "remote store": "remote",
    "pretraining": "pretraining",
    "schedule": "schedule",
    "seed": "seed",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Return the modules of ours that a file imports anywhere, in functions and for types too."""
    modules = {name_of(file) for file in FILES}
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & modules
            names |= submodules or {node.module}
    return (names & modules) - {name_of(path)}


@pytest.mark.parametrize("path", [*FILES, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) <= LONGEST


def test_no_folder_is_wide():
    folders = {path.parent for path in FILES}
    wide = {
        str(folder.relative_to(ROOT)): count
        for folder in folders
        if (count := len([p for p in folder.glob("*.py") if p.name != "__init__.py"])) > WIDEST
    }
    assert {folder for folder in wide if folder not in FAMILIES} == set()


def test_no_import_cycle_deferred_imports_counted():
    graph = {name_of(path): imports(path) for path in FILES}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_field_leads_to_a_path(word):
    assert [path for path in FILES if WORDS[word] in str(path.relative_to(ROOT))]
