"""Which options are searched, and how a choice of them is written."""

import pytest

from masam_jax.methods import LogUniform, Uniform, parse_method
from masam_jax.tuning.search_space import search_space
from tests.tuning.tunable import SEARCH, tunable  # noqa: F401


@pytest.mark.usefixtures("tunable")
class TestSearchSpace:
    def test_options_that_the_specification_names_are_not_searched(self):
        assert set(search_space(parse_method("tunable")).options) == set(SEARCH)
        space = search_space(parse_method("tunable:mode=fast, rate = 0.5"))
        assert set(space.options) == set(SEARCH) - {"mode", "rate"}
        assert space.bind({"count": 4}).spec == "tunable:rate=0.5,count=4,mode=fast"

    def test_an_option_named_at_its_default_is_not_searched(self):
        space = search_space(parse_method("tunable:rate=0.1"))
        assert "rate" not in space.options
        assert space.method.spec == "tunable"

    def test_values_of_every_kind_make_a_canonical_specification(self):
        values = {"rate": 0.123456, "share": 0.98765, "count": 7, "mode": "fast", "loud": True}
        spec = search_space(parse_method("tunable")).bind(values).spec
        assert spec == "tunable:rate=0.123,share=0.988,count=7,mode=fast,loud=true"
        assert parse_method(spec).spec == spec

    def test_defaults_are_not_written(self):
        space = search_space(parse_method("tunable"))
        assert space.bind(space.defaults).spec == "tunable"

    def test_rounding_stays_in_the_range(self):
        space = search_space(parse_method("tunable"))
        assert space.bind({"rate": 0.0123457}).spec == "tunable:rate=0.0123456"
        assert space.bind({"share": 0.99999}).spec == "tunable:share=1"

    def test_small_and_large_numbers_are_readable(self, tunable):  # noqa: F811
        tunable(search={"rate": LogUniform(1e-7, 1.0), "weight": LogUniform(1, 1e6)})
        space = search_space(parse_method("tunable"))
        assert space.bind({"rate": 1.23456e-6}).spec == "tunable:rate=1.23e-06"
        assert space.bind({"weight": 123456.0}).spec == "tunable:weight=123000"

    def test_defaults_outside_of_the_search_are_left_out(self, tunable):  # noqa: F811
        tunable(search={"rate": LogUniform(0.2, 1.0), "share": Uniform(0.5, 1.0)})
        assert search_space(parse_method("tunable")).defaults == {"share": 0.5}

    def test_description_is_plain(self):
        described = search_space(parse_method("tunable")).describe()
        assert described["rate"] == {"kind": "LogUniform", "low": 0.0123456, "high": 1.0}
        assert described["mode"] == {"kind": "Choice", "values": ("slow", "fast")}

    def test_values_that_the_method_refuses_together_raise(self, tunable):  # noqa: F811
        tunable(search={"rate": Uniform(1.0, 20.0)})
        with pytest.raises(ValueError, match="rate=15"):
            search_space(parse_method("tunable")).bind({"rate": 15.0})
