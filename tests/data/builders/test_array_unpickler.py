import builtins
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from masam_jax.data.builders import array_unpickler
from masam_jax.data.builders.array_unpickler import load_arrays
from tests.pickle_bombs import PICKLE_BOMBS


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def file(tmp_path):
    """Writes content to a file, and says where it is."""
    return lambda content: _written(tmp_path / "file.pkl", content)


_ARRAYS = (
    np.arange(12, dtype=np.float64).reshape(3, 4),
    np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    np.arange(5, dtype=">i4"),
    np.float16([1.5, np.nan, -np.inf]),
    np.array([True, False]),
    np.array(["ab", "c"]),
    np.array([b"ab", b"c"]),
    np.array(["x", None, 3, {"a": [1.0]}], object),
    np.zeros((0, 371)),
    np.array(7, np.uint8),
)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_back_as_they_were(file, protocol):
    plain = {1: "ü", "b": b"\x80\n", "e": b"", "t": (None, True, -3, 2.5, 1 << 80), "l": [[], {}]}
    content = [plain, np.float32(2.5), np.int64(-1), np.str_("word"), *_ARRAYS]
    found = load_arrays(file(pickle.dumps(content, protocol=protocol)))
    assert found[0] == plain
    assert found[1:4] == [2.5, -1, "word"]
    assert found[1].dtype == np.float32
    for array, like in zip(found[4:], _ARRAYS, strict=True):
        # NumPy brings bytes into the machine's order.
        assert array.dtype == like.dtype.newbyteorder("=")
        assert array.shape == like.shape
        np.testing.assert_array_equal(array, like)


def test_names_of_numpy_1_are_read(file):
    content = pickle.dumps([np.arange(3.0), np.float32(1)], protocol=3)
    assert b"numpy._core" in content
    found = load_arrays(file(content.replace(b"numpy._core", b"numpy.core")))
    np.testing.assert_array_equal(found[0], [0, 1, 2])
    assert found[1] == 1


def test_arrays_of_python_2_are_read(file):
    """Protocol 2 of Python 2: data are strings, and so are dict keys."""
    values = np.array([1.5, -2.0, 200.0])
    raw = values.tobytes()
    content = (
        b"\x80\x02}U\x01a"
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(raw)]) + raw + b"tbs."
    )
    np.testing.assert_array_equal(load_arrays(file(content))["a"], values)


def test_arrays_are_read_only(file):
    # One byte is an object that Python shares, and NumPy would write into it.
    array = load_arrays(file(pickle.dumps(np.array([65], np.uint8))))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 66
    hostile = pickle.dumps(np.array([65], np.uint8), protocol=2)[:-1] + b"K\x00K\x42s."
    with pytest.raises(ValueError, match="sets items of a _Array"):
        load_arrays(file(hostile))
    assert b"A"[0] == 65


class _Calls:
    def __init__(self, function, *arguments):
        self._reduced = (function, arguments)

    def __reduce__(self):
        return self._reduced


@pytest.fixture
def alarm(monkeypatch):
    """Stands in for functions that no pickle may reach; holds what reached them."""
    reached = []
    for module, name in ((os, "system"), (builtins, "eval"), (builtins, "exec"), (np, "load")):
        # The same name, so that a pickle refers to it as to the real one.
        def caught(*arguments, name=name):
            reached.append((name, arguments))

        caught.__module__, caught.__qualname__ = module.__name__, name
        caught.__name__ = name
        monkeypatch.setattr(module, name, caught)
    return reached


