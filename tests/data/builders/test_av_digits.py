import dataclasses
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from masam_jax.data.builders.av_digits import SPEAKERS, WORDS, AvDigits, AvDigitsOptions
from masam_jax.data.builders.espeak import Speaker
from masam_jax.data.modality import check_sample
from tests.data.builders.av_digits_source import make_source, small_options
from tests.data.transforms.test_log_mel import reference_log_mel

SPLITS = ("train", "validation", "test")


def _prepare(place, options, threads=2):
    make_source(place / "source")
    builder = AvDigits(data_dir=place / "prepared", options=options)
    builder.prepare(place / "source", threads=threads)
    return builder


def _stored(builder):
    """Stored samples by name."""
    return {
        example["key"].decode(): example
        for split in SPLITS
        for example in builder.as_data_source(split=split)
    }


def _with(builder, **options):
    """The same prepared data, read in another way."""
    changed = dataclasses.replace(builder.options, **options)
    return AvDigits(data_dir=builder._data_dir_root, options=changed)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return _prepare(tmp_path_factory.mktemp("digits"), small_options())


def test_splits_hold_all_digits_and_no_speaker_twice(digits):
    index = digits.index
    split = digits.split(
        index, seed=0, split_seed=0, train_size=None, validation_size=None, test_size=None
    )
    assert [len(part) for part in split] == [28, 4, 8]
    assert set(index.labels[split.train]) == set(range(10))
    for name, rows in split._asdict().items():
        assert set(index.groups[rows]) <= set(SPEAKERS[name])
    variants = [variant for found in SPEAKERS.values() for variant in found]
    assert len(variants) == len(set(variants)) == 13
    assert len(set(index.keys)) == 40
    assert digits.damaged == {}
    assert digits.provenance["speech"] == f"espeak-ng {Speaker().version}"


def test_images_are_scikit_learns_and_have_the_word_of_their_class(digits):
    images, targets = load_digits(return_X_y=True)
    labels = dict(zip(digits.index.keys, digits.index.labels, strict=True))
    for key, example in _stored(digits).items():
        number = int(key.removeprefix("digit"))
        assert labels[key] == targets[number] == example["label"]
        sample = digits.decode(example, None)
        np.testing.assert_array_equal(sample["image"].ravel(), images[number])
        for name, modality in digits.modalities.items():
            check_sample(name, modality, sample[name])


def test_the_word_is_what_the_listed_voice_says(digits):
    records = {record.key: record for record in digits.listing().records}
    for key, example in list(_stored(digits).items())[:6]:
        facts = records[key].source
        assert facts["word"] == WORDS[example["label"]]
        assert facts["voice"].endswith(f"+{records[key].group}")
        said, _ = Speaker().say(
            facts["word"], facts["voice"], speed=facts["speed"], pitch=facts["pitch"]
        )
        begin = np.flatnonzero(np.abs(said.astype(int)) >= 100)[0]
        found = example["speech"]
        np.testing.assert_array_equal(found, said[begin : begin + len(found)])
        assert (np.abs(said[begin + len(found) :].astype(int)) < 100).all()


@pytest.mark.parametrize("snr_db", [None, -5.0])
def test_audio_is_the_spectrogram_of_the_word_in_noise(digits, snr_db):
    builder = _with(digits, snr_db=snr_db)
    for example in list(_stored(digits).values())[:4]:
        word = example["speech"] / 32768
        recording = np.zeros(17662)
        recording[example["begin"] : example["begin"] + len(word)] = word
        if snr_db is not None:
            recording += 10 ** (-snr_db / 20) * np.sqrt(np.mean(word**2)) * _noise(example)
        expected = reference_log_mel(
            recording, 22050, frame=512, hop=350, bands=40, low=60.0, high=8000.0, floor=1e-4
        )
        found = builder.decode(example, None)["audio"]
        assert found.shape == (40, 50, 1)
        np.testing.assert_allclose(found[..., 0], expected, rtol=0, atol=1e-4)


def _noise(example, seed=0):
    """A pair of normal numbers from a pair of uniform ones, one by one."""
    sequence = np.random.SeedSequence(seed, spawn_key=(1, int(example["number"])))
    words = [(int(word) >> 11) + 1 for word in np.random.PCG64(sequence).random_raw(17662)]
    numbers = np.empty(17662)
    for i in range(8831):
        radius = np.sqrt(-2 * np.log(words[i] / 2**53))
        angle = 2 * np.pi * words[8831 + i] / 2**53
        numbers[i], numbers[8831 + i] = radius * np.cos(angle), radius * np.sin(angle)
    # Of a normal distribution, to within five standard errors.
    assert abs(numbers.mean()) < 5 / np.sqrt(17662)
    assert abs(numbers.var() - 1) < 5 * np.sqrt(2 / 17662)
    return numbers


def test_prepared_twice_is_the_same_with_any_number_of_threads(digits, tmp_path):
    again = _prepare(tmp_path, small_options(), threads=5)
    assert again.index_digest() == digits.index_digest()
    assert again.provenance == digits.provenance
    other = _stored(again)
    for key, example in _stored(digits).items():
        np.testing.assert_array_equal(example["speech"], other[key]["speech"])
        assert example["begin"] == other[key]["begin"]
        np.testing.assert_array_equal(
            digits.decode(example, None)["audio"], again.decode(other[key], None)["audio"]
        )


def test_another_seed_pairs_and_splits_otherwise(digits):
    records = digits.listing().records
    others = _with(digits, seed=1).listing().records
    assert [record.key for record in records] != [record.key for record in others]
    assert [record.source["voice"] for record in records] != [
        record.source["voice"] for record in others
    ]


@pytest.mark.parametrize(("name", "value"), [("seed", 1), ("samples", None)])
def test_data_prepared_with_other_options_are_not_taken_for_these(digits, name, value):
    with pytest.raises(ValueError, match=f"was prepared with {name}=.*another directory"):
        _ = _with(digits, **{name: value}).index


def test_all_images_are_listed_without_a_size():
    records = AvDigits(data_dir="unused").listing().records
    counts = {name: sum(record.split == name for record in records) for name in SPLITS}
    assert counts == {"train": 1258, "validation": 180, "test": 359}


@pytest.mark.parametrize(
    "options",
    [{"snr_db": 101.0}, {"snr_db": float("nan")}, {"seed": -1}, {"samples": 19}, {"samples": 1798}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))}(=| must be )"):
        AvDigitsOptions(**options)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match=r"scikit-learn: pip install '\.\[data\]'"):
        AvDigits(data_dir="unused").listing()
