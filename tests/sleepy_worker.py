"""A worker of the benchmark without libraries: it sleeps, or it fails to prepare."""

import time

from benchmarks import protocol


def prepare(case, images):
    if case == "broken":
        raise ValueError("out of order")
    return len(images), lambda: time.sleep(0.01)


if __name__ == "__main__":
    protocol.serve(prepare, {"sleep": "1.0"})
