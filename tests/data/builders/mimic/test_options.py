import pytest

from masam_jax.data.builders.mimic.options import MimicOptions
from masam_jax.data.dataset_spec import parse_dataset, write_dataset


@pytest.mark.parametrize(
    "options,message",
    [
        ({"pairs": "all"}, "pairs must be one of .*, got 'all'"),
        ({"split": "random"}, "split must be one of .*, got 'random'"),
        ({"view": "LATERAL"}, "view must be one of .*, got 'LATERAL'"),
        ({"fold": 5}, r"fold=5 is out of range: expected an integer in \[0, 4\]"),
        ({"fold": -1}, r"fold=-1 is out of range"),
        ({"xray_hours": 0}, "xray_hours=0 is out of range: expected an integer >= 1"),
        ({"limit": 0.0}, r"limit=0\.0 is out of range: expected a finite number > 0"),
        ({"limit": float("nan")}, "limit=nan is out of range: expected a finite number > 0"),
        ({"image_size": 0}, "image_size=0 is out of range: expected an integer >= 1"),
        ({"channels": 2}, r"channels must be one of \[1, 3\], got 2"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        MimicOptions(**options)


def test_options_are_read_and_written():
    spec = "mimic_phenotype:pairs=partial,fold=3,view=frontal,xray_hours=none,limit=none,channels=1"
    name, options = parse_dataset(spec)
    assert name == "mimic_phenotype"
    assert options == MimicOptions(
        pairs="partial", fold=3, view="frontal", xray_hours=None, limit=None, channels=1
    )
    assert write_dataset(parse_dataset(spec)) == spec
