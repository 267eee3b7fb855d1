"""Sets from TensorFlow Datasets, with the library itself, where it is installed: one of our own, and Fashion-MNIST."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from widesym.ensembles.data import DataError
from widesym.ensembles.data.cache import entries
from widesym.ensembles.data.readers.tfds import Tfds

MISSING = [name for name in ("tensorflow_datasets", "array_record") if find_spec(name) is None]
FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"no {' and no '.join(MISSING)}: pip install 'widesym[tfds]'"),
    pytest.mark.filterwarnings("ignore"),  # of TFDS and what it imports
]


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    return tmp_path


def pixels(index):
    return np.random.default_rng(index).integers(0, 256, (4, 3, 3), np.uint8)


@cache
def own_builder():
    """A builder of PNG files, which need no TensorFlow to be written; TFDS knows it as "widesym_pets" once defined."""
    import tensorflow_datasets as tfds
    from PIL import Image as Pillow

    class WidesymPets(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")

        def _info(self):
            label, image = tfds.features.ClassLabel(names=["cat", "dog"]), tfds.features.Image(shape=(4, 3, 3))
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(range(9)), "test": self._generate_examples(range(20, 24))}

        def _generate_examples(self, indices):
            for index in indices:
                file = io.BytesIO()
                Pillow.fromarray(pixels(index)).save(file, "png")
                yield index, {"image": io.BytesIO(file.getvalue()), "label": index % 2}

    return WidesymPets


# What happens in a process of its own, in which nothing has been imported: whether TensorFlow was, and what was read.
READING = """
import json, sys
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers.tfds import Tfds
def read(name):
    try:
        return [part.fingerprint for part in Tfds(name).load()]
    except DataError as error:
        return str(error)
