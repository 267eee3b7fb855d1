"""`widesym data`: lists, sheets, the cache, and what it says when something is wrong."""

import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def widesym(command, monkeypatch):
    """`widesym data …`, without TFDS, on a wide terminal."""
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: command("data", *arguments)


@pytest.fixture
def tissue(tmp_path):
    for name in ("ADI", "STR"):
        (tmp_path / "tissue" / name).mkdir(parents=True)
        for index in range(6):
            pixels = np.random.default_rng(index).integers(0, 256, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tissue" / name / f"{index}.png")
    return tmp_path / "tissue"


def test_what_has_a_name_is_listed(widesym):
    code, text, _ = widesym("list")
    assert code == 0
    assert "digits 1,797 handwritten digits, 8×8 scikit-learn" in text
    assert "mnist 70,000 handwritten digits, 28×28 TFDS no" in text
    assert text.endswith("cache/data holds 0 sets:")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("digits", "--no-ood"), "digits"),
        (("toy", "--output", "out/sheet"), "out/sheet"),
        (("toy", "--output", "out/sheet.png"), "out/sheet"),
        (("toy", "--output", "out/v1.2"), "out/v1.2"),
        (("toy", "--output", "~/sheet"), "out/sheet"),
    ],
)
def test_contact_sheets_are_written_whole(widesym, tmp_path, monkeypatch, arguments, names):
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "out"))
    code, text, _ = widesym("show", *arguments)
    assert code == 0
    assert f"{names}.png, " in text
    assert text.endswith(f"{names}.pdf")
    written = {path.name for path in (tmp_path / names).parent.iterdir() if path.is_file()}
    assert written == {f"{(tmp_path / names).name}{suffix}" for suffix in (".png", ".pdf")}
    with Image.open(tmp_path / f"{names}.png") as picture:
        assert picture.size[0] > 500


