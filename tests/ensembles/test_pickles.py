"""Pickles of strangers: what is plain is read, and nothing that they would call is called."""

import os
import pickle
import struct

import numpy as np
import pytest

from tests.support.memory import little_memory
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers.pickles import array_of, read_pickle

PYTHON2 = (  # {'data': array([[1, 2], [3, 4]], uint8), 'labels': [7, 300], 'name': 'a'} as Python 2's cPickle writes it
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85"
    b"U\x01b\x87Rq\x05(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNN"
    b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x02\x03\x04tbU\x06labelsq\x08]q\t(K\x07M,\x01e"
    b"U\x04nameU\x01au."
)


class Attack:
    """An object whose pickle calls a function with these arguments when it is loaded."""

    def __init__(self, function, *arguments):
        self.how = function, arguments

    def __reduce__(self):
        return self.how


def stored(path, content):
    path.write_bytes(content)
    return path


def test_a_pickle_of_python_2_is_read(tmp_path):
    found = read_pickle(stored(tmp_path / "batch", PYTHON2))
    assert (set(found), found[b"labels"], found[b"name"]) == ({b"data", b"labels", b"name"}, [7, 300], b"a")
    array = array_of("data", found[b"data"])
    np.testing.assert_array_equal(array, np.array([[1, 2], [3, 4]], np.uint8))
    # The real one does the same with it, as far as it trusts it.
    np.testing.assert_array_equal(pickle.loads(PYTHON2, encoding="bytes")[b"data"], array)


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", ">f8"])
def test_arrays_of_numbers_are_read_as_numpy_writes_them_now(tmp_path, protocol, dtype):
    arrays = {
        "rows": np.arange(12).reshape(3, 4).astype(dtype),
        "columns": np.asfortranarray(np.eye(3, 2, dtype=dtype)),
    }
    found = read_pickle(stored(tmp_path / "file", pickle.dumps(arrays, protocol)))
    for name, array in arrays.items():
        read = array_of(name, found[name])
        np.testing.assert_array_equal(read, array)
        assert read.dtype == np.dtype(dtype)


def test_nothing_is_run(tmp_path):
    """Whatever the protocol: the file that each would make is not made, nor is a module imported."""
    made = tmp_path / "made"
    attacks = [
        Attack(os.system, f"touch {made}"),
        Attack(open, str(made), "w"),
        Attack(eval, f"open({str(made)!r}, 'w')"),
        Attack(getattr, 1, "real"),
        Attack(np.save, str(made), 1),
        Attack(np.load, str(made)),
    ]
    for number, attack in enumerate(attacks):
        for protocol in (0, 2, 4):
            content = pickle.dumps({"data": attack}, protocol)
            with pytest.raises(
                DataError, match=r"cannot be read as a pickle .*: it (would call|has the instr)"
            ) as refusal:
                read_pickle(stored(tmp_path / f"attack{number}", content))
            assert "and is not run; if you trust it, convert it" in str(refusal.value)
            assert f"attack{number}" in str(refusal.value)
    assert not made.exists()
    pickle.loads(pickle.dumps(attacks[1], 2)).close()  # which the real one does
    assert made.exists()


NUMPY = b"cnumpy\ndtype\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02cposix\nsystem\n.", r"it would call posix\.system"),
        (b"\x80\x02cnumpy\nload\n.", r"it would call numpy\.load"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", r"it would call os\.system"),
        (b"\x80\x02(S'x'\nios\nsystem\n.", "it has the instruction INST"),
        (b"\x80\x02cnumpy\ndtype\n)\x81.", "it has the instruction NEWOBJ"),
        (b"\x80\x02\x82\x01.", "it has the instruction EXT1"),
        (b"Pabc\n.", "it has the instruction PERSID"),
        (b"\x80\x02" + NUMPY + b")R)R.", "it calls what is no function"),
        (b"\x80\x02" + NUMPY + b"}b.", "it changes a function"),
        (b"\x80\x02" + NUMPY + b"N}X\x01\x00\x00\x00aK\x01s\x86b.", "it changes a function"),
        (b"\x80\x02]K\x01}b.", "cannot be read as a pickle"),
        (b"\x80\x02}]K\x01s.", "cannot be read as a pickle"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "it numbers its instruction 2 2147483647"),
        (b"\x80\x02N" + b"\x85" * 2000 + b".", "it has more than 1000 tuples"),
        (b"\x80\x02T\xff\xff\xff\x7fabc.", "cannot be read as a pickle"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.", "cannot be read as a pickle"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.", "cannot be read as a pickle"),
        (PYTHON2[:-20], "cannot be read as a pickle"),
        (b"", "cannot be read as a pickle"),
        (b"not a pickle", "cannot be read as a pickle"),
        (b"I" + b"9" * 5000 + b"\n.", "cannot be read as a pickle"),
    ],
)  # fmt: skip
def test_what_is_none_or_asks_for_more_is_refused(tmp_path, content, message):
    with little_memory(), pytest.raises(DataError, match=f"{tmp_path / 'file'} .*{message}"):
        read_pickle(stored(tmp_path / "file", content))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"U\x02u1", b"U\x02O8", "array of other things than numbers"),
        (b"U\x02u1", b"U\x02u8", r"array of uint64 and of shape \(2, 2\), whose content is not of that size"),
        (b"K\x02K\x02\x86c", b"K\x02K\xff\x86c", r"of shape \(2, 255\), whose content is not of that size"),
        (b"K\x01K\x02K\x02\x86c", b"K\x01K\x02N\x86c", r"of shape \(2, None\), whose content is not"),
        (b"K\x01K\x02K\x02\x86c", b"K\x01J\xfe\xff\xff\xffJ\xfe\xff\xff\xff\x86c", r"of shape \(-2, -2\), whose cont"),
        (b"U\x04\x01\x02\x03\x04tb", b"K\x04tb", "whose content is not of that size"),
        (b"U\x04\x01\x02\x03\x04tb", b"tb", "cannot be read as an array"),
        (b"U\x01|NNN", b"U\x01?NNN", "array of other things than numbers"),
    ],
)
def test_arrays_that_are_none_are_refused(tmp_path, old, new, message):
    assert PYTHON2.count(old) == 1
    found = read_pickle(stored(tmp_path / "file", PYTHON2.replace(old, new)))
    with pytest.raises(DataError, match=f"^batch.*{message}"):
        array_of("batch", found[b"data"])


@pytest.mark.parametrize("value", [b"text", None, {"a": 1}, [1, "two"], 3.5, [True]])
def test_what_is_no_array_is_refused(value):
    with pytest.raises(DataError, match=r"^batch is \w+; it must be an array of numbers"):
        array_of("batch", value)
    assert array_of("batch", [3, 4]).tolist() == [3, 4]
