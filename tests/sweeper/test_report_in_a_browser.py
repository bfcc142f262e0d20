"""The report opened in Chromium."""

import re

import pytest
import torch
from records import as_study

from sweeper.report.report import write_report

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def record(count, name="small"):
    """Return a study on whose front all even trials are."""
    trials = []
    for number in range(count):
        accuracy = (number + 1) / (count + 1)
        trials.append(
            {
                "number": number,
                "state": "complete",
                "params": {
                    "rate": accuracy / 10,
                    "defense.kind": ("none", "bido")[number % 2],
                    "defense.lambda_x": 0.0123,
                    "defense.lambda_y": 0.456,
                },
                "values": {
                    "test_accuracy": accuracy - 0.5 / count * (number % 2),
                    "attack_accuracy": accuracy**2 + 1e-6 * (number % 2),
                },
                "interval": {"attack_accuracy": [accuracy**2 * 0.9, accuracy**2]},
                "seconds": {"target": 2.0, "attack": 1.0},
                "history": {"target": [{"loss": 1 / (epoch + 1)} for epoch in range(10)]},
                "defense": ("none", "bido")[number % 2],
                "freeze_point": "none",
            }
        )
    return {"study": name, "objectives": OBJECTIVES, "trials": trials}


@pytest.fixture
def page(tmp_path):
    def make(records, **options):
        path = tmp_path / "report.html"
        write_report([as_study(record) for record in records], path, images=False, **options)
        return path.as_uri()

    return make


def test_a_click_on_a_point_opens_its_trial(browser, page):
    browser.open(page([record(24)]))
    assert browser.run("document.querySelectorAll('details[open]').length") == 0
    browser.click("[data-trial='0-6'] .hit")
    browser.until("document.querySelector('#trial-6').open && location.hash === '#trial-6'")
    browser.until("Math.abs(document.querySelector('#trial-6').getBoundingClientRect().top) < innerHeight")
    browser.run("document.querySelector('#trial-6').open = false")
    browser.click("[data-trial='0-6'] .hit")  # the same address once more
    browser.until("document.querySelector('#trial-6').open")
    assert browser.complaints() == []


def test_the_mouse_over_a_point_tells_what_it_is(browser, page):
    browser.open(page([record(24)]))
    x, y, _ = browser.place("[data-trial='0-6'] .hit")
    browser.mouse("mouseMoved", x, y)
    browser.until("!document.querySelector('#tip').hidden")
    said = browser.run("document.querySelector('#tip').textContent")
    assert said.startswith("small, trial 6\n") and "test accuracy 28.0 %" in said  # 7 / 25
    assert browser.run("document.querySelector('.line[data-trial=\"0-6\"]').classList.contains('lit')")
    browser.mouse("mouseMoved", 2, 2)
    browser.until("document.querySelector('#tip').hidden")
    assert browser.complaints() == []


def test_a_range_of_an_axis_picks_trials(browser, page):
    browser.open(page([record(24)]))
    x, middle, tall = browser.place(".column[data-column='0'] .brush")
    browser.mouse("mousePressed", x, middle)
    browser.mouse("mouseMoved", x, middle + tall / 2 - 2)
    browser.mouse("mouseReleased", x, middle + tall / 2 - 2)
    browser.until("document.querySelector('.picks').textContent.includes('picked')")
    left, of = map(int, re.findall(r"\d+", browser.run("document.querySelector('.picks').textContent")))
    assert of == 24 and abs(left - 12) <= 1  # the lower half of the rates
    shown = browser.run("[...document.querySelectorAll('details:not(.out)')].map((e) => e.id)")
    assert shown == [f"trial-{number}" for number in range(left)]
    assert browser.run("document.querySelectorAll('g.trial.out').length") == 24 - left
    browser.run("location.hash = '#trial-23'")  # a link to a trial that is not picked still leads there
    browser.until("document.querySelector('#trial-23').getBoundingClientRect().height > 0")
    browser.click(".picks button")
    browser.until("document.querySelectorAll('.out').length === 0")
    assert browser.complaints() == []


def test_an_address_with_a_trial_opens_it(browser, page):
    browser.open(page([record(24)]) + "#trial-9")
    assert browser.run("[...document.querySelectorAll('details[open]')].map((e) => e.id)") == ["trial-9"]


def test_points_of_a_comparison_lead_to_their_own_study(browser, page):
    browser.open(page([record(24), record(20, "other")]))
    browser.click("[data-trial='1-0'] .hit")
    browser.until("document.querySelector('#study-1-trial-0').open")
    assert browser.run("document.querySelectorAll('details[open]').length") == 1
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_sticks_out_of_the_page(browser, page, width):
    options = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.call("Emulation.setDeviceMetricsOverride", **options)
    first, second = record(24), record(20, "a_second_study_with_a_long_name")
    first["trials"][3]["warnings"] = ["path_without_a_blank_" * 5]
    browser.open(page([first, second]))
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.call("Emulation.clearDeviceMetricsOverride")


def test_pictures_are_there_and_nothing_is_asked_for(browser, tmp_path):
    folders = {}
    for name in ("attack", "judge"):
        (tmp_path / name).mkdir()
        folders[name] = str(tmp_path / name)
    images = torch.randint(0, 256, (2, 4, 3, 32, 32), dtype=torch.uint8)
    torch.save({"images": images, "identities": torch.arange(4)}, tmp_path / "attack" / "reconstructions.pt")
    torch.save({"images": images[0]}, tmp_path / "judge" / "examples.pt")
    study = record(24)
    for trial in study["trials"]:
        trial["artifacts"] = folders
    path = tmp_path / "pictures.html"
    write_report([as_study(study)], path, images=True)
    browser.events.clear()
    browser.open(path.as_uri() + "#trial-5")
    assert browser.run("[...document.querySelectorAll('#trial-5 img')].length") == 2 * 4
    assert browser.run("[...document.images].every((image) => image.complete && image.naturalWidth === 32)")
    assert {url.partition("#")[0] for url in browser.asked()} - {"about:blank"} == {path.as_uri()}
    assert browser.complaints() == []


def test_two_thousand_trials_open_and_can_be_filtered(browser, page, tmp_path):
    address = page([record(2000)])
    assert (tmp_path / "report.html").stat().st_size < 12e6
    browser.open(address)
    browser.run("location.hash = '#trial-1500'")
    browser.until("document.querySelector('#trial-1500').open")
    x, middle, tall = browser.place(".column[data-column='0'] .brush")
    browser.mouse("mousePressed", x, middle)
    browser.mouse("mouseMoved", x, middle + tall / 4)
    browser.mouse("mouseReleased", x, middle + tall / 4)
    browser.until("document.querySelectorAll('details.out').length > 1000")
    assert browser.complaints() == []
