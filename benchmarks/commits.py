"""The speed of this checkout beside that of another commit, run by run in turns.

Both run the workers of this checkout. Leave the machine alone meanwhile.

python -m benchmarks.commits COMMIT
"""

import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.protocol import ROOT, Worker
from benchmarks.run import binary_mnist

CASES = ("train_dense_128", "train_dense_512", "train_conv_128", "train_iaf_128")
CASES += ("train_ladder_128", "nll", "nll_iaf", "nll_ladder", "sample", "encode")
ROUNDS = 7


def main(commit: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        other, images = Path(scratch, "other"), Path(scratch, "images.npz")
        git = "git", "-C", ROOT, "worktree"
        subprocess.run([*git, "add", "--quiet", "--detach", other, commit], check=True)
        try:
            shutil.rmtree(other / "benchmarks", ignore_errors=True)
            shutil.copytree(ROOT / "benchmarks", other / "benchmarks")
            np.savez(images, images=binary_mnist()[..., 0])
            for case in CASES:
                ratios = compare(case, other, images)
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                median = statistics.median(ratios)
                print(f"{case}: {median:.2f} times as fast ({spread})", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", other], check=True)


def compare(case: str, other: Path, images: Path) -> list[float]:
    """How many times as fast this checkout is, in every round."""
    with contextlib.ExitStack() as stack:
        before, now = (
            stack.enter_context(
                Worker(
                    Path(sys.executable),
                    "benchmarks.zoo_worker",
                    case,
                    images,
                    images.with_name(name),
                    root,
                )
            )
            for name, root in (("before", other), ("now", ROOT))
        )
        return [before.run() / now.run() for _ in range(ROUNDS)]


if __name__ == "__main__":
    main(*sys.argv[1:])
