"""The page of panels in Chromium: keyboard answers, going back, the end, and the file that is downloaded."""

import csv
import io
import itertools

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
EXPORTS = (f"{number:06x}" for number in itertools.count(0xA1B2C3))  # each with answers of its own


def panels(shown, export, count=3):
    noise = torch.Generator().manual_seed(0)

    def image():
        return torch.randint(0, 256, (3, 16, 16), generator=noise, dtype=torch.uint8)

    return {
        f"{export}-00{n + 1}": Panel(
            about={}, shown=tuple(image() for _ in range(shown)), references=tuple(image() for _ in range(4))
        )
        for n in range(count)
    }


def opened(browser, tmp_path, shown):
    """Open a page of three panels with so many reconstructions each; return its export's name."""
    path, export = tmp_path / "panels.html", next(EXPORTS)
    path.write_text(render(panels(shown, export)), encoding="utf-8")
    browser.open(path.as_uri())
    browser.run(DOWNLOAD)
    return export


def reload(browser):
    browser.run("window.before = true")
    browser.call("Page.reload")
    browser.until("document.readyState === 'complete' && !window.before")
    browser.run(DOWNLOAD)


def press(browser, key):
    browser.run(f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))")


def saved(browser):
    browser.click("#save")
    browser.until("window.saved !== null")
    return list(csv.DictReader(io.StringIO(browser.run("window.saved"))))


def test_panels_are_answered_with_keys_and_buttons_and_downloaded(browser, tmp_path):
    export = opened(browser, tmp_path, 1)
    first = browser.run("document.getElementById('panel').src")
    press(browser, "y")
    assert browser.run("document.getElementById('panel').src") != first
    press(browser, "ArrowLeft")
    assert browser.run("document.getElementById('panel').src") == first
    press(browser, "n")
    browser.click("[data-answer=yes]")
    press(browser, "x")  # no answer
    assert browser.run("document.getElementById('place').textContent") == "3"
    reload(browser)
    press(browser, "r")
    assert browser.run("document.getElementById('work').hidden && !document.getElementById('end').hidden")
    press(browser, "y")  # too late
    browser.run(READER)
    assert saved(browser) == [
        {"panel": f"{export}-00{n + 1}", "answer": answer, "reader": 'one, "two"'}
        for n, answer in enumerate(("no", "yes", "refused"))
    ]
    assert browser.asked() == [] or all(url.startswith("file:") for url in browser.asked())
    assert browser.complaints() == []


def test_answers_outlast_a_reload_without_storage(browser, tmp_path):
    """Chromium hands some 5 in 100 loads of a local file an empty storage; other browsers deny it."""
    opened(browser, tmp_path, 1)
    broken = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }})"
    with browser.ahead(broken):
        reload(browser)
        press(browser, "y")
        press(browser, "n")
        reload(browser)
        assert [row["answer"] for row in saved(browser)] == ["yes", "no"]


def test_answers_are_there_when_the_page_is_opened_again(browser, tmp_path):
    def kept():
        opened(browser, tmp_path, 1)
        press(browser, "n")
        browser.open(browser.run("location.href"))
        return browser.run("document.getElementById('place').textContent") == "2"

    assert any(kept() for _ in range(6))  # see above: a load may get an empty storage


def test_a_choice_between_two_has_a_minute(browser, tmp_path):
    stopped = "window.now = 1e12; Date.now = () => window.now"  # however slow the machine is
    with browser.ahead(stopped):
        opened(browser, tmp_path, 2)
        browser.until(f"document.getElementById('left').textContent.includes('{SECONDS} s left')")
        press(browser, "2")
        browser.run("window.now += 61000")
        browser.until("document.getElementById('place').textContent === '3'")
        press(browser, "1")
        browser.until("document.getElementById('work').hidden")
        assert [row["answer"] for row in saved(browser)] == ["second", "none", "first"]
