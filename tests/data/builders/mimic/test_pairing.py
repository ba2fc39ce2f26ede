import datetime
import gzip

import pytest

from masam_jax.data.builders.mimic.pairing import Xray, last_xray, read_xrays
from masam_jax.data.builders.mimic.stays import Stay

BEGIN = datetime.datetime(2130, 1, 31, 23, 30, 15)
HEADER = "dicom_id,subject_id,study_id,ViewPosition,StudyDate,StudyTime\n"


def _stay(tmp_path, hours=100):
    end = BEGIN + datetime.timedelta(hours=hours)
    return Stay("10_episode1", tmp_path, "10", 48.0, (1,), "train", BEGIN, end)


def _xray(hours, dicom="a", seconds=0):
    taken = BEGIN + datetime.timedelta(hours=hours, seconds=seconds)
    return Xray(taken, dicom, "50", "10")


def last_reference(times, hours, length):
    """Of hours after admission, the last that counts."""
    found = [t for t in times if 0 <= t <= (length if hours is None else hours)]
    return max(found) if found else None


@pytest.mark.parametrize("hours", [1, 24, 48, 60, None])
@pytest.mark.parametrize("times", [(-2, 5, 30, 47, 49, 99, 101), (-1,), (48,), (0,), (60, 24)])
def test_the_last_one_from_admission_on(tmp_path, times, hours):
    found = last_xray(_stay(tmp_path), [_xray(time) for time in times], hours)
    expected = last_reference(times, hours, 100)
    assert found == (None if expected is None else _xray(expected))


def test_a_second_matters(tmp_path):
    stay = _stay(tmp_path)
    assert last_xray(stay, [_xray(48, seconds=1)], 48) is None
    assert last_xray(stay, [_xray(0, seconds=-1)], 48) is None
    assert last_xray(stay, [_xray(100, seconds=1)], None) is None
    # A window may be longer than the stay: what matters is what it says.
    assert last_xray(_stay(tmp_path, 20), [_xray(30)], 48) == _xray(30)


def test_of_two_in_one_second_the_larger_name(tmp_path):
    xrays = [_xray(3, "b"), _xray(3, "c"), _xray(3, "a"), _xray(2, "z")]
    assert last_xray(_stay(tmp_path), xrays, 48) == _xray(3, "c")


def test_no_images(tmp_path):
    assert last_xray(_stay(tmp_path), [], None) is None


ROWS = (
    "d1,10,50,AP,21300131,213014.531\n"
    "d2,10,51,PA,21300130,14.531\n"
    "d3,11,52,AP,21300131,0\n"
    "d4,10,53,AP,21300129,235959\n"
    "d5,10,53,LATERAL,21300129,235959\n"
    "d6,12,54,AP,when,ever\n"
    "d7,10,55,,21300129,235959\n"
)
TIMES = {
    "d1": datetime.datetime(2130, 1, 31, 21, 30, 14),
    "d2": datetime.datetime(2130, 1, 30, 0, 0, 14),
    "d3": datetime.datetime(2130, 1, 31),
    "d4": datetime.datetime(2130, 1, 29, 23, 59, 59),
}


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.csv.gz"])
@pytest.mark.parametrize(
    "view,expected",
    [
        ("AP", {"10": ["d4", "d1"], "11": ["d3"]}),
        ("PA", {"10": ["d2"]}),
        ("frontal", {"10": ["d4", "d2", "d1"], "11": ["d3"]}),
    ],
)
def test_images_of_the_patients_in_order_of_time(tmp_path, name, view, expected):
    path = tmp_path / name
    content = ("\ufeff" + HEADER + ROWS).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    # Patient 12, whose times make no sense, is not asked for.
    found = read_xrays(path, view, {"10", "11", "99"})
    assert {s: [x.dicom for x in xrays] for s, xrays in found.items()} == expected
    for subject, xrays in found.items():
        for xray in xrays:
            assert xray.taken == TIMES[xray.dicom]
            assert xray.subject == subject


def test_where_an_image_is(tmp_path):
    xray = Xray(BEGIN, "02aa804e-bde0afdd", "50414267", "10000032")
    expected = tmp_path / "files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg"
    assert xray.path(tmp_path) == expected


@pytest.mark.parametrize(
    "text,why",
    [
        (HEADER.replace("StudyTime", "Time"), "line 1: there is no column 'StudyTime'"),
        ("", "line 1: there is no column 'dicom_id'"),
        (f"{HEADER}d1,10,50,AP,2130,1\n", "line 2: StudyDate and StudyTime are '2130' and '1'"),
        (f"{HEADER}d1,10,50,AP,21300131,\n", "line 2: StudyDate and StudyTime are '21300131' and"),
        (f"{HEADER}d1,10,50,AP,21300131\n", "line 2: StudyDate and StudyTime are '21300131' and"),
        (f"{HEADER}d1,10,50,AP,21300131,inf\n", "line 2: StudyDate and StudyTime"),
        (f"{HEADER}d1,10,50,AP,21300131,250000\n", "line 2: StudyDate and StudyTime"),
    ],
)
def test_tables_that_are_wrong_are_named(tmp_path, text, why):
    path = tmp_path / "metadata.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"metadata\.csv, {why}"):
        read_xrays(path, "AP", {"10"})


def test_damaged_tables_are_named(tmp_path):
    path = tmp_path / "metadata.csv.gz"
    whole = gzip.compress((HEADER + ROWS * 50).encode())
    for content in (b"no gzip", whole[:-40], whole[:30] + b"\x00" * 40 + whole[70:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"metadata\.csv\.gz: "):
            read_xrays(path, "AP", {"10"})
    path = tmp_path / "metadata.csv"
    path.write_bytes(b"\xff\xfe" + HEADER.encode())
    with pytest.raises(ValueError, match=r"metadata\.csv: .*decode"):
        read_xrays(path, "AP", {"10"})
