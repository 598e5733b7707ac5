"""The local server: bad requests, limits, deaths, and what the command line says."""

import base64
import http.client
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
from google.protobuf import text_format
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2
from typer.testing import CliRunner

import zoo
from recipes import cli
from recipes.layout import write_layout
from recipes.server.process import ANY_PORTS, HOST, ServerProcess, command
from tests import configs
from tests.image_files import BAD, encoded
from zoo.client import Client

pytestmark = pytest.mark.xdist_group("local_server")

X = configs.BINARY[:2]
SAMPLE = {"signature_name": "sample", "inputs": {"n": 2, "seed": 7}}


@pytest.fixture(scope="module")
def server(served_ladder):
    return served_ladder[0]


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.urls["grpc"].removeprefix("grpc://")) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def ask(server, body, model="tiny", end=":predict"):
    """Status and content of a REST answer to a body as text, bytes or an object."""
    body = body if isinstance(body, str | bytes) else json.dumps(body)
    url = f"{server.urls['http']}/v1/models/{model}{end}"
    answer = requests.post(url, data=body, timeout=30)
    return answer.status_code, answer.json()


def coded(*files):
    """Files as JSON has them."""
    return [{"b64": base64.b64encode(file).decode()} for file in files]


FILES = {"signature_name": "reconstruct_bytes"}
GOOD = encoded(np.uint8(255 * X[0, ..., 0]), "PNG")
BAD_BODIES = [
    ("", "Expecting value"),
    ("{", "Expecting property name"),
    (b"\xff\xfe\x00", "UnicodeDecodeError|codec can't decode"),
    ("[1, 2]", r"must be a JSON object\. Received: list"),
    ("[" * 100_000, "RecursionError"),
    ("1" * 5000, "Exceeds the limit"),
    ({}, r"either `inputs` or `instances`"),
    ({"inputs": 1, "instances": [1]}, r"either `inputs` or `instances`"),
    ({"instances": []}, r"instances must be a list of rows"),
    ({"instances": [{"x": 1}, 2]}, r"instances must all have the same names"),
    ({"signature_name": 3, "inputs": 1}, r"signature_name must be a name"),
    ('{"signature_name": "\\ud800", "inputs": 1}', r"signature_name must be a name"),
    ('{"inputs": {"\\ud800": 1}}', r"Inputs are x\. Received: \?"),
    ({"inputs": {"y" * 10**6: 1}}, r"Inputs are x\. Received: y{900}"),
    ({"signature_name": "draw", "inputs": 1}, r"Signatures are.*Received: 'draw'"),
    ({"inputs": "abc"}, r"x must be numbers"),
    ({"inputs": [True]}, r"x must be numbers"),
    ({"inputs": [[1], [2, 3]]}, r"x must be numbers"),
    ({"inputs": {"x": {"b64": "aGk="}}}, r"x must be numbers"),
    ({"inputs": {"y": 1}}, r"Inputs are x\. Received: y"),
    ({"inputs": {}}, r"Inputs are x\. Received: none"),
    ({"inputs": [[0.0] * 8] * 8}, r"\[8,8\] is not compatible"),
    ({"inputs": [[[[2.0]] * 8] * 8]}, r"x must hold values in \[0, 1\]"),
    ('{"inputs": [[[[NaN]]]]}', "is not compatible"),
    ({"inputs": (1e300 * np.ones((1, 8, 8, 1))).tolist()}, "x must hold values"),
    ({"inputs": np.zeros((1025, 8, 8, 1)).tolist()}, "x must have 1 to 1024 rows"),
    ({**SAMPLE, "inputs": {"n": 1.5, "seed": 7}}, r"n must be numbers.*int32"),
    ({**SAMPLE, "inputs": {"n": 2**40, "seed": 7}}, r"n must be in the range"),
    ({**SAMPLE, "inputs": {"n": 2**80, "seed": 7}}, r"n must be numbers"),
    ({**SAMPLE, "inputs": {"n": 2}}, r"Inputs are n, seed\. Received: n"),
    ({"signature_name": "sample", "instances": [{"n": 1, "seed": 1}]}, "compatible"),
    *(({**FILES, "instances": coded(GOOD, file)}, re.escape(m)) for file, m in BAD),
    ({**FILES, "inputs": ["\ud800"]}, r"PNG or JPEG files.*\? \(1 bytes\)"),
    ({**FILES, "inputs": "a.png"}, r"must be a list of files\. Received: str"),
    ({**FILES, "inputs": [3]}, r'files as \{"b64": \.\.\.\}\. Received: int'),
    ({**FILES, "inputs": [{"b64": 3}]}, r"files as.*Received: dict"),
    ({**FILES, "inputs": [{"b64": "%%%"}]}, r"must be files in base64"),
    ({**FILES, "inputs": {"b64": ""}}, r"Inputs are image_bytes\. Received: b64"),
]


