"""CREMA-D, from its own files to decoded samples."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masam_jax.data.builders.crema_d import CremaD, CremaDOptions
from masam_jax.data.builders.index import Index
from masam_jax.data.draws import Draws
from masam_jax.data.modality import check_sample
from masam_jax.data.transforms import audio_clip
from tests.data.builders.crema_d_source import COLOURS, make_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    place = tmp_path_factory.mktemp("source") / "crema_d"
    make_source(place)
    return place


@pytest.fixture(scope="module")
def builder(source, tmp_path_factory):
    builder = CremaD(data_dir=tmp_path_factory.mktemp("prepared"))
    builder.prepare(source)
    return builder


@pytest.fixture
def own_source(tmp_path):
    """One that a test may break."""
    place = tmp_path / "source"
    make_source(place, train=12, test=2, seconds=1.1)
    return place


def split_of(builder):
    sizes = {"train_size": None, "validation_size": None, "test_size": None}
    return builder.split(builder.index, seed=0, split_seed=0, **sizes)


def with_options(builder, **options):
    return CremaD(data_dir=Path(builder.data_dir).parents[1], options=CremaDOptions(**options))


def test_counts_and_labels(builder):
    index = builder.index
    assert (index.splits == "train").sum() == 24
    assert (index.splits == "test").sum() == 8
    assert not builder.damaged
    named = [CremaD.CODES.index(key.split("_")[2]) for key in index.keys]
    np.testing.assert_array_equal(index.labels, named)
    assert CremaD.CLASS_NAMES[CremaD.CODES.index("FEA")] == "fear"
    assert (
        "24 train and 8 test clips, which are not the published counts"
        in (builder.provenance["rule"])
    )
    assert {"train.csv", "test.csv"} < set(builder.provenance)


def test_every_sample_is_as_said(builder):
    for split in ("train", "test"):
        data = builder.as_data_source(split=split)
        for row in range(len(data)):
            sample = builder.decode(data[row], None)
            for name, modality in builder.modalities.items():
                check_sample(name, modality, sample[name])


def test_the_waveform_is_that_of_the_file(builder):
    example = builder.as_data_source(split="train")[4]
    heard = audio_clip.as_float(example["waveform"])
    times = np.arange(len(heard)) / 22050
    assert len(heard) == round(2.3 * 22050)
    # Away from the ends, where the filter sees zeros.
    inner = slice(1000, -1000)
    expected = 0.5 * np.sin(2 * np.pi * 1100.0 * times)
    np.testing.assert_allclose(heard[inner], expected[inner], atol=2e-3)


def test_the_tone_is_in_its_row(builder):
    data = builder.as_data_source(split="train")
    stft = with_options(builder, audio="stft")
    for row in range(6):
        audio = stft.decode(data[row], None)["audio"][..., 0]
        frequency = audio.mean(axis=1).argmax() * 22050 / 512
        assert abs(frequency - (300 + 200 * row)) < 22050 / 512
        assert audio.min() >= np.float32(np.log(1e-7))


def test_frames_are_those_at_whole_seconds(builder):
    example = builder.as_data_source(split="train")[0]
    assert len(example["frames"]) == 3
    for frame, colour in zip(example["frames"], COLOURS, strict=True):
        assert frame.shape == (48, 64, 3)
        assert np.abs(frame.astype(int) - colour).max() < 12


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_options_of_frames(builder, frames):
    other = with_options(builder, frames=frames)
    example = builder.as_data_source(split="train")[0]
    video = other.decode(example, None)["video"]
    check_sample("video", other.modalities["video"], video)
    expected = {1: [1], 2: [0, 1], 3: [0, 1, 2]}[frames]
    for frame, second in zip(video, expected, strict=True):
        assert np.abs(frame.astype(int) - COLOURS[second]).max() < 12


def test_fbank(builder):
    other = with_options(builder, audio="fbank")
    data = builder.as_data_source(split="train")
    peaks = []
    for row in range(6):
        audio = other.decode(data[row], None)["audio"]
        check_sample("audio", other.modalities["audio"], audio)
        peaks.append(int(audio[..., 0].mean(axis=1).argmax()))
        frames = 1 + (len(data[row]["waveform"]) - 551) // 220
        assert (audio[:, frames:] == 0).all()
        assert (audio[:, :frames] != 0).any(axis=0).all()
    assert peaks == sorted(set(peaks))
    assert other.modalities["audio"].shape == (128, 1024, 1)
    assert other.modalities["audio"].normalization.rule == "scalar"
    stft = with_options(builder, audio="stft")
    assert stft.modalities["audio"].normalization.rule == "none"


def test_augmentation_is_a_function_of_its_draws(builder):
    example = builder.as_data_source(split="train")[0]
    other = with_options(builder, frames=2, pick="segments", crop="clip")
    video = [other.decode(example, Draws(0, key))["video"] for key in range(20)]
    again = [other.decode(example, Draws(0, key))["video"] for key in range(20)]
    np.testing.assert_array_equal(video, again)
    # Of three frames, the second segment has the last two.
    assert len({tuple(clip[0, 112, 112].tolist()) for clip in video}) == 1
    assert len({tuple(clip[1, 112, 112].tolist()) for clip in video}) == 2
    plain = other.decode(example, None)
    np.testing.assert_array_equal(plain["audio"], other.decode(example, Draws(0, 1))["audio"])


def test_validation_is_held_out_of_the_published_split(builder):
    parts = split_of(builder)
    assert [len(part) for part in parts] == [22, 2, 8]
    assert (builder.index.splits[parts.test] == "test").all()
    assert (builder.index.splits[parts.validation] == "train").all()
    assert (builder.index.groups == "").all()


def test_split_by_actor(source, builder, tmp_path):
    by_actor = CremaD(data_dir=tmp_path, options=CremaDOptions(split="actor"))
    by_actor.prepare(source)
    index = by_actor.index
    parts = split_of(by_actor)
    actors = [set(index.groups[part].tolist()) for part in parts]
    assert actors == [{"1001", "1002"}, {"1015"}, {"1010"}]
    assert "ends in 0" in by_actor.provenance["rule"]
    # The copy that was prepared with the lists can be split by actor too.
    same = with_options(builder, split="actor")
    keys = [np.array(same.index.keys)[part].tolist() for part in split_of(same)]
    for mine, part in zip(keys, parts, strict=True):
        assert sorted(mine) == np.array(index.keys)[part].tolist()


def test_published_split_needs_its_lists(tmp_path):
    place = tmp_path / "source"
    make_source(place, train=24, test=0, seconds=0.5, lists=False)
    with pytest.raises(ValueError, match=r"train\.csv does not exist.*OGM-GE.*split='actor'"):
        CremaD(data_dir=tmp_path / "a").prepare(place)
    by_actor = CremaD(data_dir=tmp_path / "b", options=CremaDOptions(split="actor"))
    by_actor.prepare(place)
    published = CremaD(data_dir=tmp_path / "b")
    with pytest.raises(ValueError, match="prepared with split='actor'"):
        split_of(published)


def test_prepared_twice_is_the_same(source, builder, tmp_path):
    again = CremaD(data_dir=tmp_path)
    again.prepare(source, threads=3)
    assert again.index_digest() == builder.index_digest()
    one, two = (b.as_data_source(split="test")[3] for b in (builder, again))
    np.testing.assert_array_equal(one["waveform"], two["waveform"])
    np.testing.assert_array_equal(one["frames"], two["frames"])


def test_damaged_and_missing_media_are_counted(own_source, tmp_path):
    names = sorted(path.stem for path in (own_source / "AudioWAV").iterdir())
    (own_source / "AudioWAV" / f"{names[0]}.wav").write_bytes(b"RIFF of nothing")
    (own_source / "VideoFlash" / f"{names[1]}.flv").unlink()
    (own_source / "VideoFlash" / f"{names[2]}.flv").write_bytes(b"")
    builder = CremaD(data_dir=tmp_path / "prepared")
    builder.prepare(own_source)
    assert set(builder.damaged) == set(names[:3])
    assert f"{names[0]}.wav" in builder.damaged[names[0]]
    assert "no such file" in builder.damaged[names[1]]
    assert len(builder.index.keys) == 11
    with pytest.raises(ValueError, match=r"crema_d: 1001_IEO_\w+_XX: .*\.flv: "):
        CremaD(data_dir=tmp_path / "strict").prepare(own_source, strict=True)


WORDS = ("Neutral", "Happy", "Sad", "Fear", "Disgust", "Anger")


def _as_mla(source):
    """The lists in the place of others, and the media as MLA's preparation leaves them."""
    for split in ("train", "test"):
        old = source / f"{split}.csv"
        names = [line.split(",")[0] for line in old.read_text("utf-8-sig").split()]
        old.unlink()
        lines = [f"{n}.flv {WORDS[CremaD.CODES.index(n.split('_')[2])]}\n" for n in names]
        (source / f"my_{split}_cre.txt").write_text("".join(lines))
        for name in names:
            frames = source / "visual" / f"{split}_imgs" / "Image-01-FPS" / f"{name}.flv"
            frames.mkdir(parents=True)
            for number, colour in enumerate(COLOURS):
                picture = Image.fromarray(np.full((48, 64, 3), colour, np.uint8))
                picture.save(frames / f"{30 * number:05d}.jpg", quality=95)
            sound = source / "audio" / split / f"{name}.wav"
            sound.parent.mkdir(parents=True, exist_ok=True)
            (source / "AudioWAV" / f"{name}.wav").rename(sound)
    for path in (source / "VideoFlash").iterdir():
        path.unlink()
    (source / "VideoFlash").rmdir()
    (source / "AudioWAV").rmdir()


