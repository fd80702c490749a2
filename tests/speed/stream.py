"""Times a stream through `client` beside the client alone. See `stream`, which starts this."""

import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

BIN = pathlib.Path(sys.argv[1]).resolve()
PAIRS = int(sys.argv[2])
PIECE, PIECES = 50 << 20, 10
BLOCK = 64 << 10

# Commands of this test's own, in the client's launcher: they need no JVM, so that the stream alone is timed.
PROBE = """
case $1 in
  probe-out) for piece in 1 2 3 4 5 6 7 8 9 10; do cat "$2"; done; exit ;;
  probe-in) wc -c; exit ;;
esac
"""


def join_a_session_keyring():
    keyctl = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    if ctypes.CDLL(None, use_errno=True).syscall(keyctl, 1, None) < 0:
        sys.exit(f"no session keyring: {os.strerror(ctypes.get_errno())}")


def timed(command, env, source=None, sink=None):
    """Seconds, seconds of CPU, and the peak memory in MB of the largest process of it, which is at least this program's own. The file
    `source` goes in, ten times; stdout goes to the file `sink`, or to a pipe that is read at once."""
    start = time.monotonic()
    streams = {"stdin": subprocess.PIPE if source else subprocess.DEVNULL}
    process = subprocess.Popen(command, env=env, stdout=sink or subprocess.PIPE, **streams)
    got = 0
    if source:
        for _ in range(PIECES):
            with open(source, "rb") as file:
                while block := file.read(BLOCK):
                    process.stdin.write(block)
        process.stdin.close()
    if sink is None:
        while piece := os.read(process.stdout.fileno(), BLOCK):
            got += len(piece)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    got = sink.tell() if sink else got
    if not source and command[-2:-1] == ["probe-out"] and got != PIECE * PIECES:
        sys.exit(f"{got} bytes came")
    return time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main():
    join_a_session_keyring()
    serve = [BIN / "snow-rehearsal", "serve", "--json"]
    server = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with tempfile.TemporaryDirectory() as name:
            compare(json.loads(server.stdout.readline()), pathlib.Path(name))
    finally:
        server.stdin.close()
        server.wait(timeout=30)


def compare(stage, folder):
    client = pathlib.Path(stage["client"])
    first, rest = client.read_text().split("\n", 1)
    client.write_text(f"{first}\n{PROBE}{rest}")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"} | stage["env"]
    job, agent = stage["jobs"][0]["id"], BIN / "snow-onboard"
    flags = ["--state-dir", folder / "state", "--keychain", "kernel", "--client", client]
    at = ["--endpoint", stage["device_endpoint"], "--ca-bundle", stage["ca_bundle"], "--quiet", "--no-input"]
    subprocess.run([agent, "run", job, *flags, *at], env=env, check=True, stdout=subprocess.DEVNULL)
    ours = [agent, "client", job, *flags, "--"]
    idle = statistics.median(timed([*ours, "probe-in"], env)[0] for _ in range(PAIRS))
    print(f"a session that streams nothing: {idle:.2f} s, which the figures below leave out")
    binary, text = folder / "binary", folder / "text"
    line = b"2026-11-26T12:00:00Z INFO  the device says something in a line of a log, and the next says it again\n"
    with open(binary, "wb") as random, open(text, "wb") as log:
        for _ in range(PIECE // BLOCK):
            random.write(os.urandom(BLOCK))
            log.write((line * (BLOCK // len(line) + 1))[:BLOCK])
    for what, content, is_input, to_file in [
        ("binary, out to a pipe", binary, False, False),
        ("binary, out to a file", binary, False, True),
        ("text, out to a pipe", text, False, False),
        ("text, out to a file", text, False, True),
        ("binary, in from a pipe", binary, True, False),
    ]:
        took, cpu, most = {"alone": [], "ours": []}, {"alone": [], "ours": []}, 0
        for _ in range(PAIRS):
            for whose, command in [("alone", [client]), ("ours", ours)]:
                command = [*command, "probe-in"] if is_input else [*command, "probe-out", content]
                with open(folder / "sink", "wb") as sink:
                    seconds, busy, memory = timed(command, env, content if is_input else None, sink if to_file else None)
                took[whose].append(seconds - (idle if whose == "ours" else 0))
                cpu[whose].append(busy)
                most = max(most, memory) if whose == "ours" else most
        alone, through = (statistics.median(took[whose]) for whose in ("alone", "ours"))
        rate = PIECE * PIECES / 1e6 / through
        print(f"{what}: alone {alone:.2f} s, ours {through:.2f} s ({rate:.0f} MB/s), {through / alone:.1f} times; "
              f"CPU {statistics.median(cpu['alone']):.2f} s and {statistics.median(cpu['ours']):.2f} s; at most {most:.0f} MB")


main()
