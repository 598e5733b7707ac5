"""The client, over both protocols, against a server and the model in Python.

    VAE_ZOO_ENDPOINT="grpc://127.0.0.1:8500/NAME http://127.0.0.1:8501/NAME" pytest ...

asks any server of an entry in place of the local one.
"""

import functools
import http.server
import importlib
import os
import re
import socket
import sys
import threading

import numpy as np
import pytest

import zoo
from tests.image_files import CUT, encoded
from tests.serving_gate import examples
from zoo import client as zoo_client
from zoo.client import Client

ENDPOINTS = os.environ.get("VAE_ZOO_ENDPOINT", "").split()

pytestmark = pytest.mark.xdist_group("local_server")


@pytest.fixture(scope="module", params=ENDPOINTS or ["grpc", "http"])
def asked(request):
    """A client, the model it asks, in Python, and the entry's table of quantiles."""
    if ENDPOINTS:
        url, _, name = request.param.rpartition("/")
        model, rarity = zoo.load(name), zoo.presets.read_metadata(name)["rarity"]
    else:
        server, model, rarity = request.getfixturevalue("served_ladder")
        url, name = server.urls[request.param], "tiny"
    client = Client(name, url)
    yield client, model, rarity
    client.close()


@functools.cache
def rows_of(model):
    """Three rows of what a model takes."""
    given = {k: np.repeat(f.example(), 3, axis=0) for k, f in model.fields.items()}
    bits = np.random.default_rng(0).integers(0, 2, (3, *model.event_shape))
    return given | {"x": bits.astype("float32")}


@pytest.fixture
def data(asked):
    """Three rows of x and of the conditions."""
    return dict(rows_of(asked[1]))


def assert_close(got, want):
    """Compiled graphs fuse and order sums differently."""
    want = np.asarray(want)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


def test_every_signature_answers_as_the_model_does(asked, data):
    client, model, rarity = asked
    for (signature, inputs), answer in examples(model, data, 3, rarity):
        got = client.predict(signature, **inputs)
        assert got.keys() == answer.keys()
        for name, want in answer.items():
            assert_close(got[name], want)


def test_methods_are_those_of_the_model(asked, data):
    client, model, rarity = asked
    x, given = data.pop("x"), data
    assert_close(client.reconstruct(x, given), model.reconstruct(x, given))
    codes = model.encode(x, given)
    for got, want in zip(client.encode(x, given), codes, strict=True):
        assert_close(got, want)
    pairs = zip(client.moments(x, given), model.moments(x, given), strict=True)
    for (_, got), (_, want) in pairs:
        assert (got is None) == (want is None)
        if want is not None:
            assert_close(got, want)
    score = zoo.evaluation.anomaly_score(model, x, rarity, given)
    assert_close(client.anomaly_score(x, given), score)
    assert_close(client.decode(*codes, given=given), model.decode(*codes, given=given))
    assert_close(client.sample(3, given, seed=7), model.sample(3, given, seed=7))
    options = {} if model.exact else {"num_importance_samples": 5, "seed": 7}
    got = client.log_prob(x, given, **options)
    assert_close(got, model.log_prob(x, given, **options))


def test_files_go_where_images_go(asked, data):
    client, *_ = asked
    x, given = data.pop("x"), data
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        pytest.skip("a model of no images")
    pixels = np.squeeze(np.uint8(255 * x), axis=-1 if x.shape[-1] == 1 else ())
    files = [encoded(image, "PNG") for image in pixels]
    assert_close(client.reconstruct(files, given), client.reconstruct(x, given))
    assert_close(client.anomaly_score(files, given), client.anomaly_score(x, given))
    with pytest.raises(ValueError, match="INVALID_ARGUMENT: Invalid PNG data, size 60"):
        client.reconstruct([*files[1:], CUT], given)
    with pytest.raises(ValueError, match=r"image_bytes must be bytes\. Received: str"):
        client.predict("reconstruct_bytes", image_bytes=["me.png"] * 3, **given)
    with pytest.raises(ValueError, match=r"image_bytes must be bytes\. Received: str"):
        client.reconstruct([files[0], "me.png"], given)
    with pytest.raises(ValueError, match=r"Files come in a list\. Received: bytes"):
        client.anomaly_score(files[0], given)


def test_latents_are_sorted_by_layer():
    names = ["z_1_bu", "z_10_td", "z_2_bu", "z_10_bu", "z_11", "z_11_stddev", "x"]
    wanted = ["z_11", "z_10_bu", "z_10_td", "z_2_bu", "z_1_bu"]
    assert zoo_client.top_first(names) == wanted


