"""Files for `widesym train`."""

from widesym.launch.config.specs import made, read_mapping

SMALL = """
architecture: {type: Architecture, layers: [{type: Flatten}, {type: Dense, features: 4}, {type: Relu},
                                            {type: Dense, features: 10}]}
data: digits
train: 12
test: 6
data_seed: 3
ood: [white noise, letters]
ood_samples: 5
recipe: {learning_rate: 1e-1, augmentation: {type: FullOrbit, group: C4}}
members: 2
seed: 1
steps: 4
records: 3
orbit: {type: FullOrbit, group: C4}
snapshots: [{type: Parameters}]
"""


def read_config(path, config):
    """What a file says, as commands read it."""
    return made(config, read_mapping(path), str(path))


def created(folder):
    """What a command has left in its directory."""
    return {path.name for path in folder.iterdir()} - {"run.yaml", "cache"}
