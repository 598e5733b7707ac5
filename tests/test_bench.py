"""The benchmark: its arithmetic and its workers, not its timings."""

import sys

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import zoo
from recipes import cli
from recipes.bench import limit, models, scaling, versus
from recipes.bench.protocol import Worker
from recipes.bench.versus import Row


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


def test_multiplications_are_those_of_the_networks():
    model = zoo.VAE(*models.dense())
    kernels = [w for w in model.trainable_weights if w.path.endswith("kernel")]
    every = sum(np.prod(kernel.shape) for kernel in kernels)
    first = np.prod(kernels[0].shape)
    assert limit.multiplications() == 3 * every - first


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
    result = CliRunner().invoke(cli.app, ["bench", "--only", "nonsense"])
    assert result.exit_code == 2
    assert "train_dense_128" in result.output
