"""The page's script under a document of a few lines: whoever has no mouse gets the same as who has one."""

import json
import shutil
import subprocess

import pytest
from records import as_study

from sweeper.report.report import render

# A link around a point, the point's row in a table, and a dot without a link.
DOCUMENT = """
class Part {
  constructor(name, parent, attributes) {
    Object.assign(this, { name, parent, dataset: {}, style: {}, children: {}, heard: {}, classes: new Set(),
      attributes: { ...attributes } });
    this.classList = { toggle: (word, on) => on ? this.classes.add(word) : this.classes.delete(word) };
    this.offsetWidth = this.offsetHeight = 10;
  }
  addEventListener(kind, run) { this.heard[kind] = run; }
  querySelector(which) { return this.children[which] || null; }
  closest(which) { return this.name === which ? this : this.parent ? this.parent.closest(which) : null; }
  hasAttribute(key) { return key in this.attributes; }
  setAttribute(key, value) { this.attributes[key] = value; }
  getBoundingClientRect() { return { right: 100, bottom: 50 }; }
  matches() { return this.byKeyboard; }
  remove() { this.gone = true; }
}
const tip = new Part("div"), link = new Part("a", null, { "aria-label": "as written" });
const point = new Part("g", link), row = new Part("tr"), dot = new Part("g", null, {});
tip.hidden = true;
point.dataset.trial = row.dataset.trial = "0-7";
for (const [part, text] of [[point, "trial 7"], [dot, "grows"]]) {
  part.children.title = new Part("title");
  part.children.title.textContent = text;
}
const document = {
  getElementById: (id) => id === "tip" ? tip : null,
  querySelectorAll: (which) => (
    { "[data-trial]": [point, row], "g.trial, g.dot-hover": [point, dot] }[which] || []
  ),
};
const location = { hash: "" }, innerWidth = 800, innerHeight = 600, heard = {};
const addEventListener = (kind, run) => { heard[kind] = run; };
"""
TRIED = """
const seen = [];
const look = (what) => seen.push([what, tip.hidden, tip.textContent || "", point.classes.has("lit"),
  row.classes.has("lit")]);
link.heard.focus(); look("clicked");
link.byKeyboard = dot.byKeyboard = true;
link.heard.focus(); look("reached");
link.heard.blur(); look("left");
dot.heard.focus(); look("dot");
heard.keydown({ key: "Escape" }); look("escape");
point.heard.mouseenter(); look("mouse");
const told = [link.attributes["aria-label"], dot.attributes["aria-label"], point.children.title.gone];
console.log(JSON.stringify({ seen, told, place: tip.style }));
"""


@pytest.mark.skipif(not shutil.which("node"), reason="needs node to run the page's script")
def test_the_keyboard_gets_text_and_highlight_and_links_keep_their_label():
    page = render([as_study({"trials": []})], images=False)
    script = page.partition("<script>")[2].partition("</script>")[0]
    done = subprocess.run(
        ["node", "-"], input=DOCUMENT + script + TRIED, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["seen"] == [
        ["clicked", True, "", False, False],
        ["reached", False, "trial 7", True, True],
        ["left", True, "trial 7", False, False],
        ["dot", False, "grows", False, False],
        ["escape", True, "grows", False, False],
        ["mouse", False, "trial 7", True, True],
    ]
    assert found["told"] == ["as written", "grows", True]
    assert found["place"] == {"left": "116px", "top": "66px"}
