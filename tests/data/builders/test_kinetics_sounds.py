"""Kinetics-Sounds, from its own files to decoded samples."""

from pathlib import Path

import numpy as np
import pytest

from masam_jax.data.builders.kinetics_sounds import KineticsSounds, KineticsSoundsOptions
from masam_jax.data.builders.source import Record
from masam_jax.data.damaged_media import DamagedMedia
from masam_jax.data.draws import Draws
from masam_jax.data.modality import check_sample
from masam_jax.data.transforms import audio_clip
from tests.data.builders.kinetics_sounds_source import (
    CLASSES,
    COLOURS,
    RATE,
    clip_name,
    make_source,
    sound,
)
from tests.data.builders.video_files import tone, write_video


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    place = tmp_path_factory.mktemp("source") / "kinetics_sounds"
    make_source(place)
    return place


@pytest.fixture(scope="module")
def builder(source, tmp_path_factory):
    builder = KineticsSounds(data_dir=tmp_path_factory.mktemp("prepared"))
    builder.prepare(source)
    return builder


@pytest.fixture
def own_source(tmp_path):
    """One that a test may break."""
    place = tmp_path / "source"
    make_source(place, train=9, test=3, seconds=1.1)
    return place


def test_there_are_31_classes_in_alphabetical_order():
    names = KineticsSounds.CLASS_NAMES
    assert len(set(names)) == 31
    assert list(names) == sorted(names)
    assert {names[label] for label in CLASSES.values()} == {
        folder.replace("_", " ") for folder in CLASSES
    }


def test_classes_have_the_numbers_of_the_released_lists():
    # Facts of the lists: no finger snapping, the others of the paper that Kinetics-400 has.
    names = KineticsSounds.CLASS_NAMES
    assert "finger snapping" not in names
    found = {name: number for number, name in enumerate(names)}
    assert (found["laughing"], found["stomping grapes"]) == (5, 26)
    assert (found["dribbling basketball"], found["tap dancing"], found["tickling"]) == (4, 27, 30)


def test_numbers_and_folders_agree(builder):
    # The lists name numbers; a clip is looked for in the folder of that class, so that none is lost
    # only where both agree.
    assert not builder.damaged
    label = dict(zip(builder.index.keys, builder.index.labels, strict=True))
    assert label[clip_name(1)] == KineticsSounds.CLASS_NAMES.index("singing") == 25


def test_classes_without_a_clip_are_a_warning(own_source, tmp_path):
    import shutil

    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    (unlisted,) = builder.listing(own_source).warnings
    assert unlisted.startswith("28 of 31 classes are in no list: blowing nose, ")
    shutil.rmtree(own_source / "singing")
    builder.prepare(own_source)
    lost, _ = builder.warnings
    assert "1 of 31 classes have no clip, 4 clips listed: singing;" in lost
    assert str(own_source / "singing") in lost
    assert len(builder.damaged) == 4


def _flatten(source):
    """Moves all clips out of their classes' folders, as Kinetics-400 extracts."""
    (source / "train").mkdir()
    for path in source.glob("*/*.*"):
        path.rename(source / "train" / path.name)


def test_clips_without_folders_of_classes(own_source, tmp_path):
    _flatten(own_source)
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    builder.prepare(own_source)
    assert not builder.damaged
    assert len(builder.index.keys) == 12


def _extract(source, frames_in, sounds_in):
    """Replaces clips by folders of frames, grey values that count, and their sound in WAV files."""
    import soundfile
    from PIL import Image

    for number in range(12):
        kind = list(CLASSES)[number % 3]
        name = clip_name(number)
        (source / kind / f"{name}.mp4").unlink()
        wave = source / sounds_in.format(kind=kind) / f"{name}.wav"
        frames = source / frames_in.format(kind=kind) / name
        wave.parent.mkdir(parents=True, exist_ok=True)
        frames.mkdir(parents=True)
        (source / kind / f"{name}.wav").unlink(missing_ok=True)
        soundfile.write(wave, sound(number, 1.1), RATE, subtype="PCM_16")
        for frame in range(1, 12):
            picture = np.full((12, 16, 3), 20 * frame, np.uint8)
            Image.fromarray(picture).save(frames / f"frame_{frame}.jpg")