def test_code_in_a_pickle_does_not_run(file, alarm):
    hostile = {
        "posix.system": b"cposix\nsystem\n(S'touch x'\ntR.",
        "os.system": pickle.dumps(_Calls(os.system, "touch x")),
        "builtins.eval": pickle.dumps({"x": [_Calls(eval, "1 + 1")]}),
        "builtins.exec": pickle.dumps((_Calls(exec, "x = 1"),), protocol=2).replace(
            b"__builtin__", b"builtins"
        ),
        "__builtin__.eval": pickle.dumps(_Calls(eval, "1 + 1"), protocol=0),
        "numpy.load": pickle.dumps(_Calls(np.load, "x.npy")),
        "builtins.getattr": b"cbuiltins\ngetattr\n(S'a'\nS'b'\ntR.",
        "functools.reduce": b"cfunctools\nreduce\n(cos\nsystem\n(S'touch x'\ntS''\ntR.",
        "functools.partial": b"cfunctools\npartial\n(cos\nsystem\ntR.",
        "numpy.core.multiarray.frombuffer": b"cnumpy.core.multiarray\nfrombuffer\n(tR.",
        "numpy.core.multiarray._reconstruct.__globals__": (
            b"\x80\x04\x8c\x15numpy.core.multiarray\x8c\x18_reconstruct.__globals__\x93."
        ),
        "copyreg._reconstructor": b"ccopyreg\n_reconstructor\n(tR.",
        "numpy.matrix": b"cnumpy\nmatrix\n.",
        "numpy.testing._private.utils.runstring": (
            b"cnumpy.testing._private.utils\nrunstring\n(S'x = 1'\n}tR."
        ),
        "builtins.object": b"\x80\x02cbuiltins\nobject\n)\x81.",
        "os._wrap_close": b"(S'a'\nios\n_wrap_close\n.",
    }
    for name, content in hostile.items():
        with pytest.raises(ValueError, match=r"file\.pkl is not a pickle of arrays") as error:
            load_arrays(file(content))
        assert f"refers to {name};" in str(error.value)
    assert alarm == []


def test_the_alarm_rings_for_an_ordinary_unpickler(alarm):
    pickle.loads(pickle.dumps(_Calls(os.system, "touch x")))
    pickle.loads(pickle.dumps(_Calls(eval, "1 + 1")))
    assert [name for name, _ in alarm] == ["system", "eval"]


_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
_NDARRAY = b"cnumpy\nndarray\n"
_EMPTY = _RECONSTRUCT + b"(" + _NDARRAY + b"(K\x00tS'b'\ntR"
_FLOAT = b"cnumpy\ndtype\n(S'f8'\nK\x00K\x01tR"
_OBJECT = b"cnumpy\ndtype\n(S'O8'\nK\x00K\x01tR"


