"""What every column of the tables of a comparison is (docs/analysis.md)."""

from widesym.analysis.comparison.tables import Column

INTERVAL = ("end",)
MINE = "‖mean logits − the reference's‖₂, mean over inputs"

DIVERGENCE = {
    "divergence": Column((), MINE),
    "divergence_interval": Column(INTERVAL, "95 % interval of the divergence's expectation over ensembles"),
    "noise_floor": Column((), "divergence expected of ensembles of equal mean"),
    "squared_divergence": Column((), "unbiased ‖difference of means‖², mean over inputs"),
    "squared_divergence_interval": Column(INTERVAL, "95 % interval of the squared divergence"),
    "predicted_divergence": Column((), "divergence of infinitely wide and large ensembles"),
}
DIVERGENCE_BY_SIZE = {
    "divergence": Column((), f"{MINE}, mean over sub-ensembles of this size"),
    "divergence_interval": Column(INTERVAL, "middle 95 % of sub-ensembles of this size"),
    "noise_floor": Column((), "divergence expected of ensembles of this size and equal mean"),
}
THEORY = {
    "distance": Column((), "‖mean logits − predicted mean‖₂, mean over inputs"),
    "distance_interval": Column(INTERVAL, "95 % interval of the distance's expectation over ensembles"),
    "noise_floor": Column((), "distance expected from the members' own scatter alone"),
    "expected_distance": Column((), "distance expected from the predicted scatter of so many members alone"),
    "squared_bias": Column((), "unbiased ‖expected logits − predicted mean‖², mean over inputs"),
    "squared_bias_interval": Column(INTERVAL, "95 % interval of the squared bias"),
    "rms_z": Column((), "root mean square of z = (mean logit − predicted mean)/standard error"),
    "rms_z_interval": Column(INTERVAL, "middle 95 % of rms z where there is no bias"),
    "within": Column((), "fraction of z within the 95 % interval of Student's t"),
}
SCALE = {"scale": Column((), "‖predicted mean at the last time‖₂, mean over inputs")}
CALIBRATION = {"count": Column(("bin",), "z scores in a bin at the last time; the outer bins hold those beyond, too")}
WIDTHS = {
    "squared_bias": Column((), "unbiased ‖expected logits − predicted mean‖² at the last time, mean over inputs"),
    "squared_bias_interval": Column(INTERVAL, "95 % interval of the squared bias"),
    "noise": Column((), "tr S/M: what finitely many members add to it"),
}
MEAN_LOGITS = {
    "mean": Column(("sample", "logit"), "mean logits over members"),
    "standard_error": Column(("sample", "logit"), "standard error of the mean over members"),
    "theory_mean": Column(("sample", "logit"), "predicted mean logits"),
    "theory_deviation": Column(("sample",), "predicted standard deviation of one member's logits"),
}
_ORBIT = {
    "osp": "orbit-same-prediction",
    "orbit_deviation": "standard deviation over the orbit, relative to the mean over it",
    "equivariance_error": "‖f(g·x) − ρ_g f(x)‖ relative to ‖f(x)‖, mean over g",
}
EQUIVARIANCE = {
    name: column
    for short, meaning in _ORBIT.items()
    for name, column in {
        f"{short}_members": Column((), f"{meaning}, mean over members"),
        f"{short}_members_deviation": Column((), f"{meaning}, standard deviation over members"),
        f"{short}_mean": Column((), f"{meaning}, of the mean logits"),
        f"{short}_mean_interval": Column(INTERVAL, f"95 % interval over ensembles: {meaning}, of the mean logits"),
    }.items()
}
EQUIVARIANCE_BY_SIZE = {
    name: column
    for short, meaning in _ORBIT.items()
    for name, column in {
        short: Column((), f"{meaning}, of the mean logits of sub-ensembles, mean over these"),
        f"{short}_interval": Column(INTERVAL, f"middle 95 % over sub-ensembles: {meaning}"),
    }.items()
}
TRAINING = {
    name: column
    for of, meaning in {"loss": "loss", "accuracy": "accuracy", "gradient_norm": "norm of the gradient"}.items()
    for name, column in {
        of: Column((), f"{meaning} on the last batch, median over members"),
        f"{of}_spread": Column(INTERVAL, f"{meaning} on the last batch, 5 % and 95 % of members"),
    }.items()
}
ENSEMBLE_SCORES = {
    "ensemble_accuracy": Column((), "accuracy of the mean logits; NaN for sets without labels"),
    "ensemble_rmse": Column((), "root mean squared error of the mean logits; NaN for sets without values"),
}
