"""What the timed programs run against: stand-ins, and a client made slow in this way or that. Used by `pallet.py`, `kept.py` and `credentials.py`."""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

CLASSES = pathlib.Path("target/speed").resolve()

# A real JVM around the stand-in: starting it keeps a core busy.
COMPUTES = """#!/bin/sh
exec java -cp '{tree}/lib/classes' Client '{tree}/jre/bin/java' "$@"
"""

# As long a start that leaves the core to others.
WAITS = """#!/bin/sh
sleep 1
exec '{tree}/jre/bin/java' "$@"
"""


@contextlib.contextmanager
def served(programs, devices=1):
    """Stand-ins with locked devices; gives their description."""
    serve = [programs / "snow-rehearsal", "serve", "--json", "--devices", str(devices)]
    server = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait(timeout=30)


@contextlib.contextmanager
def stand_ins(folder, programs, launcher, devices=1):
    """The same, with the path of a client with this launcher."""
    with served(programs, devices) as stage:
        vendors = pathlib.Path(stage["client"]).parent.parent
        tree = folder / "client"
        shutil.copytree(vendors, tree)
        shutil.copytree(CLASSES, tree / "lib" / "classes")
        client = tree / "bin" / "snowballEdge"
        client.write_text(launcher.format(tree=tree))
        yield stage, client


def environment(stage, folder):
    ours = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LANG": "C.UTF-8"}
    (folder / "home").mkdir()
    return ours | stage["env"]


def seconds(command, env):
    start = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    took = time.monotonic() - start
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took


def join_a_session_keyring():
    """The kernel's keyring keeps the code in these runs: it asks nobody, and wants a session of its own."""
    keyctl = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    join_session_keyring = 1
    if ctypes.CDLL(None, use_errno=True).syscall(keyctl, join_session_keyring, None) < 0:
        sys.exit(f"no session keyring: {os.strerror(ctypes.get_errno())}")
