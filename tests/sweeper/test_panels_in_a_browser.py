"""The page of panels in Chromium: keyboard answers, going back, the end, and the file that is downloaded."""

import csv
import io

import pytest
import torch

from sweeper.results.panels.page import SECONDS, render
from sweeper.results.panels.selection import Panel

pytestmark = pytest.mark.timeout(900)
READER = """document.getElementById('reader').value = 'one, "two"'"""
DOWNLOAD = """
window.saved = null;
URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text; }); return "#"; };
"""


def panels(shown, count=3):
    noise = torch.Generator().manual_seed(0)

    def image():
        return torch.randint(0, 256, (3, 16, 16), generator=noise, dtype=torch.uint8)

    return {
        f"a1b2c3-00{n + 1}": Panel(
            about={}, shown=tuple(image() for _ in range(shown)), references=tuple(image() for _ in range(4))
        )
        for n in range(count)
    }


def opened(browser, tmp_path, shown):
    path = tmp_path / "panels.html"
    path.write_text(render(panels(shown)), encoding="utf-8")
    browser.open(path.as_uri())
    browser.run("localStorage.clear()")
    browser.open(path.as_uri())
    browser.run(DOWNLOAD)


def press(browser, key):
    browser.run(f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))")


def saved(browser):
    browser.click("#save")
    browser.until("window.saved !== null")
    return list(csv.DictReader(io.StringIO(browser.run("window.saved"))))


def test_panels_are_answered_with_keys_and_buttons_and_downloaded(browser, tmp_path):
    opened(browser, tmp_path, 1)
    first = browser.run("document.getElementById('panel').src")
    press(browser, "y")
    assert browser.run("document.getElementById('panel').src") != first
    press(browser, "ArrowLeft")
    assert browser.run("document.getElementById('panel').src") == first
    press(browser, "n")
    browser.click("[data-answer=yes]")
    press(browser, "x")  # no answer
    assert browser.run("document.getElementById('place').textContent") == "3"
    browser.open(browser.run("location.href"))  # a reload keeps the answers
    browser.run(DOWNLOAD)
    press(browser, "r")
    assert browser.run("document.getElementById('work').hidden && !document.getElementById('end').hidden")
    press(browser, "y")  # too late
    browser.run(READER)
    assert saved(browser) == [
        {"panel": f"a1b2c3-00{n + 1}", "answer": answer, "reader": 'one, "two"'}
        for n, answer in enumerate(("no", "yes", "refused"))
    ]
    assert browser.asked() == [] or all(url.startswith("file:") for url in browser.asked())
    assert browser.complaints() == []


def test_a_choice_between_two_has_a_minute(browser, tmp_path):
    opened(browser, tmp_path, 2)
    browser.until(f"document.getElementById('left').textContent.includes('{SECONDS} s left')")
    press(browser, "2")
    browser.run("window.now = Date.now; Date.now = () => window.now() + 61000;")
    browser.until("document.getElementById('place').textContent === '3'")
    browser.run("Date.now = window.now")
    press(browser, "1")
    browser.until("document.getElementById('work').hidden")
    assert [row["answer"] for row in saved(browser)] == ["second", "none", "first"]
