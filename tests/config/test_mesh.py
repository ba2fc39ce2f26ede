"""What is refused in a mesh, and in a rule for parameters."""

import pytest

from masam_jax.config.mesh import parse_mesh, parse_rule


@pytest.mark.parametrize(
    "text, words",
    [
        ("data=4,modle=2", "unknown axis 'modle'; did you mean 'model'"),
        ("data", "'data' is not of the form AXIS=DEVICES"),
        ("data=0", "'data=0' is not of the form AXIS=DEVICES"),
        ("data=2,data=4", "axis 'data' is given twice"),
    ],
)
def test_mistakes_in_a_mesh(text, words):
    with pytest.raises(ValueError, match=words):
        parse_mesh(text)


@pytest.mark.parametrize(
    "text, words",
    [
        ("model", "is not of the form REGEX=AXIS"),
        ("a=seeds", "unknown axis 'seeds'"),
        ("a=data/data", "splits two dimensions over one axis"),
        ("(=data", "is no regular expression"),
    ],
)
def test_mistakes_in_a_rule(text, words):
    with pytest.raises(ValueError, match=words):
        parse_rule(text)
