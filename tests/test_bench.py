"""The benchmark: its arithmetic and its workers, not its timings."""

import dataclasses
import json
import re
import sys

import keras
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import (
    bfloat16,
    commits,
    limit,
    page,
    precision,
    quality,
    run,
    scaling,
    serving,
    settings,
    versus,
)
from benchmarks.__main__ import app
from benchmarks.protocol import Worker
from benchmarks.versus import Row


def test_ratios_pair_the_runs_and_point_to_the_better_side():
    speed = Row("", "images/s", "", zoo=[4.0, 6.0, 8.0], peer=[2.0, 2.0, 1.0])
    assert speed.ratio == 3.0
    memory = Row("", "MB", "", zoo=[50.0], peer=[100.0])
    assert memory.ratio == 2.0
    assert Row("", "s", "", zoo=[1.0], peer=[]).ratio is None


def test_the_table_shows_median_and_spread():
    console = Console(width=120, record=True)
    rows = [
        Row("some figure", "s", "1 s", [0.3, 0.1, 0.2], []),
        Row("b", "s", "", [2], [4]),
    ]
    console.print(versus.table(rows))
    text = console.export_text()
    assert "0.2 (0.1-0.3)" in text
    assert "2.00x" in text


def test_the_tables_of_the_page_are_the_recorded_ones():
    text, rows = page.PAGE.read_text(), page.recorded()
    assert f"{page.START}\n{page.table(rows)}\n{page.END}" in text
    assert page.updated(text) == text
    name = "training dense, batch 128"
    rows[name] = dataclasses.replace(rows[name], zoo=[8.0, 6.0, 4.0], peer=[2.0] * 3)
    first = page.table(rows).splitlines()[2]
    assert first.endswith("| 6 images/s | 2 images/s | **3.00** | 2x |")


def test_an_entry_is_shown_with_its_share_of_the_matmul():
    speeds = [1e3, 4e3, 2e3]
    matmul = [8e9, 16e9, 4e9]  # FLOP/s, of which it uses 25, 50 and 100 %
    entry = {"multiply_adds": 1e6, "images_per_second": speeds, "matmul": matmul}
    last = page.entries_table({"name": entry}).splitlines()[-1]
    assert last == "| `name` | 2 000 | 1 | 4 | 50 % |"


def test_a_table_takes_the_place_of_the_former_one():
    empty = f"a\n{page.START}\n{page.END}\nb\n{page.ENTRIES_START}\nc\n{page.END}"
    full = page.replaced(empty, page.START, "table")
    assert full == empty.replace(page.START, f"{page.START}\ntable")
    assert page.replaced(full, page.START, "") == empty


def test_settings_are_shown_beside_the_default():
    console = Console(width=120, record=True)
    runs = {
        "dense": {"default: XLA on": [10.0, 30.0, 20.0], "XLA off": [10.0]},
        "convolutional": {"default: XLA off": [5.0], "XLA on": [10.0]},
    }
    console.print(settings.table(runs))
    lines = console.export_text().splitlines()
    assert any("default" in line and "20" in line and "5" in line for line in lines)
    assert any("XLA off" in line and "0.50x" in line and "-" in line for line in lines)
    assert any("XLA on" in line and "2.00x" in line for line in lines)


def test_qualities_are_compared_seed_by_seed():
    def runs(nll):
        curve = [[1.0, 2.0]] * len(nll)
        return {"cpu_minutes": curve, "nats": curve, "nll": nll}

    console = Console(width=120, record=True)
    results = {"a": runs([90.0, 80.0, 85.0]), "b": runs([92.0, 81.0])}
    console.print(quality.table(results))
    assert "+1.50 +- 0.50" in console.export_text()
    assert len(quality.draw(results).axes[0].lines) == 3 + 1 + 2 + 1


def test_precisions_are_compared_in_turns(monkeypatch):
    asked, seconds = [], iter([9.0, 9.0, *[4.0, 2.0] * precision.ROUNDS])

    def log_prob(model, images):
        asked.append(model)
        return np.float32([-90.0, -80.0]) + model, next(seconds)

    monkeypatch.setattr(precision, "log_prob", log_prob)
    difference, ratios = precision.compare(0.0, 0.5, None)
    assert difference.tolist() == [0.5, 0.5]
    assert ratios == [2.0] * precision.ROUNDS
    assert asked == [0.0, 0.5] * (1 + precision.ROUNDS)


def test_trainings_in_two_precisions_are_compared_seed_by_seed():
    float32 = [(100.0, 90.0), (200.0, 80.0), (100.0, 85.0)]
    half = [(150.0, 90.5), (250.0, 81.5), (200.0, 86.0)]
    told = bfloat16.summary(float32, half)
    assert told == "1.50 times as fast (1.25 to 2.00), NLL +1.00 nats +- 0.29"


