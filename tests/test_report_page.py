"""The report in a real browser: nothing overflows, nothing is fetched, no script is needed, both themes are legible.

`SWEEP=tune_runs/NAME pytest tests/test_report_page.py` looks at that sweep instead of a small one of its own, and
takes the README's picture.
"""

import os
import shutil
from pathlib import Path

import pytest
from recorded import write_sweep
from test_report import SEEDS, hostile

from analysis.report import write_report

CHROMIUM = shutil.which("chromium")
PICTURE = Path(__file__).parents[1] / "analysis" / "pictures" / "report.png"
WIDTHS = (360, 1280)
THEMES = ("light", "dark")
# Elements that reach beyond the window, but for those in a box of their own that scrolls.
OUTSIDE = """() => [...document.querySelectorAll('body *')]
  .filter(node => !node.closest('.scroll, pre, svg') && node.getBoundingClientRect().right > innerWidth + 0.5)
  .map(node => node.outerHTML.slice(0, 120))"""
# Words of a figure that its edges would cut.
CUT = """() => [...document.querySelectorAll('svg text')].filter(node => {
    const box = node.getBoundingClientRect(), frame = node.closest('svg').getBoundingClientRect();
    return box.right > frame.right + 1 || box.left < frame.left - 1 || box.top < frame.top - 1;
  }).map(node => node.textContent)"""
# The relative luminance of what is drawn first with a colour, and of the paper behind it (WCAG 2).
CONTRAST = """() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(value => value / 255)
      .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const words = [...document.querySelectorAll('svg text, p, td, th, h2, dd, figcaption, .verdict')];
  return Math.min(...words.map(node => {
    const style = getComputedStyle(node), ink = light(node instanceof SVGElement ? style.fill : style.color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  }));
}"""
SERIES = """() => {
  const style = getComputedStyle(document.documentElement);
  return [0, 1, 2].map(place => style.getPropertyValue(`--series-${place}`).trim());
}"""

if CHROMIUM is None:
    pytest.skip("there is no chromium here", allow_module_level=True)
api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that looks up no names."""
    with api.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--host-resolver-rules=MAP * ~NOTFOUND"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The report to look at; the small one's texts are hostile."""
    asked = os.environ.get("SWEEP")
    folder = Path(asked) if asked else hostile(tmp_path_factory.mktemp("runs"))
    return write_report(folder).resolve().as_uri()


def opened(browser, address, width, theme, **more):
    """The page in a window of its own, and what the browser complained about or fetched."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **more)
    page, heard = context.new_page(), []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url) if request.url != address else None)
    page.goto(address)
    return page, heard


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_is_fetched_or_goes_wrong(browser, address, width, theme):
    page, heard = opened(browser, address, width, theme)
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate("window.hacked") is None
    if "SWEEP" in os.environ and (width, theme) == (1280, "light"):
        picture(page)
    page.context.close()


def picture(page):
    """From the leaderboard to the first figure, for the README."""
    ends = [page.locator(f"#{name}").bounding_box() for name in ("leaderboard", "trade")]
    top, bottom = ends[0]["y"], ends[1]["y"] + ends[1]["height"]
    clip = {"x": 0, "y": top, "width": 1280, "height": bottom - top}
    page.screenshot(path=PICTURE, clip=clip, full_page=True)


@pytest.mark.parametrize("theme", THEMES)
def test_words_stand_out_from_the_paper(browser, address, theme):
    page, _ = opened(browser, address, 1280, theme)
    assert page.evaluate(CONTRAST) >= 4.5
    page.context.close()


def test_figures_follow_the_theme(browser, address):
    found = []
    for theme in THEMES:
        page, _ = opened(browser, address, 1280, theme)
        found.append(
            (
                page.evaluate(SERIES),
                page.evaluate("getComputedStyle(document.querySelector('svg text')).fill"),
            )
        )
        page.context.close()
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]


def test_it_reads_without_javascript(browser, address):
    page, heard = opened(browser, address, 360, "light", java_script_enabled=False)
    assert heard == [] and page.locator("h2").count() >= 13 and page.locator("figure svg").count() >= 9
    page.context.close()


def test_an_empty_sweep_fits_too(browser, tmp_path):
    address = write_report(write_sweep(tmp_path, *SEEDS, finished=0)).resolve().as_uri()
    page, heard = opened(browser, address, 360, "dark")
    assert heard == [] and page.evaluate(OUTSIDE) == []
    page.context.close()
