"""Measures commands with few and with many kept jobs, in turn. See `kept`, which starts this."""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

from stage import join_a_session_keyring, served

BIN = pathlib.Path(sys.argv[1]).resolve()
CALLS = int(sys.argv[2])
FEW, MANY = 10, 1000


def run(command, env):
    """Seconds, and the most memory in KiB, of this process alone."""
    with tempfile.TemporaryFile() as said:
        start = time.monotonic()
        child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
        took = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            said.seek(0)
            sys.exit(f"{command} ended with {child.returncode}:\n{said.read().decode()}")
    return took, used.ru_maxrss


def copied(state, job, count):
    """A state folder like `state`, with so many jobs: copies of the one there is, under ids of their own."""
    folder = state.with_name(f"state-{count}")
    shutil.copytree(state, folder)
    jobs = folder / "jobs"
    record = (jobs / job / "record.json").read_text()
    for _ in range(count - 1):
        other = f"JID{uuid.uuid4()}"
        (jobs / other).mkdir(mode=0o700)
        for name, text in [("record.json", record.replace(job, other)), (f"{other}_manifest.bin", "x" * 4096)]:
            (jobs / other / name).write_text(text)
            (jobs / other / name).chmod(0o600)
    return folder


def main():
    join_a_session_keyring()
    with tempfile.TemporaryDirectory() as name, served(BIN) as stage:
        folder = pathlib.Path(name)
        (folder / "home").mkdir()
        env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LANG": "C.UTF-8"} | stage["env"]
        job, agent = stage["jobs"][0]["id"], BIN / "snow-onboard"

        def command(words, state):
            flags = ["--state-dir", state, "--keychain", "kernel", "--quiet", "--no-input"]
            return [agent, words[0], *flags, *words[1:]]

        client = ["--client", stage["client"]]
        state = folder / "state"
        at = ["--endpoint", stage["device_endpoint"]]
        run(command(["run", job, *at, *client, "--ca-bundle", stage["ca_bundle"]], state), env)
        run(command(["credentials", job, *client], state), env)
        states = {count: copied(state, job, count) for count in (FEW, MANY)}
        verbs = {
            "unlock JOB": ["unlock", job, *at, *client],
            "credentials JOB": ["credentials", job],
            "client JOB": ["client", job, *client, "--", "describe-device"],
            "status JOB --offline": ["status", job, "--offline"],
            "status --help": None,
            "status --offline (it lists all)": ["status", "--offline"],
        }
        for verb, words in verbs.items():
            line = (lambda state: [agent, "status", "--help"]) if words is None else (lambda state: command(words, state))
            calls = 1 if "lists" in verb else CALLS
            taken = {count: [] for count in states}
            for _ in range(calls):
                for count, state in states.items():
                    taken[count].append(run(line(state), env))
            (few, few_kib), (many, many_kib) = (
                [statistics.median(column) for column in zip(*taken[count])] for count in (FEW, MANY)
            )
            print(
                f"{verb}: {few * 1000:.0f} ms and {few_kib / 1024:.1f} MiB with {FEW} jobs; with {MANY:,} jobs"
                f" {many / few:.2f} of the time and {many_kib / few_kib:.2f} of the memory"
            )


main()
