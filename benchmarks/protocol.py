"""How the benchmark talks to its workers: one process per case and side.

A worker prepares its case, warms up, and then runs once for every line it is sent; it
answers each with one line of JSON. So two sides can take turns on one machine, and the
peak memory of each is its own. Imports neither TensorFlow nor PyTorch.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]

# One architecture for both sides: 784-512-512-z8 and back.
UNITS = (512, 512)
LATENT_DIM = 8
FILTERS = (32, 64)
CONV_UNITS = 256
IAF_STEPS = 4
IAF_UNITS = (128, 128, 128)  # the widths of the peer's default MADE
LEARNING_RATE = 1e-3
EPOCHS = 2  # of a run of training; the last one is timed, as of a training in progress

TRAINING_IMAGES = 25_600
CONV_IMAGES = 7_680
START_IMAGES = 1_280  # of an epoch whose start is what counts
NLL_IMAGES = {"zoo": 100, "peer": 16}  # about as many seconds each
NLL_SAMPLES = 5000
SAMPLED_IMAGES = 10_000


def serve(prepare: Callable[[str, np.ndarray], tuple], versions: dict) -> None:
    """Runs one case for a benchmark on the other end of stdin and stdout.

    Args:
        prepare: takes the case's name and binary MNIST `[60000, 28, 28]` uint8; returns
            how many images one run takes, and the run: a function that returns its own
            seconds as a float; otherwise the whole call is timed.
        versions: of the libraries, for the record.
    """
    case, images = sys.argv[1], np.load(sys.argv[2])["images"]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # progress bars are not answers
    count, run = prepare(case, images)

    def timed():
        started = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - started
        return result if isinstance(result, float) else seconds, seconds

    def answer(content):
        print(json.dumps(content), file=answers, flush=True)

    _, first = timed()  # the warm-up: traces, compiles, fills caches
    _, second = timed()
    answer({"images": count, "warm_up": first - second, "versions": versions})
    for _ in sys.stdin:
        answer(timed()[0])
    answer(peak_memory())


class Worker(contextlib.AbstractContextManager):
    """The benchmark's end of a worker process, ready and warm.

    Attributes:
        images: how many one run takes.
        warm_up: seconds that the first run took beyond the second.
        versions: of its libraries.

    Args:
        python: the interpreter whose libraries are measured.
        module: the worker's module.
        case: what it shall measure.
        images: file with the images.
        log: where its own output goes.
        root: the checkout whose module it is.

    Raises:
        RuntimeError: if it does not come up; the message ends with its last words.
    """

    def __init__(
        self,
        python: Path,
        module: str,
        case: str,
        images: Path,
        log: Path,
        root: Path = ROOT,
    ):
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [python, "-m", module, case, images],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                cwd=root,
            )
        try:
            ready = self._answer()
        except RuntimeError:
            self.__exit__()
            raise
        self.images = ready["images"]
        self.warm_up = ready["warm_up"]
        self.versions = ready["versions"]

    def run(self) -> float:
        """Seconds of one run."""
        with contextlib.suppress(BrokenPipeError):  # no answer will tell why
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
        return self._answer()

    def close(self) -> float:
        """Ends the worker; returns its peak resident memory in MB."""
        self.process.stdin.close()
        return self._answer()

    def __exit__(self, *_):
        self.process.kill()
        with self.process:  # closes its pipes and waits for it
            pass

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{' '.join(map(str, self.process.args))} ended early:\n"
                f"{self.log.read_text()[-2000:]}"
            )
        return json.loads(line)


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MB; Linux only.

    `getrusage` would count the memory of the process that started this one too.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM.")