@pytest.mark.parametrize(
    "frames_in, sounds_in",
    [
        ("{kind}", "{kind}"),
        ("{kind}", "audio/{kind}"),
        ("train/{kind}", "train/{kind}"),
        ("visual/train_imgs/Image-01-FPS", "audio/train"),
        ("train", "audio"),
    ],
)
def test_frames_that_were_extracted_before(own_source, tmp_path, frames_in, sounds_in):
    _extract(own_source, frames_in, sounds_in)
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    builder.prepare(own_source)
    assert not builder.damaged
    assert len(builder.index.keys) == 12
    assert not any("have no clip" in warning for warning in builder.warnings)
    example = builder.as_data_source(split="test")[0]
    # At most ten, in the order of their numbers.
    assert [round(int(frame.mean()) / 20) for frame in example["frames"]] == list(range(1, 11))
    number = int(example["key"].decode()[3:11])
    expected = audio_clip.resample(sound(number, 1.1), RATE, 22050)
    heard = example["waveform"] / 32768
    np.testing.assert_allclose(heard, expected[: len(heard)], atol=2e-3)


def test_frames_without_their_sound_are_damage(own_source, tmp_path):
    _extract(own_source, "{kind}", "{kind}")
    lost = own_source / "playing_accordion" / f"{clip_name(0)}.wav"
    lost.unlink()
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    builder.prepare(own_source)
    assert list(builder.damaged) == [clip_name(0)]
    assert f"{lost}: there is no such file" in builder.damaged[clip_name(0)]


@pytest.mark.parametrize("folder", ["annotations", "."])
def test_annotations_in_the_place_of_lists(own_source, tmp_path, folder):
    _flatten(own_source)
    for name in ("train", "test"):
        (own_source / f"{name}.txt").unlink()
    corrected = own_source / "replacement" / "replacement_for_corrupted_k400"
    corrected.mkdir(parents=True)
    clip = f"{clip_name(8)}.mp4"
    (own_source / "train" / clip).rename(corrected / clip)
    parts = {"train": range(6), "val": (6, 7, 8), "test": (9, 10, 11)}
    (own_source / folder).mkdir(exist_ok=True)
    for part, numbers in parts.items():
        rows = [
            "label,youtube_id,time_start,time_end,split,is_cc",
            '"air drumming",x,40,50,train,0',
        ]
        rows += [
            f"{list(CLASSES)[n % 3].replace('_', ' ')},vid{n:08d},12,22,{part},0" for n in numbers
        ]
        (own_source / folder / f"{part}.csv").write_text("\n".join(rows) + "\n")
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    builder.prepare(own_source)
    assert not builder.damaged
    label_of = {clip_name(n): list(CLASSES.values())[n % 3] for n in range(12)}
    assert dict(zip(builder.index.keys, builder.index.labels, strict=True)) == label_of
    assert (builder.index.splits == "validation").sum() == 3
    assert "Kinetics-400's own annotations, 6 train" in builder.provenance["rule"]
    bad = own_source / folder / "val.csv"
    bad.write_text(bad.read_text() + "singing,vid00000050,x,22,val,0\n")
    with pytest.raises(ValueError, match=r"val\.csv, line 6: time_start and time_end are 'x'"):
        builder.listing(own_source)
    bad.write_text("label,youtube_id\n")
    with pytest.raises(ValueError, match=r"val\.csv, line 1: there is no column 'time_start'"):
        builder.listing(own_source)
    (own_source / folder / "k400_val.csv").write_text("")
    with pytest.raises(ValueError, match=r"val\.csv and .*val\.csv; one must go"):
        builder.listing(own_source)


