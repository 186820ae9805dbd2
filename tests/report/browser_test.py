#!/usr/bin/env python3
"""Opens HTML reports in headless Chromium, as a reader does: light and dark, on a desk and on a phone.

    browser_test.py [--shots FOLDER] REPORT.html...

Fails on: an error or warning in the console, any request but the file itself, an empty chart, a page wider than the
screen, text that became an element. Exits with 77 (skipped) if there is no Chromium. Talks to it over a pipe (the
DevTools protocol), so that it needs nothing but Python.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

SKIPPED = 77
SCREENS = {"desk": (1280, 900, False), "phone": (390, 844, True)}

# Every figure shown, every canvas with at least some pixels of a colour of the palette, and what stuck out.
EXAMINE = """(() => {
  const root = document.documentElement, bad = [];
  if (root.scrollWidth > innerWidth) bad.push(`the page is ${root.scrollWidth} wide on ${innerWidth}`);
  const canvases = [...document.querySelectorAll("canvas")];
  if (canvases.length === 0) bad.push("there is no chart");
  for (const canvas of canvases) {
    const box = canvas.getBoundingClientRect();
    if (box.width < 100 || box.height < 50) { bad.push(`${canvas.id} is ${box.width} x ${box.height}`); continue; }
    const copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    const context = copy.getContext("2d", {willReadFrequently: true});
    context.drawImage(canvas, 0, 0);
    const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
    let painted = 0;
    for (let i = 0; i < pixels.length; i += 4)
      if (pixels[i + 3] > 200 && Math.max(pixels[i], pixels[i + 1], pixels[i + 2]) -
          Math.min(pixels[i], pixels[i + 1], pixels[i + 2]) > 60) ++painted;
    if (painted < 50) bad.push(`${canvas.id} has ${painted} coloured pixels`);
  }
  for (const name of ["img", "iframe", "object", "embed", "svg", "form", "base"])
    if (document.querySelector("body " + name)) bad.push(`there is an element ${name}`);
  if (document.scripts.length !== 3) bad.push(`${document.scripts.length} scripts`);
  if (document.querySelectorAll("table").length === 0) bad.push("there is no table");
  return {bad, charts: canvases.length, background: getComputedStyle(document.body).backgroundColor};
})()"""


# The other view of every chart that has one.
PRESS = """document.querySelectorAll("button").forEach(b => b.click());
[...document.querySelectorAll("button")].every(b => b.getAttribute("aria-pressed") === "true")"""


class Browser:
    """One Chromium and one tab of it."""

    def __init__(self, program, profile):
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--disable-background-networking", "--disable-component-update",
                   "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]

        def place():  # the pipe's ends are descriptors 3 and 4
            a, b = os.dup(to_browser), os.dup(from_browser)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(command, close_fds=False, preexec_fn=place, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.buffer, self.events = 0, b"", []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def message(self):
        while b"\0" not in self.buffer:
            data = os.read(self.read, 1 << 20)
            if not data:
                raise RuntimeError("the browser ended")
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.write, data):]
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, event):
        while not any(e.get("method") == event for e in self.events):
            self.events.append(self.message())

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)  # and its helpers
        self.process.wait()


def complaints(events, url):
    for event in events:
        what, about = event.get("method"), event.get("params", {})
        if what == "Runtime.exceptionThrown":
            yield "exception: " + json.dumps(about["exceptionDetails"])[:400]
        elif what == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            yield f"console {about['type']}: " + json.dumps(about["args"])[:400]
        elif what == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            yield "log: " + about["entry"]["text"]
        elif what == "Network.requestWillBeSent":
            asked = about["request"]["url"]
            if asked != url and not asked.startswith("data:"):
                yield "request: " + asked


def take_picture(browser, path):
    picture = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
    path.write_bytes(base64.b64decode(picture))


def examine(browser, path, screen, scheme, shots):
    width, height, mobile = SCREENS[screen]
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events = []
    url = path.resolve().as_uri()
    browser.call("Page.navigate", url=url)
    browser.wait_for("Page.loadEventFired")
    # Two frames, for what is drawn after the load.
    browser.call("Runtime.evaluate", awaitPromise=True,
                 expression="new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    seen = browser.call("Runtime.evaluate", expression=EXAMINE, returnByValue=True)
    if "exceptionDetails" in seen:
        raise RuntimeError(json.dumps(seen["exceptionDetails"]))
    value = seen["result"]["value"]
    problems = value["bad"]
    if shots:
        take_picture(browser, shots / f"{path.stem}-{screen}-{scheme}.png")
    if not browser.call("Runtime.evaluate", expression=PRESS, returnByValue=True)["result"]["value"]:
        problems.append("a button does not stay pressed")
    pressed = browser.call("Runtime.evaluate", expression=EXAMINE, returnByValue=True)["result"]["value"]
    problems += ["other view: " + problem for problem in pressed["bad"]] + list(complaints(browser.events, url))
    if shots:
        take_picture(browser, shots / f"{path.stem}-{screen}-{scheme}-other.png")
    return problems, value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", nargs="+", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path)
    args = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        print("skipped: no chromium (apt-get install chromium)")
        return SKIPPED
    failed = 0
    # Helpers that are not waited for may still write to it.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            for path in args.reports:
                backgrounds = set()
                for screen in SCREENS:
                    for scheme in ("light", "dark"):
                        problems, value = examine(browser, path, screen, scheme, args.shots)
                        backgrounds.add(value["background"])
                        for problem in problems:
                            print(f"{path.name}, {screen}, {scheme}: {problem}")
                        failed += len(problems)
                        print(f"{path.name}, {screen}, {scheme}: {value['charts']} charts, {len(problems)} problems")
                if len(backgrounds) != 2:
                    print(f"{path.name}: light and dark look the same")
                    failed += 1
        finally:
            browser.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
