"""What is said where there is no cluster, or no Ray; nothing here starts one."""

import socket
import sys
import time

import pytest

from masam_jax.config.engine import RayEngine
from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method, registry
from masam_jax.tuning.ray_cluster import Room, find_room, import_ray, open_cluster
from masam_jax.tuning.ray_worker import SentMethod
from tests.tuning.small_tuning import small_tuning
from tests.tuning.tunable import TunableOptions, make_method


class _Ray:
    """Stands for the package."""

    def __init__(self, *nodes, error=None, initialized=False):
        self.asked = []
        self._nodes = nodes
        self._error = error
        self._initialized = initialized

    def init(self, **sizes):
        self.asked.append(sizes["address"])
        if self._error is not None:
            raise self._error

    def shutdown(self):
        self.asked.append("shutdown")

    def is_initialized(self):
        return self._initialized

    def nodes(self):
        return [{"Alive": alive, "Resources": has} for alive, has in self._nodes]


@pytest.fixture
def closed_port():
    """A port of this machine that nothing answers at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


def _open(ray):
    with open_cluster(ray, RayEngine()):
        pass


def test_an_address_where_nothing_answers(monkeypatch, closed_port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    ray, begin = _Ray(), time.monotonic()
    with pytest.raises(RunError, match=rf"RAY_ADDRESS=127.0.0.1:{closed_port}: .*refused"):
        _open(ray)
    assert time.monotonic() - begin < 10
    assert ray.asked == []


@pytest.mark.parametrize("address", ["head", "head:", "head:port", ":6379", "ray://head:10001"])
def test_what_is_no_address(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(RunError, match=f"RAY_ADDRESS={address} is not accepted: expected host"):
        _open(_Ray())


def test_an_address_that_answers_is_rays(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        ray = _Ray()
        _open(ray)
    assert ray.asked == [address, "shutdown"]


def test_auto_is_left_to_ray(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    ray = _Ray(error=ConnectionError("Could not find any running Ray instance.\nMore of it"))
    with pytest.raises(RunError, match=r"RAY_ADDRESS=auto: Could not find any .* instance\.$"):
        _open(ray)
    assert ray.asked == ["auto", "shutdown"]


def test_without_an_address_this_machine_is_the_cluster(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray = _Ray()
    _open(ray)
    assert ray.asked == ["local", "shutdown"]


def test_the_cluster_of_the_session_stays_open():
    ray = _Ray(initialized=True)
    _open(ray)
    assert ray.asked == []


def test_room_is_that_of_machines_not_of_their_sum():
    nodes = (True, {"CPU": 3.0, "GPU": 1.0}), (True, {"CPU": 4.0}), (False, {"CPU": 64.0})
    assert find_room(_Ray(*nodes), RayEngine(cpus=2, gpus=0)) == Room(3, 0)
    assert find_room(_Ray(*nodes), RayEngine()) == Room(1, 1)
    message = (
        "engine 'ray:workers=4,cpus=2,gpus=0': the cluster has room for 3 workers of 2 CPUs and 0"
        " GPUs; it has 7 CPUs and 1 GPUs"
    )
    with pytest.raises(RunError) as raised:
        find_room(_Ray(*nodes), RayEngine(workers=4, cpus=2, gpus=0))
    assert str(raised.value) == message


def test_ray_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    with pytest.raises(RunError, match=r"engine 'ray' needs ray: pip install '\.\[ray\]'"):
        import_ray()
    with pytest.raises(RunError, match="engine 'ray' needs ray"):
        small_tuning(tmp_path / "run", "ray", ("fusion_only",), 1)
    assert not (tmp_path / "run").exists()


def test_a_method_of_the_program_itself(monkeypatch):
    monkeypatch.setitem(registry._METHODS, "tunable", make_method())
    method = parse_method("tunable:count=4")
    assert SentMethod.of(method) == SentMethod("tunable:count=4", "tests.tuning.tunable")
    assert SentMethod.of(method).bind().spec == method.spec
    monkeypatch.setattr(TunableOptions, "__module__", "__main__")
    with pytest.raises(RunError, match="method 'tunable' is defined in the program itself"):
        SentMethod.of(method)
