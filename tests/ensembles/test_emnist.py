"""EMNIST's files, whose images lie on their side: written here as they are, read upright."""

import numpy as np
import pytest
from test_idx import compressed, idx_bytes

from tests.support.stored_pictures import check_splits
from widesym.ensembles.data import DataError, Emnist, find_source

F = np.array([  # upright: neither its mirror image nor turned does it look the same
    [1, 1, 1, 1],
    [1, 0, 0, 0],
    [1, 1, 1, 0],
    [1, 0, 0, 0],
    [1, 0, 0, 0],
])  # fmt: skip


def emnist(folder, part, labels, *, packed=True, dot=False):
    """The four files of one set; every image is 50 · (1 + its number) times F, as NIST stores it: column by column."""
    folder.mkdir(exist_ok=True)
    for name, numbers in labels.items():
        upright = np.stack([50 * (1 + index % 5) * F for index in range(len(numbers))])
        lying = np.stack([np.reshape(image.ravel(order="F"), (4, 5)) for image in upright])
        for kind, axes, array in (("images", 3, lying), ("labels", 1, np.array(numbers))):
            file = f"emnist-{part}-{name}-{kind}{'.' if dot else '-'}idx{axes}-ubyte{'.gz' if packed else ''}"
            (folder / file).write_bytes(compressed(idx_bytes(array)) if packed else idx_bytes(array))
    return folder


def expected(labels):
    return np.stack([50 * (1 + index % 5) * F for index in range(len(labels))])[..., None], labels


@pytest.mark.parametrize(("packed", "dot"), [(True, False), (False, False), (False, True)])
def test_images_stand_upright_and_letters_begin_with_a(tmp_path, packed, dot):
    emnist(tmp_path / "set", "letters", {"train": [1, 26, 6], "test": [2, 3]}, packed=packed, dot=dot)
    splits = Emnist(tmp_path / "set", "letters").load()
    check_splits(splits, expected([0, 25, 5]), expected([1, 2]), tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    assert splits.train.provenance == f"{tmp_path / 'set'} (EMNIST letters, turned upright)"


@pytest.mark.parametrize(
    ("part", "label", "character", "classes"),
    [("byclass", 61, "z", 62), ("bymerge", 46, "t", 47), ("balanced", 36, "a", 47), ("balanced", 38, "d", 47),
     ("digits", 9, "9", 10), ("mnist", 0, "0", 10), ("byclass", 10, "A", 62), ("letters", 26, "Z", 26)],
)  # fmt: skip
def test_labels_are_the_characters_of_the_mapping_files(tmp_path, part, label, character, classes):
    """emnist-PART-mapping.txt says so: label, and the character's code."""
    emnist(tmp_path / "set", part, {"train": [label, label], "test": [label]})
    train, _ = Emnist(tmp_path / "set", part).load()
    assert (train.classes[train.labels[0]], len(train.classes)) == (character, classes)


def test_the_set_in_a_folder_is_found_where_it_is_the_only_one(tmp_path):
    emnist(tmp_path / "set", "digits", {"train": [0, 1], "test": [2]})
    assert find_source(str(tmp_path / "set")) == Emnist(tmp_path / "set", "digits")
    emnist(tmp_path / "set", "letters", {"train": [1, 2], "test": [2]}, dot=True)
    with pytest.raises(
        DataError, match=r"set, part: digits\} or \{type: Emnist, directory: .*, part: letters\}; write"
    ):
        find_source(str(tmp_path / "set"))


def test_what_is_wrong_is_refused(tmp_path):
    emnist(tmp_path / "set", "letters", {"train": [1, 0, 2], "test": [2]})
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte.gz: label 0 of image 1; these labels begin with 1"):
        Emnist(tmp_path / "set", "letters").load()
    emnist(tmp_path / "set", "letters", {"train": [1, 27, 2], "test": [2]})
    with pytest.raises(DataError, match=r"label 26 of image 1 is out of range; with 26 classes"):
        Emnist(tmp_path / "set", "letters").load()
    with pytest.raises(
        DataError, match=r"has no file emnist-digits-train-images-idx3-ubyte or .*; it holds emnist-letters"
    ):
        Emnist(tmp_path / "set", "digits").load()
    with pytest.raises(ValueError, match="part is 'letter'; it must be one of balanced, byclass, bymerge, digits, let"):
        Emnist(tmp_path / "set", "letter")
