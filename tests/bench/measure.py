"""What `bench.py` measures with: stand-ins, a client that is a real JVM, and one command's time, CPU and memory."""

import contextlib
import ctypes
import json
import math
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent

# As the vendor's: a shell script that starts the JVM in its own tree.
LAUNCHER = """#!/bin/sh
exec '{tree}/jre/bin/java' -cp '{tree}/lib/classes' Client '{tree}/stand-in/bin/java' "$@"
"""

# Between two looks at the memory of a process that runs.
LOOK = 0.005
ATTEMPTS = 4


class Failed(Exception):
    """A command that had to succeed did not."""


class Stage:
    """Stand-ins of their own for one measurement, on a line and with devices of some kind."""

    def __init__(self, target, binaries, folder, **conditions):
        self.target, self.folder = target, folder
        options = [word for name, value in conditions.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        command = [binaries / "snow-rehearsal", "serve", "--json", *options]
        piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen(command, start_new_session=True, **piped)
        line = self.server.stdout.readline()
        if not line:
            raise Failed("the stand-ins did not start")
        self.facts = json.loads(line)
        self.jobs = self.facts["devices"]
        self.client = self.install()

    def install(self):
        """The stand-in's client in a tree with a JVM, which starts it as a program of its own."""
        tree = self.folder / "client"
        shutil.copytree(pathlib.Path(self.facts["client"]).parent.parent, tree)
        (tree / "jre").rename(tree / "stand-in")
        shutil.copytree(self.target / "bench" / "jre", tree / "jre", copy_function=os.link)
        shutil.copytree(self.target / "bench" / "classes", tree / "lib" / "classes")
        launcher = tree / "bin" / "snowballEdge"
        launcher.write_text(LAUNCHER.format(tree=tree))
        return launcher

    def environment(self):
        path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        trust = {"AWS_CA_BUNDLE": self.facts["ca_bundle"], "AWS_DEFAULT_REGION": self.facts["region"]}
        return {"PATH": path, "LANG": "C.UTF-8"} | trust | self.facts["env"]

    def close(self):
        self.server.stdin.close()
        self.server.wait(timeout=60)


@contextlib.contextmanager
def stage(target, binaries, **conditions):
    with tempfile.TemporaryDirectory(prefix="snow-bench-") as name:
        stage = Stage(target, binaries, pathlib.Path(name), **conditions)
        try:
            yield stage
        finally:
            stage.close()


class Run:
    """One command, until it succeeds: seconds, CPU seconds of all it started, and MB of memory at most."""

    def __init__(self, command, env, attempts=ATTEMPTS):
        self.failures, start = 0, time.monotonic()
        self.cpu, self.own, self.largest = 0.0, 0, 0.0
        while not self.attempt([str(word) for word in command], env):
            self.failures += 1
            if self.failures == attempts:
                raise Failed(f"{' '.join(map(str, command))} failed {attempts} times:\n{self.said}")
        self.seconds = time.monotonic() - start

    def attempt(self, command, env):
        with tempfile.TemporaryFile() as said:
            # In a session of its own: Linux shares a busy machine out by sessions, and the agent's guard begins one anyway.
            tied = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said, "start_new_session": True}
            process = subprocess.Popen(command, env=env, **tied)
            ended = 0
            while not ended:
                self.own = max(self.own, peak_of(process.pid))
                time.sleep(LOOK)
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            self.said = said.read().decode(errors="replace")
        self.cpu += used.ru_utime + used.ru_stime
        self.largest = max(self.largest, used.ru_maxrss / 1024)
        return process.returncode == 0


def peak_of(pid):
    """MB that the process itself had at most so far; 0 once it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            return next((int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


class Figures:
    """The runs of one contestant."""

    def __init__(self, runs):
        self.runs = runs
        seconds = sorted(run.seconds for run in runs)
        self.median, self.p90 = statistics.median(seconds), seconds[math.ceil(0.9 * len(seconds)) - 1]
        self.cpu = statistics.median(run.cpu for run in runs)
        self.own, self.largest = max(run.own for run in runs), max(run.largest for run in runs)
        self.failures = sum(run.failures for run in runs)

    def beside(self, other):
        """The median of the ratios of one round each."""
        return statistics.median(mine.seconds / its.seconds for mine, its in zip(self.runs, other.runs, strict=True))


def join_a_session_keyring():
    """The kernel's keyring keeps the code in these runs: it asks nobody, and wants a session of its own."""
    keyctl = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    join_session_keyring = 1
    if ctypes.CDLL(None, use_errno=True).syscall(keyctl, join_session_keyring, None) < 0:
        sys.exit(f"no session keyring: {os.strerror(ctypes.get_errno())}")


def allow_many_files():
    """A thousand devices are a thousand ports."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
