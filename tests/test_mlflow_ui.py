"""MLflow's own pages in a browser: a sweep opens as a leaderboard, each trial with verdict and artifacts.

`SWEEP=tune_runs/barrier pytest tests/test_mlflow_ui.py` looks at that sweep instead of a small one of its own,
and takes the README's picture.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from listening import listeners, on_loopback

from steerheal.export import Exported
from steerheal.results import RunFolder
from steerheal.standings import ranking
from steerheal.tracking import Tracker, view
from steerheal.tracking.about import About, Data
from steerheal.tracking.runs import REMEMBERED

CHROMIUM = shutil.which("chromium")
PICTURE = Path(__file__).parents[1] / "analysis" / "pictures" / "mlflow.png"
SECONDS = 45
# The page's own advertisement of an assistant would cover a quarter of it.
NO_ASSISTANT = """
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
"""
NO_NAMES = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
ROWS = ".ag-pinned-left-cols-container .ag-row"
CELLS = """() => {
  const rows = {};
  for (const cell of document.querySelectorAll('.ag-row [col-id]')) {
    const row = cell.closest('.ag-row').getAttribute('row-index');
    (rows[row] ??= {})[cell.getAttribute('col-id')] = cell.innerText.trim().split('\\n').pop();
  }
  return rows;
}"""
LABELS = "[...document.querySelectorAll('svg text')].map(label => label.textContent)"
CARD_TITLE = re.compile("^Trial .*")
VERDICTS = ("weak", "ok", "starved", "ok")

if CHROMIUM is None:
    pytest.skip("there is no chromium here", allow_module_level=True)
api = pytest.importorskip("playwright.sync_api")


def row(number):
    """A finished trial of two seeds; figures are those of its verdict, the best is trial 3."""
    verdict, gain = VERDICTS[number], 0.2 + 0.3 * number
    summary = {"trait": -2.0 - gain, "gain": gain, "coherence": 0.99, "slope": 1 / gain}
    records = [{"seed": seed, "round": 0, "outcome": "ok", "gain": gain} for seed in (0, 1)]
    if verdict == "starved":
        summary, records = {}, []
    return {
        "trial": number,
        "params": {"reg": "kl_rev", "lam": 0.1 * number},
        "verdict": verdict,
        "summary": summary | {"verdict": verdict, "seeds": {"0": verdict, "1": verdict}},
        "message": "",
        "seconds": 1.0,
        "seeds": 2,
        "records": records,
    }


def small_sweep(out):
    """A sweep's folder, and its runs as the real tracker writes them."""
    folder, rows = RunFolder(out / "small"), [row(number) for number in range(len(VERDICTS))]
    folder.create("name: small\n")
    adapter = folder.path / "adapter"
    adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "README.md"):
        (adapter / name).write_text("# Trial 3\n")
    for finished in rows:
        folder.finish(finished, finished["records"], [{"text": "Hello."}])
    said = []
    tracker = Tracker(folder.path, "small", said.append)
    data = (Data("vignettes", "0123456789abcdef", "builtin", 132),)
    about = About(
        "small", "Why?", "name: small\n", {"model": "builtin"}, ("reg", "lam"), data, serving={"system": "Hello."}
    )
    tracker.open(about, [row | {"files": [folder.completions(row["trial"])]} for row in rows])
    order = ranking(rows)
    tracker.close("FINISHED", order=order, best=Exported(adapter, rows[order[0]], "0"))
    assert not said
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """The folder of the sweep to look at."""
    if asked := os.environ.get("SWEEP"):
        return RunFolder(Path(asked).resolve())
    return small_sweep(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def server(sweep, tmp_path_factory):
    """The address of `mlflow ui` on the sweep's store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    store = f"sqlite:///{sweep.path.parent / 'mlflow.db'}"
    options = ["--backend-store-uri", store, "--port", port, "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", *options]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, env=os.environ | quiet, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        heard = listeners(psutil.Process(process.pid))
        assert heard and all(on_loopback(address) for _, address, _ in heard)
        yield f"http://127.0.0.1:{port}"
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, sign)
                process.wait(timeout=10)


def wait_for(address, process, log):
    """Until the server answers."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"mlflow ui did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(sweep):
    """A tab of a headless Chromium, which looks up no names; tall enough for a row per trial."""
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[NO_NAMES])
        tab = browser.new_page(viewport={"width": 1600, "height": 420 + 32 * len(sweep.trials)})
        tab.set_default_timeout(SECONDS * 1000)
        tab.add_init_script(NO_ASSISTANT)
        yield tab
        browser.close()


@pytest.fixture
def table(sweep, server, page):
    """The address at which the sweep's table has been opened: the one that the sweep names at its end."""
    known = json.loads((sweep.path / REMEMBERED).read_text())
    address = server + view.page(known["experiment"], known["key"])
    page.goto(address)
    page.get_by_role("link", name="trial 0", exact=True).wait_for()
    return address


def cells(page):
    """The table's rows from top to bottom, each as {column: text}."""
    rows = page.evaluate(CELLS)
    return [rows[place] for place in sorted(rows, key=int)]


def test_the_table_shows_every_trial_with_its_verdict_best_first(sweep, page, table):
    rows = {row["trial"]: row for row in sweep.trials}
    page.wait_for_function(f"document.querySelectorAll('{ROWS}').length == {len(rows)}")
    seen = cells(page)
    order = ranking(list(rows.values()))
    assert [row["attributes.`Run Name`"] for row in seen] == [f"trial {number}" for number in order]
    assert [row["tags.`verdict`"] for row in seen] == [rows[number]["verdict"] for number in order]
    assert [row["metrics.`rank`"] for row in seen] == [str(rank + 1) for rank in range(len(order))]
    slope = rows[order[0]]["summary"]["slope"]
    assert float(seen[0]["metrics.`slope`"]) == pytest.approx(slope)
    assert {f"params.`{name}`" for name in rows[0]["params"]} <= seen[0].keys()
    if "SWEEP" in os.environ:
        page.mouse.move(0, 0)
        page.screenshot(path=PICTURE)


def test_charts_set_what_was_searched_against_what_came_of_it(sweep, page, table):
    page.goto(table + "&compareRunsMode=CHART")
    page.get_by_text("Parallel Coordinates").wait_for()
    axes = [*sweep.trials[0]["params"], "trait", "coherence", "slope"]
    page.wait_for_function(f"{json.dumps(axes)}.every(name => {LABELS}.includes(name))")


def test_a_trial_leads_to_its_seeds_and_its_artifacts(sweep, page, table):
    best = ranking(sweep.trials)[0]
    page.get_by_role("link", name=f"trial {best}", exact=True).click()
    for seed in range(sweep.trials[0]["seeds"] if sweep.trials[0]["seeds"] > 1 else 0):
        page.get_by_role("link", name=f"trial {best} seed {seed}", exact=True).wait_for()
    page.get_by_text("vignettes").first.wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text(f"trial-{best:03d}.jsonl").first.wait_for()


def test_the_registry_has_the_best_adapter_with_card_and_signature(sweep, server, page):
    page.goto(f"{server}/#/models/steerheal-{sweep.path.name}/versions/1")
    page.get_by_role("heading", name=CARD_TITLE).wait_for()
    page.get_by_text("Outputs (1)").wait_for()
    page.get_by_text("Inputs (1)").click()
    page.get_by_text("prompt").first.wait_for()
