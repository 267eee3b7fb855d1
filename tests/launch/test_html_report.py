"""The report as text: every part in its place, nothing from elsewhere, nothing unescaped, damaged files named."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from PIL import Image
from rich.console import Console

from tests.support.analysis_directories import LONG_ROWS, NASTY, RUNS, make
from widesym.launch.analyses.directory import ROWS
from widesym.launch.analyses.page import render
from widesym.launch.commands.report import ReportCommand
from widesym.launch.errors import RunDirectoryError


class Page(HTMLParser):
    """Tags with their attributes, the text of each element, and whether what was opened was closed."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def text_in(self, tag):
        return [data for path, data in self.texts if tag in path]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make(tmp_path_factory.mktemp("analysis") / "digits")


@pytest.fixture
def directory(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


@pytest.fixture(scope="module")
def text(whole):
    return render(whole)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_it_is_one_whole_page(text, page):
    assert text.startswith("<!DOCTYPE html>")
    assert not page.open
    assert page.text_in("title") == page.text_in("h1") == ["digits, C4"]
    assert page.text_in("h2") == [
        *("Are the data sound?", "Do they agree?", "Runs", "Figures", "Tables", "How it was made"),
    ]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")


def test_it_takes_nothing_from_elsewhere(text, page):
    allowed = {"html", "head", "meta", "title", "style", "body", "section", "h1", "h2", "h3", "p", "ul", "li", "strong"}
    allowed |= {
        "figure",
        "figcaption",
        "img",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "pre",
    }
    assert {tag for tag, _ in page.tags} <= allowed  # no script, link, iframe, object …
    for tag, attributes in page.tags:
        assert not {name for name in attributes if name.startswith("on") or name in ("href", "srcset", "style")}
        assert tag == "img" or "src" not in attributes
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert not re.search(r"url\(|@import|https?://", text)
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_nothing_is_unescaped(text, page):
    assert "<script" not in text
    assert "<b>" not in text
    assert sum(NASTY in text for text in page.text_in("li")) == 2
    assert any(NASTY in part for part in page.text_in("pre"))
    assert any(NASTY in image["alt"] for image in page.all("img"))


def test_problems_come_first(page):
    said = page.text_in("strong")[:3]
    assert said == ["problem: theory", "warning: noise floor", "ok: members"]
    assert [item["class"] for item in page.all("li")][:3] == ["problem", "warning", "ok"]
    assert "1 problem, 1 warning, 1 ok. This is of the data alone: whether they agree is said below." in page.text_in(
        "p"
    )


def test_differences_come_first_and_are_never_ok(page, text):
    assert page.text_in("strong")[3:] == [
        "gcnn and theory, test: differ",
        "augmented and gcnn, test: not distinguishable",
    ]
    assert [item["class"] for item in page.all("li")][3:] == ["differ", "not-distinguishable"]
    green = re.findall(r"\.(\S+) \{ border-color: #009e73", text)
    assert green == ["ok"]


def test_agreement_is_no_health_in_directories_of_earlier_versions(directory):
    """There a run far from theory was called ok."""
    of_old = [
        {"what": f"gcnn{end}", "status": "ok", "detail": "162 % away"} for end in (" and theory", ": noise floor")
    ]
    health = json.loads((directory / "health.json").read_text())
    (directory / "health.json").write_text(json.dumps(health + of_old))
    (directory / "agreement.json").unlink()
    page = Page(render(directory))
    assert page.text_in("strong") == ["problem: theory", "warning: noise floor", "ok: members"]
    assert "No verdicts were recorded: there is no agreement.json; widesym analyze writes it." in page.text_in("p")


def test_one_run_without_theory_agrees_with_nobody(directory):
    (directory / "agreement.json").write_text("[]")
    assert "Nothing was compared: there is one run, and no prediction." in Page(render(directory)).text_in("p")


def test_figures_stand_in_the_page_in_the_captions_order(page, whole):
    images = page.all("img")
    names = ["second", "first", "third"]
    assert [figure["id"] for figure in page.all("figure")] == [f"figure-{name}" for name in names]
    for image, name, width in zip(images, names, (1500, 900, 300), strict=True):
        png = base64.b64decode(image["src"].partition(",")[2])
        assert png == (whole / "figures" / f"{name}.png").read_bytes()
        assert Image.open(io.BytesIO(png)).size == (int(image["width"]), int(image["height"])) == (width, 40)
    assert [image["alt"] for image in images] == page.text_in("figcaption")
    assert images[2]["alt"] == "third"  # which has no caption
    assert "The figure gone is missing." in page.text_in("p")


def test_tables(page):
    cells = page.text_in("td")
    assert "0.03123" in cells  # four digits of 0.0312345678
    assert "032" in cells  # no number that would be written so
    assert "<b>gcnn</b>" in cells
    assert "nan" in cells
    assert "divergence (2 rows)" in page.text_in("h3")
    assert f"divergence_by_size ({LONG_ROWS} rows)" in page.text_in("summary")
    assert f"{ROWS - 1}" in cells  # the last row's first number: 499.0 to four digits
    assert f"{ROWS}" not in cells
    assert f"The first {ROWS} of {LONG_ROWS} rows; all are in tables/divergence_by_size.csv." in page.text_in("p")
    assert len(page.all("tr")) == 3 + 3 + (ROWS + 1) + 3  # runs, divergence, by size, versions; headers counted


def test_runs(page):
    heads = page.text_in("th")
    assert heads[:6] == ["name", "path", "members", "steps", "seed", "training time"]
    assert page.text_in("td")[:4] == ["augmented", RUNS[0]["path"], "64", "600"]
    assert "augmented: more" in page.text_in("summary")
    assert "gcnn: more" not in page.text_in("summary")
    assert RUNS[0]["architecture"] in page.text_in("pre")


def test_how_it_was_made(page):
    assert "git commit: 0123abc+changes" in page.text_in("p")
    assert any("cpu" in part and part.startswith("device: ") for part in page.text_in("p"))
    assert "0.10" in page.text_in("td")  # a version, whose last zero is told
    assert any('"name": "digits, C4"' in part for part in page.text_in("pre"))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("health.json", "No checks were recorded: there is no health.json."),
        ("runs.json", "Nothing is known of the runs: there is no runs.json."),
        ("figures", "There are no figures."),
        ("tables", "There are no tables."),
    ],
)
def test_missing_parts_are_said(directory, part, said):
    path = directory / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert said in Page(render(directory)).text_in("p")