def test_the_other_draw_and_frames_that_were_extracted(source, builder, own_source, tmp_path):
    _as_mla(own_source)
    other = CremaD(data_dir=tmp_path / "prepared")
    other.prepare(own_source)
    assert other.damaged == {}
    index = other.index
    assert [int((index.splits == s).sum()) for s in ("train", "test")] == [12, 2]
    named = [CremaD.CODES.index(key.split("_")[2]) for key in index.keys]
    np.testing.assert_array_equal(index.labels, named)
    rule = other.provenance["rule"]
    assert "my_train_cre.txt and my_test_cre.txt (MLA's draw), 12 train" in rule
    assert "train.csv and test.csv (OGM-GE's draw)" in builder.provenance["rule"]
    frames = other.as_data_source(split="train")[0]["frames"]
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.astype(int) - colour).max() < 12
    by_actor = CremaD(data_dir=tmp_path / "b", options=CremaDOptions(split="actor"))
    assert len(by_actor.listing(own_source).records) == 14
    # Lists of two draws must not be mixed.
    (own_source / "train.csv").write_text("")
    with pytest.raises(ValueError, match=r"both train\.csv and my_train_cre\.txt"):
        other.listing(own_source)
    (own_source / "my_train_cre.txt").unlink()
    (own_source / "train.csv").write_text("1001_DFA_ANG_XX,ANG\n")
    with pytest.raises(ValueError, match="lists of two kinds, of different draws"):
        other.listing(own_source)