@pytest.mark.parametrize(("body", "message"), BAD_BODIES, ids=lambda v: str(v)[:24])
def test_bad_bodies_are_bad_requests(server, body, message):
    code, answer = ask(server, body)
    assert (code, list(answer)) == (400, ["error"])
    assert re.search(message, answer["error"])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/models/other:predict", 404),
        ("/v1/models/..%2f..%2fetc%2fpasswd:predict", 404),
        ("/v1/models/../tiny:predict", 404),
        ("/v1/models/%00:predict", 404),
        ("/v1/models/tiny/versions/2:predict", 404),
        ("/v1/models/tiny/versions/one:predict", 400),
        (f"/v1/models/tiny/versions/{'9' * 5000}:predict", 400),
        ("/v1/models/tiny/labels/canary:predict", 400),
        ("/v1/models/tiny", 405),
        ("/v1/models/tiny:classify", 405),
        ("/", 404),
    ],
    ids=lambda value: str(value)[:40],
)
def test_paths_that_are_no_model(server, path, code):
    connection = http.client.HTTPConnection(server.urls["http"].removeprefix("http://"))
    connection.request("POST", path, json.dumps(SAMPLE))  # as it is, dots and all
    answer = connection.getresponse()
    assert answer.status == code
    assert json.load(answer)["error"]
    connection.close()