def test_counts_and_labels(builder):
    index = builder.index
    assert (index.splits == "train").sum() == 24
    assert (index.splits == "test").sum() == 8
    assert not builder.damaged
    label_of = {clip_name(n): list(CLASSES.values())[n % 3] for n in range(32)}
    # The release's test list spells the same names without padding.
    found = {
        f"{key.split('_')[0]}_000012_000022": n
        for key, n in zip(index.keys, index.labels, strict=True)
    }
    assert found == label_of
    assert "24 train, 8 test clips, which are not the published" in builder.provenance["rule"]
    assert {"train.txt", "test.txt"} < set(builder.provenance)
    assert index.groups.tolist() == [key[:11] for key in index.keys]


def test_every_sample_is_as_said(builder):
    for split in ("train", "test"):
        data = builder.as_data_source(split=split)
        for row in range(len(data)):
            sample = builder.decode(data[row], None)
            for name, modality in builder.modalities.items():
                check_sample(name, modality, sample[name])


@pytest.mark.parametrize("row", [0, 3])
def test_the_waveform_is_that_of_the_track_or_of_the_file_beside(builder, row):
    heard = audio_clip.as_float(builder.as_data_source(split="train")[row]["waveform"])
    middle = heard[8000:40000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    frequency = spectrum.argmax() * 22050 / len(middle)
    assert abs(frequency - (300 + 300 * (row % 3))) < 2
    # A sine of amplitude 0.5; AAC loses a little.
    assert abs(np.sqrt((middle**2).mean()) - 0.5 / np.sqrt(2)) < 0.02


def test_zeros_follow_the_sound(builder):
    example = builder.as_data_source(split="train")[3]
    audio = builder.decode(example, None)["audio"][..., 0]
    frames = 1 + (len(example["waveform"]) - 551) // 220
    assert (audio[:, frames:] == 0).all()
    assert (audio[:, :frames] != 0).any(axis=0).all()


def test_long_sound_is_cut(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(
        path, codec="mpeg4", colours=COLOURS, seconds=1, sound=tone(440, 11, 16000), rate=16000
    )
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    media = {"clip": path, "sound": path}
    example = builder.encode(Record("clip", "train", 0, media))
    assert len(example["waveform"]) == 1023 * 220 + 551
    frames = np.zeros((1, 8, 8, 3), np.uint8)
    audio = builder.decode({**example, "frames": frames}, None)["audio"]
    assert (audio[:, -1] != 0).any()


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_options_of_frames(builder, frames):
    place = Path(builder.data_dir).parents[1]
    other = KineticsSounds(data_dir=place, options=KineticsSoundsOptions(frames=frames))
    video = other.decode(builder.as_data_source(split="train")[0], None)["video"]
    check_sample("video", other.modalities["video"], video)
    expected = {1: [1], 3: [0, 1, 2], 5: [0, 0, 1, 1, 2]}[frames]
    for frame, second in zip(video, expected, strict=True):
        assert np.abs(frame.astype(int) - COLOURS[second]).max() < 12


def test_augmentation_is_a_function_of_its_draws(builder):
    example = dict(builder.as_data_source(split="train")[0])
    gradient = np.arange(48 * 64 * 3, dtype=np.uint32).reshape(48, 64, 3) % 251
    example["frames"] = np.stack([gradient.astype(np.uint8)] * 3)
    video = [builder.decode(example, Draws(0, key))["video"] for key in range(4)]
    again = [builder.decode(example, Draws(0, key))["video"] for key in range(4)]
    np.testing.assert_array_equal(video, again)
    assert not np.array_equal(video[0], video[1])
    # Another part for each frame of the same picture, unless one is asked for.
    assert not np.array_equal(video[0][0], video[0][1])
    place = Path(builder.data_dir).parents[1]
    alike = KineticsSounds(data_dir=place, options=KineticsSoundsOptions(crop="clip"))
    video = alike.decode(example, Draws(0, 0))["video"]
    np.testing.assert_array_equal(video[0], video[1])


def test_prepared_twice_is_the_same(source, builder, tmp_path):
    again = KineticsSounds(data_dir=tmp_path)
    again.prepare(source, threads=3)
    assert again.index_digest() == builder.index_digest()
    for row in (2, 3):
        one, two = (b.as_data_source(split="test")[row] for b in (builder, again))
        np.testing.assert_array_equal(one["waveform"], two["waveform"])
        np.testing.assert_array_equal(one["frames"], two["frames"])


def test_validation_list_and_folders_below_splits(tmp_path):
    place = tmp_path / "source"
    make_source(place, train=6, test=3, validation=3, seconds=0.5)
    (place / "train").mkdir()
    (place / "singing").rename(place / "train" / "singing")
    (place / "train.txt").rename(place / "my_train.txt")
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    builder.prepare(place)
    assert not builder.damaged
    sizes = {"train_size": None, "validation_size": None, "test_size": None}
    parts = builder.split(builder.index, seed=0, split_seed=0, **sizes)
    assert [len(part) for part in parts] == [6, 3, 3]
    assert {builder.index.keys[row] for row in parts.validation} == {
        clip_name(number) for number in (9, 10, 11)
    }


def test_damaged_and_missing_media_are_counted(own_source, tmp_path):
    clips = [own_source / "playing_accordion" / f"{clip_name(n)}.mp4" for n in (0, 3, 6)]
    clips[0].unlink()
    clips[1].with_suffix(".wav").unlink()
    clips[2].write_bytes(clips[2].read_bytes()[:300])
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    builder.prepare(own_source)
    assert set(builder.damaged) == {clip_name(0), clip_name(3), clip_name(6)}
    assert "no such file" in builder.damaged[clip_name(0)]
    assert "no audio track" in builder.damaged[clip_name(3)]
    assert str(clips[2]) in builder.damaged[clip_name(6)]
    assert len(builder.index.keys) == 9
    with pytest.raises(ValueError, match=clip_name(0)):
        KineticsSounds(data_dir=tmp_path / "strict").prepare(own_source, strict=True)


def test_sound_of_less_than_a_frame_is_damage(tmp_path):
    import soundfile

    clip, wave = tmp_path / "clip.mp4", tmp_path / "clip.wav"
    write_video(clip, codec="mpeg4", colours=COLOURS, seconds=1)
    soundfile.write(wave, tone(440, 0.01, 16000), 16000)
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    with pytest.raises(DamagedMedia, match=r"clip\.wav: its sound is shorter than 25 ms"):
        builder.encode(Record("clip", "train", 0, {"clip": clip, "sound": wave}))


@pytest.mark.parametrize(
    "line", ["vid_1_2,10,31", "juggling/vid_1_2.mp4", "vid_1_2", "singing/", "a,b"]
)
def test_bad_lines_are_named(own_source, tmp_path, line):
    with (own_source / "test.txt").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ValueError, match=r"test\.txt, line 4: "):
        KineticsSounds(data_dir=tmp_path / "prepared").prepare(own_source)


def test_wrong_layouts(own_source, tmp_path):
    builder = KineticsSounds(data_dir=tmp_path / "prepared")
    # Another clip of a video that is in train.
    with (own_source / "test.txt").open("a") as file:
        file.write("vid00000000_50,10,7\n")
    with pytest.raises(ValueError, match="'vid00000000' are listed for train and for test"):
        builder.listing(own_source)
    (own_source / "my_train.txt").write_text("")
    with pytest.raises(ValueError, match=r"both train\.txt and my_train\.txt"):
        builder.listing(own_source)
    (own_source / "my_train.txt").unlink()
    (own_source / "train.txt").unlink()
    with pytest.raises(ValueError, match=r"train\.txt does not exist"):
        builder.listing(own_source)
    for folder in CLASSES:
        (own_source / folder).rename(own_source / f"class {folder}")
    with pytest.raises(ValueError, match="no folder of a class"):
        builder.listing(own_source)


@pytest.mark.parametrize("frames", [0, 11])
def test_options_are_checked(frames):
    with pytest.raises(ValueError, match=rf"frames={frames} is out of range: .* in \[1, 10\]"):
        KineticsSoundsOptions(frames=frames)
    with pytest.raises(ValueError, match="image_size=0 is out of range: expected an integer >= 1"):
        KineticsSoundsOptions(image_size=0)
    assert KineticsSoundsOptions().frames == 2
