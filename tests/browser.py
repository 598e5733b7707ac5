"""Chromium without a window, driven by the DevTools protocol through two pipes."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no internet
    "--window-size=1180,1700",
)


class Browser:
    """One page; `urls` are all that it asked for, `errors` what its scripts threw."""

    def __init__(self, url: str):
        self.profile = tempfile.mkdtemp()
        reader, self.writer = os.pipe()
        self.reader, writer = os.pipe()
        arguments = [*FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        script = f'exec chromium "$@" 3<&{reader} 4>&{writer}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *arguments],
            pass_fds=(reader, writer),
            stderr=subprocess.DEVNULL,
        )
        os.close(reader)
        os.close(writer)
        self.count, self.read, self.session = 0, b"", {}
        self.urls, self.errors = [], []
        pages = self.do("Target.getTargets")["targetInfos"]
        (page,) = (p["targetId"] for p in pages if p["type"] == "page")
        found = self.do("Target.attachToTarget", targetId=page, flatten=True)
        self.session = {"sessionId": found["sessionId"]}
        for domain in ("Network", "Page", "Runtime"):
            self.do(f"{domain}.enable")
        self.do("Page.navigate", url=url)

    def do(self, method: str, **params) -> dict:
        """Sends a command and waits for its result."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params, **self.session}
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("method") == "Network.requestWillBeSent":
                self.urls.append(answer["params"]["request"]["url"])
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"])
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def message(self) -> dict:
        while b"\0" not in self.read:
            part = os.read(self.reader, 2**16)
            assert part, "Chromium ended."
            self.read += part
        message, _, self.read = self.read.partition(b"\0")
        return json.loads(message)

    def see(self, script: str):
        """The value of a JavaScript expression."""
        found = self.do("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 60):
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + seconds
        while not (value := self.see(script)):
            assert time.monotonic() < end, (script, self.errors)
            time.sleep(0.05)
        return value

    def drag(self, element: str, start: tuple, end: tuple) -> None:
        """Draws the mouse over an element; places are shares of its size."""
        self.see(f"{element}.scrollIntoView({{block: 'center'}})")
        script = f"{{const r = {element}.getBoundingClientRect();"
        script += "[r.left, r.top, r.width, r.height]}"
        left, top, width, height = self.see(script)
        for kind, (x, y) in (
            ("mousePressed", start),
            ("mouseMoved", end),
            ("mouseReleased", end),
        ):
            self.do(
                "Input.dispatchMouseEvent",
                type=kind,
                x=left + x * width,
                y=top + y * height,
                button="left",
                buttons=int(kind != "mouseReleased"),
                clickCount=1,
            )

    def screenshot(self, file: Path) -> None:
        """Writes the whole page as PNG."""
        found = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """Ends the browser and removes its profile."""
        self.process.terminate()
        self.process.wait()
        os.close(self.reader)
        os.close(self.writer)
        shutil.rmtree(self.profile, ignore_errors=True)
