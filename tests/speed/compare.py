"""Times the agent and the script of `by_hand.py` in turn, each time against stand-ins of its own. See `run`."""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.argv[1]).resolve()
CLASSES = pathlib.Path("target/speed").resolve()
RUNS = int(sys.argv[2])

LAUNCHER = """#!/bin/sh
exec java -cp '{classes}' Client '{program}' "$@"
"""


@contextlib.contextmanager
def stand_ins(folder):
    """Stand-ins with a locked device, and a client that is a real JVM; gives their description and the client's path."""
    server = subprocess.Popen(
        [BIN / "snow-rehearsal", "serve", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        stage = json.loads(server.stdout.readline())
        vendors = pathlib.Path(stage["client"]).parent.parent
        tree = folder / "client"
        shutil.copytree(vendors, tree)
        launcher = tree / "bin" / "snowballEdge"
        classes = tree / "lib" / "classes"
        shutil.copytree(CLASSES, classes)
        launcher.write_text(LAUNCHER.format(classes=classes, program=tree / "jre" / "bin" / "java"))
        yield stage, launcher
    finally:
        server.stdin.close()
        server.wait(timeout=30)


def environment(stage, folder):
    ours = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LANG": "C.UTF-8"}
    (folder / "home").mkdir()
    return ours | stage["env"]


def agent(verb, stage, client, folder):
    command = [BIN / "snow-onboard", verb, stage["jobs"][0]["id"], "--ca-bundle", stage["ca_bundle"]]
    command += ["--state-dir", folder / "state", "--keychain", "kernel", "--quiet", "--no-input"]
    if verb == "run":
        command += ["--endpoint", stage["device_endpoint"], "--client", client]
    return command


def seconds(command, env):
    start = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    took = time.monotonic() - start
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took


def measure(who):
    """Seconds of one run of `who`, against stand-ins of its own."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        stage, client = stack.enter_context(stand_ins(folder))
        env = environment(stage, folder)
        if who == "script":
            return seconds([sys.executable, HERE / "by_hand.py", json.dumps(stage), str(client), str(folder)], env)
        if who == "kept pair":
            seconds(agent("fetch", stage, client, folder), env)
        took = seconds(agent("run", stage, client, folder), env)
        seconds(agent("forget", stage, client, folder), env)
        return took


def join_a_session_keyring():
    """The kernel's keyring keeps the code in these runs: it asks nobody, and wants a session of its own."""
    keyctl = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    join_session_keyring = 1
    if ctypes.CDLL(None, use_errno=True).syscall(keyctl, join_session_keyring, None) < 0:
        sys.exit(f"no session keyring: {os.strerror(ctypes.get_errno())}")


def main():
    join_a_session_keyring()
    rounds = [{who: measure(who) for who in ("script", "first run", "kept pair")} for _ in range(RUNS)]
    print(f"boto3 script: {statistics.median(r['script'] for r in rounds):.2f} s")
    for who in ("first run", "kept pair"):
        ratios = sorted(r[who] / r["script"] for r in rounds)
        middle = statistics.median(r[who] for r in rounds)
        print(f"{who}: {middle:.2f} s, {statistics.median(ratios):.2f} of the script ({ratios[0]:.2f} to {ratios[-1]:.2f})")


main()
