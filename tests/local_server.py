"""The local server as a process: start, kill, ask how much memory it takes."""

import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


class LocalServer:
    """A server of one model, ready when made.

    Args:
        command: arguments of `python -m`, without ports.
        ports: of gRPC and REST; 0 is any.
        options: what comes before the ports.
    """

    def __init__(self, *command, ports=(0, 0), options=("", "")):
        ports = [f"{option}{port}" for option, port in zip(options, ports)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command), *ports],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.greeting = self.process.stdout.readline()
        self.curl = self.process.stdout.readline().strip()
        self.urls = dict(re.findall(r"(grpc|http)(://[\w.]+:\d+)", self.greeting))
        self.urls = {scheme: scheme + rest for scheme, rest in self.urls.items()}

    @property
    def ports(self) -> list[int]:
        """Of gRPC and of REST."""
        return [int(self.urls[scheme].split(":")[-1]) for scheme in ("grpc", "http")]

    @property
    def memory(self) -> int:
        """Resident, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ends it and returns its exit code."""
        self.process.send_signal(how)
        self.process.stdout.close()
        return self.process.wait(timeout=30)