@pytest.mark.parametrize("declared", [True, False])
def test_uploads_are_bounded(server, declared):
    address = server.urls["http"].removeprefix("http://").split(":")
    size = b"Content-Length: 1000000000" if declared else b"Transfer-Encoding: chunked"
    chunk = b"1000000\r\n" + b" " * 2**24 + b"\r\n"
    with socket.create_connection(address, timeout=30) as connection:
        head = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: me\r\n"
        connection.sendall(head + size + b"\r\n\r\n")
        for _ in range(0 if declared else 5):
            connection.sendall(chunk)
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.slow
def test_bodies_that_end_early_leave_no_traceback(tmp_path, capfd):
    entry = zoo.presets.save(configs.build(), tmp_path / "tiny")
    zoo.serving.export(configs.build(), entry / "serving", warmup=False)
    server = ServerProcess(entry)
    address = server.urls["http"].removeprefix("http://").split(":")
    head = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: me\r\n"
    for rest in (
        b"Content-Length: 9\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(head + rest)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1000)
    assert ask(server, SAMPLE)[0] == 200
    server.stop()
    assert "Traceback" not in capfd.readouterr().err


def tensor(**fields):
    shape = {"dim": [{"size": size} for size in fields.pop("shape", [1, 8, 8, 1])]}
    return tensor_pb2.TensorProto(tensor_shape=shape, **{"dtype": 1, **fields})


def strings(*values, shape=None):
    shape = [len(values)] if shape is None else shape
    return tensor(dtype=7, string_val=values, shape=shape)


INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
IMAGES = tensor(float_val=[0.5])  # one value stands for all
BAD_REQUESTS = [
    ({"name": "other"}, {"x": IMAGES}, MISSING, "Here is 'tiny', version 1, alone"),
    ({"name": "../tiny"}, {"x": IMAGES}, MISSING, "Received: '../tiny'"),
    ({"version": {"value": 2}}, {"x": IMAGES}, MISSING, "version 2"),
    ({"version_label": "canary"}, {"x": IMAGES}, INVALID, "'canary'"),
    ({"signature_name": "draw"}, {"x": IMAGES}, INVALID, "Signatures are"),
    ({"signature_name": "__saved_model_init_op"}, {}, INVALID, "Signatures are"),
    ({}, {}, INVALID, "Inputs are x. Received: none"),
    ({}, {"x": IMAGES, "y": IMAGES}, INVALID, "Received: x, y"),
    ({}, {"y" * 10**6: IMAGES}, INVALID, "Received: yyy"),
    ({}, {"x": tensor(dtype=3, int_val=[1])}, INVALID, "x must be float32"),
    ({}, {"x": tensor(dtype=7, string_val=[b"a"])}, INVALID, "x must be float32"),
    ({}, {"x": tensor(dtype=2, double_val=[0.5])}, INVALID, "dtype 2"),
    ({}, {"x": tensor(dtype=999)}, INVALID, "dtype 999"),
    ({}, {"x": tensor()}, INVALID, "x must have 64 values. Received: 0"),
    ({}, {"x": tensor(float_val=[0] * 65)}, INVALID, "64 values. Received: 65"),
    ({}, {"x": tensor(tensor_content=b"abc")}, INVALID, "Received: 3"),
    (
        {},
        {"x": tensor(float_val=[0], shape=[2**62, 2])},
        INVALID,
        "x must have a shape",
    ),
    ({}, {"x": tensor(float_val=[0], shape=[-1, 8])}, INVALID, "x must have a shape"),
    ({}, {"x": tensor(float_val=[0], shape=[1] * 300)}, INVALID, "at most 8 axes"),
    ({}, {"x": tensor(float_val=[0], shape=[8, 8])}, INVALID, "[8,8] is not compat"),
    ({}, {"x": tensor(float_val=[2])}, INVALID, "x must hold values in [0, 1]"),
    ({}, {"x": tensor(shape=[0, 8, 8, 1])}, INVALID, "1 to 1024 rows"),
    *((FILES, {"image_bytes": strings(GOOD, f)}, INVALID, m) for f, m in BAD),
    (FILES, {"image_bytes": strings(GOOD, shape=[1025])}, INVALID, "1 to 1024 rows"),
    (FILES, {"image_bytes": strings(GOOD, shape=[2**22])}, INVALID, "have a shape"),
    (FILES, {"image_bytes": strings(GOOD, shape=[])}, INVALID, "is not compatible"),
    (FILES, {"image_bytes": IMAGES}, INVALID, "image_bytes must be object"),
    (
        FILES,
        {"image_bytes": tensor(dtype=7, tensor_content=bytes(64))},
        INVALID,
        "image_bytes must have 64 values. Received: 0",
    ),
]


@pytest.mark.parametrize(("spec", "inputs", "code", "message"), BAD_REQUESTS)
def test_bad_calls_have_their_status(stub, spec, inputs, code, message):
    request = predict_pb2.PredictRequest(
        model_spec={"name": "tiny", **spec}, inputs=inputs
    )
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request, timeout=30)
    assert error.value.code() == code
    assert message in error.value.details()


def test_other_bad_calls(channel, stub):
    def refuses(code, method, request):
        with pytest.raises(grpc.RpcError) as error:
            method(request, timeout=30)
        assert error.value.code() == code

    name = "/tensorflow.serving.PredictionService/Predict"
    raw = channel.unary_unary(name, lambda b: b, lambda b: b)
    refuses(grpc.StatusCode.INTERNAL, raw, b"\xff" * 100)
    refuses(grpc.StatusCode.RESOURCE_EXHAUSTED, raw, bytes(2**26 + 1))
    unknown = {"model_spec": {"name": "tiny"}, "output_filter": ["y"]}
    unknown = predict_pb2.PredictRequest(inputs={"x": IMAGES}, **unknown)
    refuses(INVALID, stub.Predict, unknown)
    metadata = get_model_metadata_pb2.GetModelMetadataRequest
    refuses(INVALID, stub.GetModelMetadata, metadata(model_spec={"name": "tiny"}))
    fields = {"metadata_field": ["signature_def"]}
    refuses(
        MISSING, stub.GetModelMetadata, metadata(model_spec={"name": "a"}, **fields)
    )
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
    unknown = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "a"})
    refuses(MISSING, status, unknown)