def test_large_batches_go_in_parts_that_change_nothing(asked, data, monkeypatch):
    client, *_ = asked
    x, given = data.pop("x"), data
    seeds = [1, -1, 2**40]
    calls = {
        "reconstruct": lambda: client.reconstruct(x, given),
        "sample": lambda: client.sample(given=given, seed=seeds),
        "log_prob": lambda: client.log_prob(
            x, given, num_importance_samples=4, seed=seeds
        ),
    }
    whole = {name: call() for name, call in calls.items()}
    sent = []
    predict = client._server.predict
    monkeypatch.setattr(
        *(client._server, "predict"),
        lambda *request: sent.append(request) or predict(*request),
    )
    monkeypatch.setattr(client, "rows", 2)
    for name, call in calls.items():
        assert_close(call(), whole[name])
    assert [len(inputs["seed"]) for _, inputs, *_ in sent[2:]] == [2, 1, 2, 1]


def test_requests_tied_by_one_seed_go_whole(asked, data, monkeypatch):
    client, *_ = asked
    x, given = data.pop("x"), data
    whole = client.log_prob(x, given, seed=3, num_importance_samples=2)
    monkeypatch.setattr(client, "rows", 1)
    again = client.log_prob(x, given, seed=3, num_importance_samples=2)
    np.testing.assert_array_equal(again, whole)


def test_refusals_are_the_servers_words(asked, data):
    client, *_ = asked
    data["x"] = data["x"] + 255
    with pytest.raises(ValueError, match=r"INVALID_ARGUMENT.*Received: \[25[56]") as e:
        client.predict("encode", **data)
    assert "{{" not in str(e.value)
    assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match="INVALID_ARGUMENT"):
        client.predict("encode", **{k: v[:0] for k, v in data.items()})


def test_what_the_server_does_not_know_is_refused_before_it_is_sent(asked, data):
    client, *_ = asked
    with pytest.raises(
        ValueError, match=r"Signatures are anomaly_score,.*Received: 'draw'"
    ):
        client.predict("draw", **data)
    with pytest.raises(ValueError, match=r"encode takes .*x.*Received: none"):
        client.predict("encode")
    given = {name: value for name, value in data.items() if name != "x"}
    with pytest.raises(ValueError, match=r"seed must be int64\. Received: float64"):
        client.sample(given=given, seed=[0.5] * 3)
    with pytest.raises(ValueError, match=r"x must be numbers\. Received: <U3"):
        client.predict("encode", **(data | {"x": "abc"}))
    with pytest.raises(ValueError, match=r"decode takes z.*Received: 0 layers"):
        client.decode()


@pytest.mark.parametrize("version", [10**6, "no_such_label"])
def test_versions_that_are_not_there(asked, version):
    client = Client(asked[0].model, asked[0].url, version=version)
    with pytest.raises(ValueError, match=r"NOT_FOUND|INVALID_ARGUMENT"):
        client.sample()
    client.close()


@pytest.mark.parametrize("version", [1, "stable"])
def test_a_version_is_a_number_or_a_label(asked, version):
    if ENDPOINTS:
        pytest.skip("which versions it has is its own")
    client = Client(asked[0].model, asked[0].url, version=version)
    np.testing.assert_array_equal(client.sample(seed=1), asked[0].sample(seed=1))
    client.close()


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_there(scheme):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    client = Client("tiny", url, timeout=0.5)
    with pytest.raises(ConnectionError, match=f"{url}: UNAVAILABLE"):
        client.sample()
    client.close()


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_answers(scheme):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        client = Client("tiny", url, timeout=0.5)
        with pytest.raises(TimeoutError, match=f"{url}: DEADLINE_EXCEEDED"):
            client.sample()
        client.close()


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"hello": 1}'])
def test_something_else_answers(body):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client("tiny", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(RuntimeError, match=re.escape(f"HTTP 200: {body.decode()}")):
            client.sample()
        client.close()
        server.shutdown()


def test_only_what_is_unavailable_is_asked_again(monkeypatch):
    monkeypatch.setattr(zoo_client, "FIRST_WAIT", 1e-3)
    client, codes = Client("tiny"), ["UNAVAILABLE", "UNAVAILABLE", "INTERNAL", "OK"]

    def fails(seconds):
        assert 0 < seconds <= client.timeout
        raise zoo_client.Failure(codes.pop(0), "broken")

    with pytest.raises(RuntimeError, match="INTERNAL: broken"):
        client._ask(fails)
    assert codes == ["OK"]
    client.close()


@pytest.mark.parametrize("url", ["localhost:8500", "ftp://localhost", "grpc://"])
def test_wrong_addresses(url):
    with pytest.raises(ValueError, match=f"url must be .* Received: {url}"):
        Client("tiny", url)


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    for name in ("zoo.client", "zoo.transports"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=r"pip install '\.\[serving\]'"):
        importlib.import_module("zoo.client")
