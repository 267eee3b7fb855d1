"""The recipe at its smallest, end to end; what it refuses; and its fits on drifts that are known."""

import json

import matplotlib.image
import numpy as np
import pytest
import xarray as xr

from widesym.analysis.estimators.kernel_evolution import kernel_evolution
from widesym.analysis.estimators.power_law import PowerLaw
from widesym.analysis.figures.drawing import save_figure
from widesym.analysis.figures.drift_by_width import drift_figure, drift_laws
from widesym.launch.errors import RunDirectoryError
from widesym.launch.kernels import ntk as ntk_run
from widesym.launch.recipes.ntk_drift import NAMES, NtkDrift, exponents, summary
from widesym.launch.training import execution as runner

TINY = ["--widths", "8", "16", "--members", "2", "--steps", "3", "--records", "3", "--train", "6", "--samples", "3"]
WIDTHS = (8, 16, 32, 64)


def made(width, exponent=-1.0):
    """Five members whose kernels grow by a factor that is a power of the width, but for the narrowest network's."""
    growth = (0.9 if width == 8 else width**exponent) * np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    kernels = np.eye(4) * np.stack([np.ones(5), 1 + growth / 2, 1 + growth])[..., None, None]
    return kernel_evolution(kernels, [0, 1, 4], np.array([0, 0.1, 0.4]), np.eye(4) - 0.25)


def test_the_law_is_that_of_the_three_largest_widths():
    """The narrowest network's drift, of order one, is shown and not fitted."""
    for exponent in (-1.0, -0.5):
        laws = drift_laws({width: made(width, exponent) for width in WIDTHS})
        assert laws.of_members is not None
        assert laws.of_mean is not None
        np.testing.assert_allclose(laws.of_members[:2], (exponent, 1), rtol=1e-9)
        np.testing.assert_allclose(laws.of_mean[:2], (exponent, 1), rtol=1e-9)
        low, high = laws.of_members.interval
        assert low < exponent < high


def test_more_networks_than_can_be_told_apart_are_refused():
    by_width = {width: made(width) for width in WIDTHS}
    with pytest.raises(ValueError, match="there are 4 networks; between 1 and 3 can be shown"):
        drift_figure(
            dict.fromkeys("abcd", by_width), dict.fromkeys("abcd", drift_laws(by_width)), dict.fromkeys("abcd", "x"), ""
        )


def test_where_nothing_drifts_there_is_no_exponent(tmp_path):
    """As at rates that float32 rounds away: in summary, table and figure, of one network beside one that does drift."""
    still = {width: kernel_evolution(np.tile(np.eye(4), (3, 3, 1, 1)), [0, 1, 4], np.arange(3.0)) for width in WIDTHS}
    found = {"mlp": still, "cnn": {width: made(width) for width in WIDTHS}}
    for networks in (found, {"mlp": still}):
        laws = {network: drift_laws(by_width) for network, by_width in networks.items()}
        assert laws["mlp"] == (None, None)
        told = summary(networks, laws, dict.fromkeys(networks, 1e-12))
        expected = {"fit_of_members": None, "fit_of_mean_kernel": None}
        assert expected.items() <= told["mlp"].items()
        json.dumps(told, allow_nan=False)
        assert exponents("mlp", laws["mlp"]).startswith("mlp: exponent of the members' drift no drift to fit")
        figure = drift_figure(networks, laws, NAMES, "")
        labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert labels[0] == "MLP: no drift to fit"
        save_figure(figure, tmp_path / "figure")


@pytest.mark.parametrize("content", ["", "[1]", '{"mlp": 0.5}', '{"mlp": 0.5, "cnn": "fast", "maxpool": 1}'])
def test_damaged_rates_are_named(tmp_path, content):
    (tmp_path / "rates.json").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"rates.json is damaged .*remove it, and they are computed again"):
        NtkDrift(output=tmp_path).rates()


def test_end_to_end(command, tmp_path, monkeypatch):
    code, text, error = command("reproduce", "ntk-drift", *TINY, "--networks", "mlp", "maxpool")
    assert code == 0, error
    output = tmp_path / "runs" / "ntk-drift"
    summary = json.loads((output / "summary.json").read_text())
    assert set(summary) == {"mlp", "maxpool"}
    for network, found in summary.items():
        assert found["widths"] == found["fitted_widths"] == [8, 16]
        for index, width in enumerate((8, 16)):
            with xr.open_zarr(output / f"{network}-{width}" / "ntk" / "ntk.zarr") as store:
                np.testing.assert_allclose(found["drift_of_members"][index], store.drift[-1], rtol=1e-12)
                np.testing.assert_allclose(found["drift_of_mean_kernel"][index], store.mean_drift[-1], rtol=1e-12)
                np.testing.assert_allclose(store.time, found["learning_rate"] * np.array(found["steps"]), rtol=1e-6)
        drifts = np.mean(found["drift_of_members"], axis=1)
        fit = found["fit_of_members"]
        np.testing.assert_allclose(fit["exponent"], np.log2(drifts[1] / drifts[0]), rtol=1e-9)
        assert f" {PowerLaw(**fit).text}, " in text
        assert found["fit_of_mean_kernel"]["interval"] == [None, None]
    picture = matplotlib.image.imread(output / "ntk-drift.png")
    ink = (picture[..., :3] < 0.9).any(-1)
    for half in np.array_split(ink, 2):
        assert all(0.01 < part.mean() < 0.9 for part in np.array_split(half, 2, axis=1))

    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(runner, "train", refuse)
    monkeypatch.setattr(ntk_run, "_kernels", refuse)
    (output / "summary.json").unlink()
    assert command("reproduce", "ntk-drift", *TINY, "--networks", "mlp", "maxpool")[0] == 0
    assert json.loads((output / "summary.json").read_text()) == summary
    code, _, error = command("reproduce", "ntk-drift", *TINY, "--networks", "mlp")
    assert code == 2
    assert "networks: ['mlp', 'maxpool'] on disk, ['mlp'] asked for" in error


def test_no_two_ensembles_are_initialised_alike():
    recipe = NtkDrift(train=16)
    seeds = [NtkDrift(train=16, seed=seed).run(network, width, 1.0).seed
             for seed in (0, 1) for network in recipe.networks for width in (1, 16, 4096)]  # fmt: skip
    assert len(set(seeds)) == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--members 1", "--members is 1; it must be between 2 and 10000"),
        ("--steps 0", "--steps is 0; it must be between 1"),
        ("--records 1", "--records is 1; it must be between 2"),
        ("--widths 8", "--widths is '8'; give two or more between 1 and 4096, ascending"),
        ("--widths 16 8", "--widths is '16 8'; give two or more"),
        ("--widths 0 8", "--widths is '0 8'; give two or more"),
        ("--samples 65", "--samples is 65, but there are 64 training images (--train)"),
        ("--networks mlp mlp", "--networks names no kind, or one twice"),
        ("--networks resnet", "Expected one of ('mlp', 'cnn', 'maxpool')"),
        ("--rate 1", "--rate is 1.0; descent converges for fractions between 0 and 1"),
        ("--seed -1", "--seed is -1; it must be between 0"),
        ("--output taken/runs", "--output is taken/runs, but"),
    ],
)
def test_bad_options_are_refused(command, tmp_path, options, message):
    (tmp_path / "taken").write_text("mine")
    code, _, error = command("reproduce", "ntk-drift", *options.split())
    assert code == 2
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