@pytest.mark.parametrize(
    "content,why",
    [
        # Functions of the module are not to be altered, by state or by attributes.
        (_RECONSTRUCT + b"}S'__doc__'\nS'x'\nsb.", "alters a function"),
        (_RECONSTRUCT + b"(N}S'__call__'\nS'x'\nstb.", "alters a function"),
        (_NDARRAY + b"}S'__setstate__'\nNsb.", "alters a function"),
        # A class as the kind of array; a type that is called itself; a new object of it.
        (_RECONSTRUCT + b"(" + _FLOAT + b"(K\x00tS'b'\ntR.", "kind of array"),
        (_NDARRAY + b"((K\x00ttR.", "calls _ArrayType, which is no function"),
        (b"\x80\x02" + _NDARRAY + b")\x81.", "NEWOBJ"),
        # More room than the file holds.
        (_RECONSTRUCT + b"(" + _NDARRAY + b"(J\xff\xff\xff\x7ftS'b'\ntR.", "kind of array"),
        (_EMPTY + b"(K\x01(J\xff\xff\xff\x7ft" + _FLOAT + b"I00\nS''\ntb.", "number of bytes"),
        (_EMPTY + b"(K\x01(I-1\nt" + _FLOAT + b"I00\nS''\ntb.", "shape of an array"),
        (_EMPTY + b"(K\x01S'abc'\n" + _FLOAT + b"I00\nS''\ntb.", "shape of an array"),
        # Addresses given as the objects of an array.
        (_EMPTY + b"(K\x01(K\x01t" + _OBJECT + b"I00\nS'AAAAAAAA'\ntb.", "number of objects"),
        (_EMPTY + b"(K\x01(K\x02t" + _OBJECT + b"I00\n(lNatb.", "number of objects"),
        (b"cnumpy.core.multiarray\nscalar\n(" + _OBJECT + b"S'AAAAAAAA'\ntR.", "dtype of a scalar"),
        (b"cnumpy.core.multiarray\nscalar\n(" + _FLOAT + b"S'AAAA'\ntR.", "number of bytes"),
        (
            b"cnumpy.core.numeric\n_frombuffer\n(S'AAAA'\n" + _FLOAT + b"(K\x01tS'C'\ntR.",
            "number of bytes",
        ),
        (
            b"cnumpy.core.numeric\n_frombuffer\n(S'AAAAAAAA'\n" + _OBJECT + b"(K\x01tS'C'\ntR.",
            "number of objects",
        ),
        # Dtypes with parts, whose offsets may point anywhere.
        (b"cnumpy\ndtype\n(S'V8'\nK\x00K\x01tR.", "dtype 'V8'"),
        (b"cnumpy\ndtype\n(S'f8,f8'\nK\x00K\x01tR.", "dtype 'f8,f8'"),
        (b"cnumpy\ndtype\n(}S'names'\n(lstR.", "dtype"),
        (_FLOAT + b"(K\x03S'|'\nN(S'a'\nt}K\x08K\x08K\x00tb.", "kind of dtype"),
        (_FLOAT + b"}b.", "state of a dtype"),
        (_EMPTY + b"}b.", "state of an array"),
        (_EMPTY + b"(K\x01(K\x01tS'f8'\nI00\nS'AAAAAAAA'\ntb.", "dtype of an array"),
        # What is left over is not data.
        (_RECONSTRUCT + b".", "_Reconstruct is not one"),
        (b"(l" + _FLOAT + b"a.", "_Dtype is not one"),
        (b"\x80\x04\x8f.", "a set (EMPTY_SET)"),
        (b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.", "encoding of bytes"),
        (b"\x80\x02\x82\x01.", "extension"),
        (b"Pname\n.", "persistent"),
        # It holds itself; it is very deep.
        (b"(lq\x00h\x00a.", "nested"),
        (b"]" * 50 + b"a" * 49 + b".", "nested"),
    ],
)  # fmt: skip
def test_tricks_are_refused(file, content, why):
    with pytest.raises(ValueError, match=r"not a pickle of arrays|no pickle") as error:
        load_arrays(file(content))
    assert why in str(error.value)


def test_a_list_that_unfolds_to_far_more_than_its_file_is_refused(file):
    grown = [0.0] * 8
    for _ in range(20):
        grown = [grown, grown]
    with pytest.raises(ValueError, match="unfolds to far more"):
        load_arrays(file(pickle.dumps(grown)))
    shared = [1.0, 2.0]
    assert load_arrays(file(pickle.dumps([shared, shared]))) == [shared, shared]


def test_an_object_array_that_holds_itself_is_refused(file):
    array = np.array([None, 1.0], object)
    array[0] = array
    with pytest.raises(ValueError, match="nested"):
        load_arrays(file(pickle.dumps(array)))


def test_a_refused_file_alters_no_later_reading(file):
    before = dict(array_unpickler._ADMITTED)
    for content in (
        _RECONSTRUCT + b"(N}S'__call__'\nS'x'\nstb.",
        _RECONSTRUCT + b"}S'a'\nS'b'\nsb.",
    ):
        with pytest.raises(ValueError):
            load_arrays(file(content))
    assert before == array_unpickler._ADMITTED
    np.testing.assert_array_equal(load_arrays(file(pickle.dumps(np.arange(3)))), [0, 1, 2])


def test_damaged_files_are_refused(file, tmp_path):
    whole = pickle.dumps({"a": np.arange(100.0), "b": [1, 2, 3]}, protocol=4)
    for length in range(0, len(whole), 37):
        with pytest.raises(ValueError, match=r"file\.pkl"):
            load_arrays(file(whole[:length]))
    for content in (b"", b"no pickle at all", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04" + bytes(50)):
        with pytest.raises(ValueError, match=r"no pickle|not a pickle"):
            load_arrays(file(content))
    with pytest.raises(ValueError, match="cannot be read"):
        load_arrays(tmp_path / "absent.pkl")


def test_a_length_beyond_the_file_is_refused(file):
    # 2 ** 40 bytes are announced, and three follow.
    with pytest.raises(ValueError, match=r"file\.pkl"):
        load_arrays(file(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc"))


@pytest.mark.parametrize("name", PICKLE_BOMBS)
def test_a_bomb_takes_memory_of_its_own_size(file, name):
    """Time too: before, some of these ran on for ever, and one took four gigabytes."""
    path = file(PICKLE_BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"file\.pkl") as error:
            load_arrays(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(error.value)) < 500
    # A mark is one byte, and an empty list of 56.
    assert most < 150 * path.stat().st_size + 200_000


def test_keys_that_people_have_are_admitted(file):
    content = {1: 0, -5: 1, "a": 2, b"b": 3, 1.5: 4, False: 5, None: 6, 2**61 - 2: 7}
    numbers = {np.int64(3): 1, np.str_("x").item(): 2}
    assert load_arrays(file(pickle.dumps([content, numbers]))) == [content, numbers]