def test_git_lfs_pointers_are_named_as_such(own_source, tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90000\n"
    names = sorted(path.stem for path in (own_source / "AudioWAV").iterdir())
    (own_source / "AudioWAV" / f"{names[0]}.wav").write_text(pointer)
    (own_source / "VideoFlash" / f"{names[1]}.flv").write_text(pointer)
    builder = CremaD(data_dir=tmp_path / "prepared")
    builder.prepare(own_source)
    assert set(builder.damaged) == set(names[:2])
    for reason in builder.damaged.values():
        assert "is a Git LFS pointer, not the file itself; git lfs pull" in reason
    for path in (own_source / "AudioWAV").iterdir():
        path.write_text(pointer)
    with pytest.raises(ValueError, match=r"no sample .* could be read; .*Git LFS pointer"):
        CremaD(data_dir=tmp_path / "none").prepare(own_source)


def test_known_damaged_clips_and_the_two_draws_are_told():
    text = " ".join(str(CremaD.__doc__).split())
    for name in ("1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD"):
        assert name in text
    assert "share 71 of 744 clips" in text
    assert "not comparable" in text


def test_wrong_layouts(own_source, tmp_path):
    builder = CremaD(data_dir=tmp_path / "prepared")
    with (own_source / "test.csv").open("ab") as file:
        file.write(b"1001_DFA_JOY_XX,JOY\r\n")
    with pytest.raises(ValueError, match=r"test\.csv, line 3: '1001_DFA_JOY_XX,JOY'"):
        builder.prepare(own_source)
    stray = own_source / "AudioWAV" / "readme.wav"
    stray.write_bytes(b"")
    by_actor = CremaD(data_dir=tmp_path / "b", options=CremaDOptions(split="actor"))
    with pytest.raises(ValueError, match=r"readme\.wav: a name such as"):
        by_actor.listing(own_source)
    (own_source / "VideoFlash").rename(own_source / "Video")
    with pytest.raises(ValueError, match="VideoFlash does not exist"):
        builder.prepare(own_source)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"split": "random"}, "split must be one of .*, got 'random'"),
        ({"audio": "mfcc"}, "audio must be one of .*, got 'mfcc'"),
        ({"frames": 4}, r"frames=4 is out of range: expected an integer in \[1, 3\]"),
        ({"image_size": 0}, "image_size=0 is out of range: expected an integer >= 1"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        CremaDOptions(**options)


def test_the_default_is_the_published_setting():
    assert dataclasses.asdict(CremaDOptions()) == {
        "split": "published",
        "audio": "fbank",
        "frames": 2,
        "pick": "any",
        "crop": "frame",
        "image_size": 224,
    }


def test_published_counts_are_recognised(tmp_path):
    for folder in ("AudioWAV", "VideoFlash"):
        (tmp_path / folder).mkdir()
    for split, count in (("train", 6698), ("test", 744)):
        lines = "".join(f"1001_{split}{i}_ANG_XX,ANG\n" for i in range(count))
        (tmp_path / f"{split}.csv").write_text(lines)
    listing = CremaD(data_dir=tmp_path / "prepared").listing(tmp_path)
    assert "which are the published counts" in listing.provenance["rule"]
    assert isinstance(listing.records[0].label, int)


def test_index_of_an_actor_outside_the_rule_is_training(tmp_path):
    builder = CremaD(data_dir=tmp_path, options=CremaDOptions(split="actor"))
    keys = ("1001_A_ANG_XX", "1010_A_ANG_XX", "1005_A_ANG_XX", "1091_A_SAD_XX")
    index = Index(
        keys, np.array(["train"] * 3 + ["test"]), np.array([5, 5, 5, 2]), np.array([""] * 4)
    )
    sizes = {"train_size": None, "validation_size": None, "test_size": None}
    parts = builder.split(index, seed=0, split_seed=0, **sizes)
    assert [part.tolist() for part in parts] == [[0, 3], [2], [1]]