outcomes = [read(name) for name in sys.argv[1:]]
print(json.dumps(["tensorflow" in sys.modules, *outcomes]))
"""


def read_elsewhere(*names):
    command = [sys.executable, "-W", "ignore", "-c", READING, *names]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_real_set_is_prepared_cached_and_read_without_tensorflow(folders):
    own_builder()
    with pytest.raises(DataError, match=f"nor prepared by TFDS .{folders}/prepared/widesym_pets/1.2.0"):
        Tfds("widesym_pets").load()
    Tfds("widesym_pets").prepare()
    (entry,) = entries()
    for split, indices in (("train", range(9)), ("test", range(20, 24))):
        part = entry.read().parts[split]
        found = sorted((image.tobytes(), int(label)) for image, label in zip(part.inputs, part.labels, strict=True))
        assert found == sorted((pixels(index).tobytes(), index % 2) for index in indices)
    assert entry.read().classes == ("cat", "dog")
    fingerprints = [part.fingerprint for part in Tfds("widesym_pets").load()]
    shutil.rmtree(entry.path)  # now from what TFDS has prepared, without the builder's code
    assert read_elsewhere("widesym_pets") == [False, fingerprints]
    shutil.rmtree(folders / "prepared")  # and now from the cache
    assert read_elsewhere("widesym_pets") == [False, fingerprints]


def test_real_records_that_are_damaged_are_named(folders):
    own_builder()(data_dir=folders / "prepared", file_format="array_record").download_and_prepare()
    (records,) = (folders / "prepared").rglob("*train.array_record*")
    content = records.read_bytes()
    for damaged in (content[: len(content) // 2], content[:200] + b"12345678" + content[208:], b""):
        records.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{records.parent} cannot be read \(.*\); remove it and run"):
            Tfds("widesym_pets").load()
    assert entries() == []


def test_the_library_answers_at_once():
    expected = {
        "fashion_mnis": "no data set named 'fashion_mnis'; did you mean fashion_mnist",
        "emnist/balancd": "cannot find 'emnist/balancd': .*BuilderConfig balancd not found .* balanced",
        "mnist:9.9.9": "cannot find 'mnist:9.9.9': .*Dataset mnist cannot be loaded at version 9.9.9",
        "a b": "cannot find 'a b': Parsing builder name string a b failed.$",
        "qm9": "qm9 is neither in the cache|No module named 'pandas'",
        "mnist": "mnist is neither in the cache .* `widesym data prepare mnist`, then copy the folder",
    }
    started = time.monotonic()
    _, *outcomes = read_elsewhere(*expected)
    assert time.monotonic() - started < 60  # imports; a download without network is tried for minutes
    for outcome, message in zip(outcomes, expected.values(), strict=True):
        assert re.search(message, outcome)


METHANE = """\
5
gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\t-40.47893\t-40.476062\t\
-40.475117\t-40.498597\t6.469
C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689
H\t 0.002150416\t-0.0060313176\t 0.0019761204\t 0.133921
H\t 1.0117308433\t 1.4637511618\t 2.765748*^-4\t 0.133922
H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923
H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923
1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205\t3151.6034\t3151.6788\t3151.7078
C\tC
InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4
"""  # QM9's first file, with one number as QM9 writes small ones


def test_qm9_has_methane_as_its_builder_reads_it(folders, monkeypatch):
    """Two copies of one molecule, for the whole set cannot be had here."""
    pytest.importorskip("pandas")
    import tensorflow_datasets as tfds
    from etils.epath import Path as BuilderPath

    for index in (1, 2):
        (folders / f"dsgdb9nsd_{index:06d}.xyz").write_text(METHANE)
    atoms = {"C": -37.846772, "H": -0.500273}  # U0; of the other energies these are stand-ins
    energies = dict.fromkeys(("U0", "U", "H", "G"), atoms)

    def split_generators(self, manager):
        return {"train": self._generate_examples([1, 2], energies, BuilderPath(folders))}

    monkeypatch.setattr(type(tfds.builder("qm9")), "_split_generators", split_generators)
    Tfds("qm9").prepare()
    raw = Tfds("qm9").raw()
    inputs = raw.train.inputs
    np.testing.assert_array_equal(inputs[0], inputs[1])
    assert inputs.shape == (2, 29, 4)
    np.testing.assert_array_equal(inputs[0, :6, 0], [6, 1, 1, 1, 1, 0])
    np.testing.assert_allclose(inputs[0, 2, 1:], [1.0117308433, 1.4637511618, 2.765748e-4], rtol=1e-6)  # float32
    values = dict(zip((quantity.name for quantity in raw.quantities), raw.train.values[0], strict=True))
    expected = {"A": 157.7118, "mu": 0, "gap": 0.5048, "U0": -40.47893, "G": -40.498597, "Cv": 6.469}
    expected["U0_atomization"] = -40.47893 - atoms["C"] - 4 * atoms["H"]
    np.testing.assert_allclose([values[name] for name in expected], list(expected.values()), rtol=1e-6)


@pytest.mark.skipif(not FASHION.is_dir(), reason="no Fashion-MNIST: apt-get install dataset-fashion-mnist")
@pytest.mark.skipif(find_spec("tensorflow") is None, reason="no TensorFlow, which prepares Fashion-MNIST")
def test_fashion_mnist_is_as_its_official_files_have_it(folders):
    """TFDS's own builder, with the files where it would have put them. Debian's are compressed anew, so that they do
    not have the checksums that the builder would ask of a download; what they hold is the same."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.resource import get_dl_fname

    downloads = folders / "prepared" / "downloads" / "fashion_mnist"
    downloads.mkdir(parents=True)
    for url, info in tfds.builder("fashion_mnist").url_infos.items():
        if (official := FASHION / Path(url).name).exists() and "fashion" in url:
            path = downloads / get_dl_fname(url, info.checksum)
            path.symlink_to(official)
            path.with_name(f"{path.name}.INFO").write_text(json.dumps({"urls": [url]}))
    Tfds("fashion_mnist").prepare()
    (entry,) = entries()
    raw = entry.read()
    assert raw.classes[0] == "T-shirt/top"
    for part, file, samples in ((raw.train, "train", 60_000), (raw.test, "t10k", 10_000)):
        content = [
            gzip.decompress((FASHION / f"{file}-{what}-ubyte.gz").read_bytes())
            for what in ("images-idx3", "labels-idx1")
        ]
        images = np.frombuffer(content[0], np.uint8, offset=16).reshape(samples, 784)
        official = np.column_stack([images, np.frombuffer(content[1], np.uint8, offset=8)])
        found = np.column_stack([part.inputs.reshape(samples, 784), part.labels.astype(np.uint8)])
        assert sorted(map(bytes, found)) == sorted(map(bytes, official))  # TFDS stores samples in an order of its own
    train, _ = Tfds("fashion_mnist").load()
    np.testing.assert_allclose([train.inputs.mean(dtype=float), train.inputs.std(dtype=float)], [0, 1], atol=1e-6)
