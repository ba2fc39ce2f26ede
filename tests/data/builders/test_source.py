"""Lists of files name files of their source."""

from pathlib import Path

import pytest

from masam_jax.data.builders.crema_d import CremaD
from masam_jax.data.builders.source import Listing, Record, check_places
from tests.hostile_files import OUTSIDE


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out_are_refused(tmp_path, name):
    inside = Record("good", "train", 0, {"image": tmp_path / "a" / ".." / "b.png", "n": 3})
    check_places(tmp_path, Listing((inside,), {}))
    for source in ({"image": tmp_path / name}, {"xrays": (tmp_path / "x", tmp_path / name)}):
        listing = Listing((inside, Record("bad", "train", 0, source)), {})
        with pytest.raises(ValueError, match="for the sample 'bad', which lies elsewhere"):
            check_places(tmp_path, listing)


def test_a_relative_source_and_links_within_it_are_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to("/")
    record = Record("x", "train", 0, {"image": Path("data/images/x.png")})
    check_places(Path("data"), Listing((record,), {}))


def test_a_published_list_that_leads_out_is_refused(tmp_path):
    source = tmp_path / "source"
    for folder in ("AudioWAV", "VideoFlash"):
        (source / folder).mkdir(parents=True)
    for name in ("train", "test"):
        (source / f"{name}.csv").write_text(f"../../../{name},ANG\n")
    builder = CremaD(data_dir=tmp_path / "data")
    with pytest.raises(ValueError, match=r"\.\./\.\./\.\./train\.wav.*lies elsewhere"):
        builder.prepare(source)
