"""`python -m benchmarks.serving`: the local server under load, beside its model."""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.table import Table

from recipes import cli
from recipes.server.process import ServerProcess

ENTRY = "conv_vae_mnist"
BATCHES, CLIENTS = (1, 32), (1, 8, 32)
WANTED = 0.7  # of the direct call's throughput, by gRPC with 32 rows

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


class Load(NamedTuple):
    """What a closed loop found."""

    throughput: float  # answers per second
    p50: float  # ms from a question to its answer
    p99: float

    def __str__(self):
        return f"{self.throughput:.0f}/s, {self.p50:.1f}, {self.p99:.1f} ms"


@app.command()
def serving(
    seconds: Annotated[
        float, typer.Option(min=0.1, max=30, help="Of each of the 18 loads.")
    ] = 3.0,
) -> None:
    """Measure throughput and latency of the local server, at loopback.

    As many clients as said each ask again once they are answered. Leave the machine
    alone meanwhile; the clients share it with the server.
    """
    cli.start_tensorflow()
    import zoo

    entry = zoo.presets.find(ENTRY)
    table = Table(title=f"{entry.name}: answers per second, median, 99th percentile")
    for column in ("rows", "clients", "SavedModel", "gRPC", "REST", "gRPC's share"):
        table.add_column(column)
    ratios = []
    with callers(entry) as ways:
        for rows in BATCHES:
            for clients in CLIENTS:
                loads = [closed_loop(make, rows, clients, seconds) for make in ways]
                ratio = loads[1].throughput / loads[0].throughput
                ratios += [ratio] if rows == max(BATCHES) else []
                cells = (rows, clients, *loads, f"{ratio:.2f}")
                table.add_row(*map(str, cells))
    cli.console.print(table)
    share = f"{min(ratios):.2f} of the SavedModel's throughput; wanted: {WANTED}."
    cli.console.print(f"gRPC with {max(BATCHES)} rows: at least {share}")


@contextmanager
def callers(entry):
    """Makers of a call that takes x: of the SavedModel in this process, gRPC, REST."""
    import tensorflow as tf

    from zoo.client import Client

    server = ServerProcess(entry)
    try:
        version = max((entry / "serving").glob("[0-9]*"), key=lambda p: int(p.name))
        loaded = tf.saved_model.load(str(version)).signatures["serving_default"]

        def direct():
            return lambda x: loaded(x=tf.constant(x))["reconstruction"].numpy()

        def over(url):
            return lambda: Client(entry.name, url).reconstruct

        yield direct, over(server.urls["grpc"]), over(server.urls["http"])
    finally:
        server.stop()


def closed_loop(make: Callable, rows: int, clients: int, seconds: float) -> Load:
    """Threads ask for so many seconds, at least once, each one question at a time."""
    x = np.random.default_rng(0).random((rows, 28, 28, 1)).round().astype("float32")
    calls, found = [make() for _ in range(clients)], []
    for call in calls:
        call(x)  # connects
    end = time.perf_counter() + seconds

    def ask(call):
        answered = 0.0
        while answered < end:
            asked = time.perf_counter()
            call(x)
            answered = time.perf_counter()
            found.append(answered - asked)

    threads = [threading.Thread(target=ask, args=[call]) for call in calls]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    throughput = len(found) / (time.perf_counter() - began)
    return Load(throughput, *1000 * np.percentile(found, (50, 99)))


if __name__ == "__main__":
    cli.main(app)
