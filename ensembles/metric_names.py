"""What a member's last batch leaves in the store of a run (`ensembles/recorder.py`), by name."""

METRICS = ("loss", "accuracy", "gradient_norm")
OF_VALUES = ("loss", "gradient_norm")  # of training sets without classes