@pytest.mark.slow
def test_both_precisions_train_and_are_measured(rng):
    images = rng.choice(np.uint8([0, 255]), (bfloat16.BATCH_SIZE, 28, 28, 1))
    held_out = np.float32(images[:4] / 255)
    for dtype in bfloat16.DTYPES:
        speed, nll = bfloat16.measure(images, held_out, dtype, seed=0)
        assert speed > 0
        assert 0 < nll < 784 * np.log(2) * 1.1  # near that of a fair coin
    assert keras.config.dtype_policy().name == "float32"


def test_every_part_is_written_before_the_next(monkeypatch, tmp_path):
    def broken(images):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "binary_mnist", lambda: np.zeros((1, 28, 28, 1)))
    monkeypatch.setattr(settings, "measure", lambda images: {"dense": {"default": [1]}})
    monkeypatch.setattr(scaling, "measure", broken)
    file = tmp_path / "deeper" / "results.json"
    with pytest.raises(KeyboardInterrupt):
        run.run(["settings", "scaling"], None, file, Console(quiet=True))
    assert json.loads(file.read_text())["settings"] == {"dense": {"default": [1]}}


def test_parts_that_are_not_measured_again_stay_in_the_file(monkeypatch, tmp_path):
    measured = iter([1.0, 2.0, 3.0])

    def stand_in(name):
        return lambda *_: [Row(name, "s", "", [next(measured)], [])]

    def measure(name):
        run.run([name], None, file, Console(quiet=True))
        return json.loads(file.read_text())

    monkeypatch.setattr(run, "binary_mnist", lambda: np.zeros((1, 28, 28, 1)))
    monkeypatch.setattr(limit, "share", stand_in("share"))
    monkeypatch.setattr(versus, "starts", stand_in("start"))
    file = tmp_path / "results.json"
    for name in ("limit", "starts", "limit"):
        record = measure(name)
    values = {row["figure"]: row["zoo"] for row in record["versus"]}
    assert values == {"share": [3.0], "start": [2.0]}


@pytest.mark.parametrize("part", ["machine", "versions"])
def test_figures_of_another_machine_or_version_go(part, monkeypatch, tmp_path):
    monkeypatch.setattr(run, "binary_mnist", lambda: np.zeros((1, 28, 28, 1)))
    monkeypatch.setattr(settings, "measure", lambda images: {"dense": {"default": [1]}})
    file = tmp_path / "results.json"
    run.run(["settings"], None, file, Console(quiet=True))
    former = json.loads(file.read_text()) | {"scaling": {}}
    former[part] |= {next(iter(former[part])): "another"}
    file.write_text(json.dumps(former))
    run.run(["settings"], None, file, Console(quiet=True))
    assert "scaling" not in json.loads(file.read_text())


@pytest.fixture
def start(tmp_path):
    images, log = tmp_path / "images.npz", tmp_path / "log"
    np.savez(images, images=np.zeros((7, 28, 28), np.uint8))
    return lambda case: Worker(sys.executable, "tests.sleepy_worker", case, images, log)


def test_a_worker_runs_when_told_and_reports_its_memory(start):
    with start("sleep") as worker:
        assert worker.images == 7
        assert worker.versions == {"sleep": "1.0"}
        assert worker.run() >= 0.01
        assert 1 < worker.close() < 500  # MB of a Python with NumPy


def test_a_worker_that_fails_says_why(start):
    with pytest.raises(RuntimeError, match="out of order"), start("broken"):
        pass


@pytest.mark.parametrize("side", [14, 28, 56])
def test_resized_images_keep_their_left_upper_pixel(side, rng):
    images = rng.integers(0, 2, (3, 28, 28, 1), np.uint8)
    resized = scaling.resized(images, (side, side, 1))
    assert resized.shape == (3, side, side, 1)
    np.testing.assert_array_equal(resized[:, 0, 0], images[:, 0, 0])


def test_the_slope_is_the_power():
    assert scaling.slope([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2.0)


def test_unknown_parts_are_refused():
    result = CliRunner().invoke(app, ["--only", "nonsense"])
    assert result.exit_code == 2
    assert "train_dense_128" in result.output


def test_every_client_of_a_closed_loop_asks():
    shapes = []
    load = serving.closed_loop(lambda: lambda x: shapes.append(x.shape), 2, 3, 0.0)
    assert set(shapes) == {(2, 28, 28, 1)}
    assert len(shapes) >= 2 * 3  # to connect, and once or more
    assert load.throughput > 0
    assert 0 <= load.p50 <= load.p99


@pytest.mark.slow
def test_two_commits_take_turns(monkeypatch, capsys):
    monkeypatch.setattr(commits, "CASES", ("encode",))
    monkeypatch.setattr(commits, "ROUNDS", 2)
    commits.main("HEAD")
    said = capsys.readouterr().out
    assert re.fullmatch(r"encode: [\d.]+ times as fast \([\d.]+ to [\d.]+\)\n", said)
