"""The server as a process of its own."""

import re
import signal
import subprocess
import sys
from pathlib import Path

ANY_PORTS = (0, 0)  # that are free
HOST = "127.0.0.1"


def command(entry: Path, host: str, ports: tuple[int, int]) -> list[str]:
    """What serves an entry's newest export; ports are of gRPC and of REST."""
    arguments = (entry.name, entry / "serving", host, *ports)
    return [sys.executable, "-m", "recipes.server", *map(str, arguments)]


class ServerProcess:
    """A server at loopback, ready when it is made.

    Attributes:
        urls: by scheme, `grpc` and `http`.
        ports: of gRPC and of REST.
        curl: the request that it proposes.

    Raises:
        RuntimeError: if it does not start; it writes to stderr why.
    """

    def __init__(self, entry: Path, ports: tuple[int, int] = ANY_PORTS):
        self.process = subprocess.Popen(
            command(entry, HOST, ports), stdout=subprocess.PIPE, text=True
        )
        found = re.findall(
            r"((grpc|http)://[\d.]+:(\d+))", self.process.stdout.readline()
        )
        if not found:  # it has said why
            self.process.stdout.close()
            code = self.process.wait()
            raise RuntimeError(f"The server did not start. Received: exit code {code}")
        self.urls = {scheme: url for url, scheme, _ in found}
        self.ports = tuple(int(port) for *_, port in found)
        self.curl = self.process.stdout.readline().strip()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ends it by a signal and returns its exit code."""
        self.process.send_signal(how)
        self.process.stdout.close()
        return self.process.wait(timeout=30)
