"""The report in a browser: pictures load, nothing is fetched, and it fits a phone's screen."""

import html
import json
import re
import shutil
import subprocess

import pytest

from tests.support.analysis_directories import make
from widesym.launch.analyses.page import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (320, 390, 1200)
PROBE = """
onload = () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, view = frame.contentWindow;
    const measure = () => page.documentElement.scrollWidth - view.innerWidth;
    const closed = measure();
    page.querySelectorAll("details").forEach(part => part.open = true);
    return {
      width: view.innerWidth, closed, open: measure(), scripted: page.documentElement.dataset.scripted === "yes",
      pictures: [...page.images].map(image => [image.naturalWidth, image.getBoundingClientRect().width]),
      scrolling: [...page.querySelectorAll(".box")].some(box => box.scrollWidth > box.clientWidth),
    };
  });
  document.documentElement.dataset.found = JSON.stringify(found);
};
"""
TRACKER = '<img src="http://127.0.0.1:9/tracker.png">'
SCRIPT = "<script>document.documentElement.dataset.scripted = 'yes'</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium or chrome on the PATH")


def browse(report, folder):
    """What the probe finds in frames of every width, and the addresses that pages asked for."""
    frames = "".join(
        f'<iframe width="{width}" height="900" frameborder="0" srcdoc="{html.escape(report)}"></iframe>'
        for width in WIDTHS
    )
    host, log = folder / "host.html", folder / "net.json"
    host.write_text(f'<!DOCTYPE html><meta charset="utf-8"><script>{PROBE}</script>{frames}', encoding="utf-8")
    flags = ["--headless", "--disable-gpu", "--no-sandbox", "--disable-background-networking", "--no-first-run"]
    flags += [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--window-size=1300,900", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *flags, host.as_uri()], capture_output=True, timeout=120, check=True)
    attributes = re.search(r'data-found="([^"]*)"', done.stdout.decode())
    assert attributes, done.stderr.decode()[-2000:]
    return json.loads(html.unescape(attributes[1])), asked(log.read_text(encoding="utf-8"))


def asked(log):
    """Addresses in the log that a page, and not the browser itself, asked for over the network."""
    requests = [event["params"] for event in json.loads(log)["events"] if "initiator" in event.get("params", {})]
    return {each["url"] for each in requests if each["url"].startswith("http") and each["initiator"] != "not an origin"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return render(make(tmp_path_factory.mktemp("analysis") / "digits"))


@pytest.fixture(scope="module")
def found(report, tmp_path_factory):
    return browse(report, tmp_path_factory.mktemp("browser"))


def test_pictures_load_and_can_be_read(found):
    """As wide as they are, or the screen, or 52 letters' heights of 16 pixels, in which labels can be read."""
    for frame in found[0]:
        assert [natural for natural, _ in frame["pictures"]] == [1500, 900, 300]
        for natural, shown in frame["pictures"]:
            assert shown == natural if natural <= 832 else 800 < shown <= max(832, frame["width"])


def test_it_is_no_wider_than_the_screen(found):
    assert [frame["width"] for frame in found[0]] == list(WIDTHS)
    for frame in found[0]:
        assert frame["closed"] <= 0
        assert frame["open"] <= 0
    assert found[0][0]["scrolling"]  # wide tables do, in their boxes: nothing was cut off to make it fit


def test_nothing_is_fetched(found):
    assert found[1] == set()


def test_the_policy_keeps_a_tracker_and_a_script_out(report, tmp_path):
    """Were text to get past escaping; and without the policy both are seen, so that these tests see what there is."""
    spoilt = report.replace("</body>", f"{TRACKER}{SCRIPT}</body>")
    assert spoilt != report
    for name, text, harmed in (
        ("with", spoilt, False),
        ("without", re.sub(r"<meta http-equiv[^>]*>", "", spoilt), True),
    ):
        (tmp_path / name).mkdir()
        frames, addresses = browse(text, tmp_path / name)
        assert [frame["scripted"] for frame in frames] == [harmed] * len(WIDTHS)
        assert addresses == ({"http://127.0.0.1:9/tracker.png"} if harmed else set())