def test_status_and_metadata_are_alike_over_both_protocols(server, channel, stub):
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
        get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "tiny"})
    )
    (version,) = status.model_version_status
    assert (version.version, version.state, version.status.error_code) == (1, 30, 0)
    base = f"{server.urls['http']}/v1/models/tiny"
    for path in (base, f"{base}/versions/1", f"{base}/labels/stable"):
        found = requests.get(path, timeout=30).json()["model_version_status"]
        assert found[0] | {"state": "AVAILABLE", "version": "1"} == found[0]
    metadata = requests.get(f"{base}/metadata", timeout=30).json()
    assert metadata["model_spec"]["version"] == "1"
    signature = metadata["metadata"]["signature_def"]["signature_def"]["encode"]
    sizes = [dim["size"] for dim in signature["inputs"]["x"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "8", "8", "1"]


def test_rows_are_answered_in_rows(server, served_ladder):
    code, answer = ask(server, {"signature_name": "encode", "instances": X.tolist()})
    want = served_ladder[1].encode(X)
    assert code == 200
    assert len(answer["predictions"]) == 2
    for row, prediction in enumerate(answer["predictions"]):
        for name, z in zip(("z_2", "z_1"), want):
            np.testing.assert_allclose(prediction[name], z[row], atol=1e-5)
    named = ask(server, {"instances": [{"x": x} for x in X.tolist()]})
    assert named == ask(server, {"instances": X.tolist()})
    assert ask(server, {"inputs": X.tolist()})[1]["outputs"] == named[1]["predictions"]


def test_files_come_as_rows_or_as_a_column(server, served_ladder):
    want = ask(server, {"instances": X[:1].tolist()})[1]["predictions"]
    score = ask(server, {"signature_name": "anomaly_score", "inputs": X[:1].tolist()})
    named = [{"image_bytes": file} for file in coded(GOOD)]
    for instances in (named, coded(GOOD)):
        code, answer = ask(server, {**FILES, "instances": instances})
        assert code == 200
        (row,) = answer["predictions"]
        assert row["reconstruction"] == want[0]
        assert row["anomaly_score"] == score[1]["outputs"][0]
    code, answer = ask(server, {**FILES, "inputs": coded(GOOD)})
    assert (code, answer["outputs"]["reconstruction"]) == (200, want)


def malformed(server, stub, count):
    """As many bad requests, by turns over both protocols; every one is refused."""
    bodies = [b if isinstance(b, str | bytes) else json.dumps(b) for b, _ in BAD_BODIES]
    url = f"{server.urls['http']}/v1/models/tiny:predict"
    with requests.Session() as session:
        for i in range(count // 2):
            answer = session.post(url, data=bodies[i % len(bodies)], timeout=30)
            assert answer.status_code == 400
            spec, inputs, code, _ = BAD_REQUESTS[i % len(BAD_REQUESTS)]
            spec = {"name": "tiny", **spec}
            request = predict_pb2.PredictRequest(model_spec=spec, inputs=inputs)
            with pytest.raises(grpc.RpcError) as error:
                stub.Predict(request, timeout=30)
            assert error.value.code() == code


def resident(server):
    """Memory of the server's process, in KiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_malformed_requests_leave_no_memory_behind(server, stub, count):
    malformed(server, stub, 200)  # the allocators' own stock
    before = resident(server)
    malformed(server, stub, count)
    assert resident(server) < 1.05 * before
    assert ask(server, SAMPLE)[0] == 200


def test_the_curl_line_works(server, served_ladder):
    words = shlex.split(server.curl)
    assert words[:2] == ["curl", "-d"]
    answer = requests.post(words[3], data=words[2], timeout=30).json()
    want = served_ladder[1].sample(1, seed=1)
    np.testing.assert_allclose(answer["outputs"], want, atol=1e-5)


def test_it_listens_at_loopback_alone(server):
    assert all("//127.0.0.1:" in url for url in server.urls.values())
    ports = {f"{port:04X}" for port in server.ports}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, port, state = (*line.split()[1].split(":"), line.split()[3])
            if port in ports and state == "0A":  # it listens
                assert address.endswith("0100007F")  # 127.0.0.1


def test_a_busy_port_is_one_clear_line(server, tmp_path):
    entry = zoo.presets.save(configs.build(), tmp_path / "tiny")
    (entry / "serving" / "1").mkdir(parents=True)
    for ports in (server.ports[0], 0), (0, server.ports[1]):
        arguments = command(entry, HOST, ports)
        done = subprocess.run(arguments, capture_output=True, text=True)
        assert done.returncode == 1
        assert re.fullmatch(
            r"Error: Cannot listen: Address already in use\. "
            rf"Received: 127\.0\.0\.1:{max(ports)}\n",
            done.stderr,
        )


@pytest.mark.slow
def test_killed_under_load_and_started_again_it_gives_no_wrong_answer(tmp_path):
    model = configs.conditional_vae()
    entry = zoo.presets.save(model, tmp_path / "tiny")
    zoo.serving.export(model, entry / "serving")
    server = ServerProcess(entry)
    labels = {"label": np.arange(8, dtype="int32")}
    want = model.sample(8, labels, seed=3).numpy()
    answers, enough = [], threading.Event()

    def load(url):
        client = Client("tiny", url)
        while not enough.is_set():
            answers.append(client.sample(given=labels, seed=3))
        client.close()

    threads = [
        threading.Thread(target=load, args=[url]) for url in server.urls.values()
    ]
    for thread in threads:
        thread.start()
    wait_for(answers, 20)
    server.stop(signal.SIGKILL)
    server = ServerProcess(entry, server.ports)
    wait_for(answers, len(answers) + 20)
    enough.set()
    for thread in threads:
        thread.join()
    for answer in answers:
        np.testing.assert_allclose(answer, want, atol=1e-5)
    assert server.stop(signal.SIGINT) == 0  # as Ctrl-C


def wait_for(answers, count):
    for _ in range(600):
        if len(answers) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"The load stopped after {len(answers)} answers.")


def test_the_layout_is_what_tensorflow_serving_reads(tmp_path):
    for version in ("2", "10", "9"):
        (tmp_path / version).mkdir()
    (tmp_path / "notes").touch()
    models, batching, compose = write_layout(tmp_path, "tiny", rows=1024)
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(models.read_text(), config)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("tiny", "/models/tiny")
    assert model.model_version_policy.latest.num_versions == 2
    assert dict(model.version_labels) == {"stable": 10, "previous": 9}
    assert "max_batch_size { value: 1024 }" in batching.read_text()
    assert "--model_config_file=/models/tiny/models.config" in compose.read_text()
    assert compose.read_text().startswith("# Not run")


def test_names_that_would_be_paths(tmp_path):
    entry = zoo.presets.save(configs.build(), tmp_path / "my model")
    result = CliRunner().invoke(cli.app, ["export", str(entry)])
    assert "letters, digits, _, . and -. Received: 'my model'" in str(result.exception)
    assert not (entry / "serving").exists()


def test_the_command_becomes_the_server(tmp_path, monkeypatch):
    entry, replaced = zoo.presets.save(configs.build(), tmp_path / "tiny"), []
    monkeypatch.setattr("os.execv", lambda *arguments: replaced.append(arguments))
    options = ["--grpc-port", "0", "--rest-port", "0"]
    result = CliRunner().invoke(cli.app, ["serve", str(entry), *options])
    assert result.exit_code == 0, result.output
    assert replaced == [(sys.executable, command(entry, HOST, ANY_PORTS))]
    result = CliRunner().invoke(cli.app, ["serve", "no_such_entry"])
    assert "No pretrained entry 'no_such_entry'" in str(result.exception)


def test_the_process_imports_no_python_of_tensorflow():
    code = """
import sys
import recipes.server.__main__
heavy = ("tensorflow.python", "keras", "zoo")
assert "tensorflow.core.framework.tensor_pb2" in sys.modules
assert not [name for name in sys.modules if name.startswith(heavy)]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_entry_without_an_export(tmp_path, capfd):
    entry = zoo.presets.save(configs.build(), tmp_path / "tiny")
    with pytest.raises(RuntimeError, match=r"did not start\. Received: exit code 1"):
        ServerProcess(entry)
    assert re.fullmatch(
        r"Error: Nothing is exported.* Received: \S+\n", capfd.readouterr().err
    )
