"""Times the agent and the script of `by_hand.py` in turn, each time against stand-ins of its own. See `run`."""

import contextlib
import json
import pathlib
import statistics
import sys
import tempfile

from stage import COMPUTES, environment, join_a_session_keyring, seconds, stand_ins

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.argv[1]).resolve()
RUNS = int(sys.argv[2])


def agent(verb, stage, client, folder):
    command = [BIN / "snow-onboard", verb, stage["jobs"][0]["id"], "--ca-bundle", stage["ca_bundle"]]
    command += ["--state-dir", folder / "state", "--keychain", "kernel", "--quiet", "--no-input"]
    if verb == "run":
        command += ["--endpoint", stage["device_endpoint"], "--client", client]
    return command


def measure(who):
    """Seconds of one run of `who`, against stand-ins of its own."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        stage, client = stack.enter_context(stand_ins(folder, BIN, COMPUTES))
        env = environment(stage, folder)
        if who == "script":
            return seconds([sys.executable, HERE / "by_hand.py", json.dumps(stage), str(client), str(folder)], env)
        if who == "kept pair":
            seconds(agent("fetch", stage, client, folder), env)
        took = seconds(agent("run", stage, client, folder), env)
        seconds(agent("forget", stage, client, folder), env)
        return took


def main():
    join_a_session_keyring()
    rounds = [{who: measure(who) for who in ("script", "first run", "kept pair")} for _ in range(RUNS)]
    print(f"boto3 script: {statistics.median(r['script'] for r in rounds):.2f} s")
    for who in ("first run", "kept pair"):
        ratios = sorted(r[who] / r["script"] for r in rounds)
        middle = statistics.median(r[who] for r in rounds)
        print(f"{who}: {middle:.2f} s, {statistics.median(ratios):.2f} of the script ({ratios[0]:.2f} to {ratios[-1]:.2f})")


main()
