"""Encoding in threads, in order, with a memory."""

import threading
import time

import numpy as np
import pytest

from masam_jax.data.builders.parallel import EncodedCache, encode_in_order
from masam_jax.data.builders.source import Record
from masam_jax.data.damaged_media import DamagedMedia


def _records(count, source=None):
    return [Record(f"r{number}", "train", 0, source or {}) for number in range(count)]


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_examples_come_in_the_order_of_the_records(threads):
    def encode(record):
        number = int(record.key[1:])
        time.sleep(0.002 * (number % 3 == 0))
        return {"number": number}

    found = list(encode_in_order(_records(30), encode, threads))
    assert [record.key for record, _ in found] == [f"r{number}" for number in range(30)]
    assert [example["number"] for _, example in found] == list(range(30))


def test_damage_is_told_and_the_rest_goes_on():
    def encode(record):
        if record.key == "r2":
            raise DamagedMedia("r2.wav: broken")
        return {}

    found = [example for _, example in encode_in_order(_records(5), encode, 2)]
    assert isinstance(found[2], DamagedMedia)
    assert str(found[2]) == "r2.wav: broken"
    assert [found[number] for number in (0, 1, 3, 4)] == [{}] * 4


def test_another_error_ends_it():
    def encode(record):
        raise KeyError(record.key)

    with pytest.raises(KeyError, match="r0"):
        list(encode_in_order(_records(5), encode, 2))


def test_only_a_few_are_under_way_and_none_begins_after_the_reader_stopped():
    begun = []
    lock = threading.Lock()

    def encode(record):
        with lock:
            begun.append(record.key)
        return {}

    reader = encode_in_order(iter(_records(1000)), encode, 2)
    next(reader)
    time.sleep(0.05)
    assert len(begun) <= 8
    reader.close()
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count


def _example():
    return {
        "bytes": b"\x00\x01\xff",
        "none": b"",
        "list": [b"a", b"", b"bcd"],
        "no list": [],
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "empty": np.zeros((0, 3), np.float32),
        "number": 7,
        "real": 0.5,
        "text": "Grüße",
    }


def _check(found):
    expected = _example()
    assert set(found) == set(expected)
    for name in ("bytes", "none", "list", "no list", "number", "real", "text"):
        assert found[name] == expected[name]
        assert type(found[name]) is type(expected[name])
    for name in ("array", "empty"):
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(found[name], expected[name])


def test_examples_are_remembered_as_they_are(tmp_path):
    calls = []

    def encode(record):
        calls.append(record.key)
        return _example()

    (record,) = _records(1)
    _check(EncodedCache(tmp_path / "cache", encode)(record))
    _check(EncodedCache(tmp_path / "cache", encode)(record))
    assert calls == ["r0"]
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_memory_is_made_again(tmp_path, content):
    calls = []

    def encode(record):
        calls.append(record.key)
        return _example()

    (record,) = _records(1)
    EncodedCache(tmp_path, encode)(record)
    (file,) = tmp_path.iterdir()
    # Half of a file is what a full disk leaves.
    file.write_bytes(file.read_bytes()[:200] if content is None else content)
    _check(EncodedCache(tmp_path, encode)(record))
    _check(EncodedCache(tmp_path, encode)(record))
    assert calls == ["r0", "r0"]


def test_what_is_remembered_belongs_to_the_record_and_its_files(tmp_path):
    media = tmp_path / "media"
    media.write_text("one")
    calls = []

    def encode(record):
        calls.append(record.key)
        return {"size": len(record.source["file"].read_text())}

    cache = EncodedCache(tmp_path / "cache", encode)
    assert cache(Record("a", "train", 0, {"file": media}))["size"] == 3
    assert cache(Record("a", "test", 1, {"file": media}))["size"] == 3
    assert calls == ["a"]
    media.write_text("longer")
    assert cache(Record("a", "train", 0, {"file": media}))["size"] == 6
    cache(Record("b", "train", 0, {"file": media}))
    cache(Record("a", "train", 0, {"file": media, "rate": 3}))
    assert calls == ["a", "a", "b", "a"]


def test_what_is_remembered_belongs_to_the_files_in_a_folder(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "1.png").write_text("one")

    def encode(record):
        return {"size": sum(len(x.read_text()) for x in record.source["frames"].iterdir())}

    cache = EncodedCache(tmp_path / "cache", encode)
    record = Record("a", "train", 0, {"frames": frames})
    assert cache(record)["size"] == 3
    (frames / "2.png").write_text("more")
    assert cache(record)["size"] == 7
    (frames / "1.png").write_text("other")
    assert cache(record)["size"] == 9


def test_damage_is_not_remembered(tmp_path):
    def encode(record):
        raise DamagedMedia(record.key)

    with pytest.raises(DamagedMedia):
        EncodedCache(tmp_path, encode)(_records(1)[0])
    assert not list(tmp_path.iterdir())