def test_figures_need_no_captions(directory):
    (directory / "figures" / "captions.json").unlink()
    assert [image["alt"] for image in Page(render(directory)).all("img")] == ["first", "second", "third"]


def test_a_config_of_nothing_but_itself(directory):
    (directory / "config.json").write_text(json.dumps({"config": {}}))
    page = Page(render(directory))
    assert page.text_in("h1") == ["copy"]  # the directory's name
    assert "git commit: not recorded" in page.text_in("p")


def test_a_table_without_rows(directory):
    (directory / "tables" / "divergence.csv").write_text("run,divergence\n")
    assert "divergence (0 rows)" in Page(render(directory)).text_in("h3")


def test_text_that_has_no_bytes(directory):
    """A lone surrogate, which JSON can hold and UTF-8 cannot."""
    (directory / "runs.json").write_text('[{"name": "run\\ud800"}]')
    assert "run?" in Page(render(directory).encode().decode()).text_in("td")


def test_the_command_writes_it(directory, capsys):
    ReportCommand(directory).run(Console())
    report = directory / "report.html"
    assert report.read_text(encoding="utf-8") == render(directory)
    assert capsys.readouterr().out.strip() == f"written: {report}"
    assert not list(directory.glob("*.new"))


def test_what_is_no_analysis_directory_is_refused(directory, tmp_path):
    with pytest.raises(RunDirectoryError, match=r"there is no directory .*absent; name one that an analysis has made"):
        render(tmp_path / "absent")
    with pytest.raises(RunDirectoryError, match=r"there is no directory .*absent"):
        ReportCommand(tmp_path / "absent").run(Console(quiet=True))
    (tmp_path / "run").mkdir()
    with pytest.raises(RunDirectoryError, match=r"no analysis directory: it lacks config\.json"):
        render(tmp_path / "run")
    shutil.copy(directory / "config.json", tmp_path / "run")  # as runs of training have
    with pytest.raises(RunDirectoryError, match=r"it lacks tables, figures, health\.json, runs\.json"):
        render(tmp_path / "run")


@pytest.mark.parametrize(
    ("part", "content", "why"),
    [
        ("config.json", b"{", "Expecting property name"),
        ("config.json", b"[]", "it holds no 'config'"),
        ("config.json", b"\xff\xfe", "codec can't decode"),
        ("health.json", b'{"what": "members"}', "it is no list of objects"),
        ("health.json", b'[{"what": "members", "status": "fine", "detail": ""}]', r"status \(problem, warning, ok\)"),
        ("health.json", b'[{"what": "members"}]', "what, status .* and detail are needed"),
        ("health.json", b'[{"what": "members", "status": [], "detail": ""}]', "what, status .* and detail are needed"),
        (
            "agreement.json",
            b'[{"what": "a", "evaluation_set": "test", "verdict": "ok", "detail": ""}]',
            "verdict .differ, ",
        ),
        (
            "agreement.json",
            b'[{"what": "a", "verdict": "differ"}]',
            "what, evaluation_set, verdict .* and detail are n",
        ),
        ("runs.json", b'["augmented"]', "it is no list of objects"),
        ("figures/captions.json", b"[]", "no mapping from names to captions"),
        ("figures/first.png", b"", "cannot identify"),
        ("figures/first.png", b"GIF89a", "cannot identify"),
        ("tables/divergence.csv", b"", "it is empty"),
        ("tables/divergence.csv", b"a,b\n1,2\n1\n", "line 3 has 1 fields, the header 2"),
        ("tables/divergence.csv", b'a,b\n1,"2\n', "unexpected end of data"),
        ("tables/divergence.csv", b"a,b\n\xff,2\n", "codec can't decode"),
        ("tables/divergence.csv", b"a\n" + b"1\n" * 600 + b"1,2\n", "line 602 has 2 fields, the header 1"),
    ],
    ids=lambda value: value.replace("/", "-") if isinstance(value, str) and "." in value[-5:] else "",
)
def test_damaged_files_are_named(directory, part, content, why):
    (directory / part).write_bytes(content)
    with pytest.raises(RunDirectoryError, match=rf"{part} is damaged \(.*{why}"):
        render(directory)


def test_a_picture_cut_short_is_named(directory):
    path = directory / "figures" / "first.png"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(RunDirectoryError, match=r"figures/first.png is damaged \("):
        render(directory)
    path.write_bytes((directory / "figures" / "second.png").read_bytes()[:60])
    with pytest.raises(RunDirectoryError, match=r"figures/first.png is damaged \("):
        render(directory)