@pytest.mark.parametrize(
    ("path", "sheet"),
    [
        ("v1.2 [red]:star:.npz", "v1.2 [red]:star:"),
        ("a$b^$_{.NPZ", "a$b^$_{"),
        ("folder/../日本.npz", "日本"),
        ("folder/", "folder"),
        ("folder.v2", "folder.v2"),
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_paths_may_hold_any_characters(widesym, tmp_path, path, sheet):
    (tmp_path / "folder").mkdir()
    if path.startswith("folder") and "npz" not in path:
        for name in ("[b]a", "$x^$"):
            (tmp_path / path / name).mkdir(parents=True)
            for index in range(2):
                Image.fromarray(np.full((32, 32), 9 * index, np.uint8)).save(tmp_path / path / name / f"{index}.png")
    else:
        pictures = np.random.default_rng(0).random((6, 4, 5, 2))
        with (tmp_path / path).open("wb") as file:
            np.savez(file, images=pictures, labels=np.arange(6) % 2)
    code, text, error = widesym("show", path)
    assert (code, error) == (0, "")
    assert text.startswith(f"{path}: ")
    assert f"contact sheet: {sheet}.png, {sheet}.pdf" in text
    assert {f"{sheet}.png", f"{sheet}.pdf"} <= {file.name for file in tmp_path.iterdir()}


def test_the_folder_shown_may_be_this_one(widesym, tmp_path, tissue, monkeypatch):
    monkeypatch.chdir(tissue)
    assert "contact sheet: tissue.png, tissue.pdf" in widesym("show", ".")[1]


def test_files_are_shown_prepared_listed_and_verified(widesym, tmp_path, tissue):
    assert widesym("show", "tissue", "--standardise")[0] == 0
    assert (tmp_path / "tissue.png").exists()
    code, text, _ = widesym("prepare", "tissue")
    assert code == 0
    (entry,) = (tmp_path / "cache" / "data").glob("tissue-*")
    assert f"{entry}: 0.0 MiB" in text
    assert f"holds 1 sets: {entry.name} 0.0 MiB" in widesym("list")[1]
    assert "1 sets, all whole" in widesym("verify")[1]
    (entry / "train.labels.npy").write_bytes(b"")
    code, _, error = widesym("verify")
    assert code == 2
    assert "1 of 1 sets are damaged:" in error
    assert "train.labels.npy has 0 bytes, expected" in error
    code, _, error = widesym("show", "tissue")
    assert code == 2
    assert f"remove {entry} and prepare the set again" in error


def test_what_needs_no_cache_is_said_to(widesym):
    assert widesym("prepare", "digits")[1] == "digits can be loaded as it is; nothing of it is cached"


def test_a_name_is_not_guessed_at_beside_a_folder_of_that_name(widesym, tmp_path, tissue):
    (tmp_path / "digits").mkdir()
    (tissue / "ADI").rename(tmp_path / "digits" / "ADI")
    for action in ("show", "prepare"):
        code, _, error = widesym(action, "digits")
        assert code == 2
        assert f"'digits' is the name of a data set, and {tmp_path}/digits holds data, too; write ./digits" in error
    assert {path.name for path in tmp_path.iterdir()} <= {"digits", "tissue", "cache"}
    assert widesym("show", "./digits", "--no-ood")[1].startswith("./digits: 5 + 1 samples 32×32×3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no action named; the actions are: list, show, prepare, verify"),
        (("shew", "digits"), "unknown action 'shew'; the actions are: list, show, prepare, verify"),
        (("show",), "NAME"),
        (("show", "digitz"), "no data set named 'digitz', and no such file or folder; did you mean digits?"),
        (("show", "mnist"), "mnist is not in the cache"),
        (("prepare", "mnist"), "TFDS cannot be imported"),
        (("show", "digits", "--seed", "-1"), "--seed is -1; it must be a whole number from 0 to"),
        (("show", "empty"), "empty is no data set; expected a .npz file, or a .npy file of CIFAR-10-C beside labels"),
        (("show", "broken.npz"), "broken.npz is no .npz file, or a part of one"),
        (("show", "digits", "--output", "nowhere/sheet"), "--output is nowhere/sheet, but there is no folder nowhere"),
        (("show", "toy", "--output", "empty/"), "--output is the folder empty; it must be the name of a file"),
        (("show", "toy", "--output", ""), "--output is the folder .; it must be the name of a file"),
        (("show", "toy", "--output", "~nobody-of-that-name/sheet"), "there is no folder ~nobody-of-that-name"),
        (("show", "~nobody-of-that-name/set"), "no data set named '~nobody-of-that-name/set'"),
        (("show", ""), "there is no data set named ''"),
        (("show", "x" * 300), "File name too long"),
        (("show", "huge.npz"), "huge.npz: inputs run from 1 to 1e+200, too far apart to be normalised"),
        (("show", "toy", "--standardise"), "--standardise is for images; toy has inputs of shape (1,)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_exits_with_2_and_writes_nothing(widesym, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.npz").write_bytes(b"PK")
    np.savez(tmp_path / "huge.npz", images=np.logspace(0, 200, 32).reshape(8, 2, 2), labels=np.zeros(8, int))
    code, _, error = widesym(*arguments)
    assert code == 2
    assert message in error
    assert {path.name for path in tmp_path.iterdir()} <= {"empty", "broken.npz", "huge.npz", "cache"}
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_help_of_actions(widesym):
    assert "usage: widesym reproduce NAME" in widesym("--help")[1]
    code, text, _ = widesym("show", "--help")
    assert code == 0
    for option in ("NAME", "--ood", "--standardise", "--seed", "--output"):
        assert option in text


def test_a_corruption_is_shown_by_its_file(widesym, tmp_path):
    """One of CIFAR-10-C, with as many images as that has, all the same at each severity."""
    levels = np.repeat(np.arange(50, 250, 40, dtype=np.uint8), 10_000)
    np.save(tmp_path / "fog.npy", np.broadcast_to(levels[:, None, None, None], (50_000, 32, 32, 3)))
    np.save(tmp_path / "labels.npy", np.arange(50_000) % 10)
    code, text, _ = widesym("show", "fog.npy", "--no-ood")
    assert code == 0
    assert "fog.npy: 8,000 + 2,000 samples 32×32×3" in text
    assert "CIFAR-10-C, fog at severity 3" in text
    assert (tmp_path / "fog.png").exists()


def test_a_pickle_that_attacks_is_refused(widesym, tmp_path):
    (tmp_path / "ten").mkdir()
    for name in ("batches.meta", "data_batch_1"):
        (tmp_path / "ten" / name).write_bytes(b"cposix\nmkdir\n(S'made'\ntR.")
    code, _, error = widesym("show", "ten")
    assert code == 2
    assert "ten/batches.meta cannot be read as a pickle" in error
    assert "it would call posix.mkdir, and is not run" in error
    assert {path.name for path in tmp_path.iterdir()} <= {"ten", "cache"}
