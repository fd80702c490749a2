"""Times a run of one device and a run of ten in turn, each against stand-ins of its own. See `pallet`."""

import contextlib
import pathlib
import statistics
import sys
import tempfile

from stage import COMPUTES, WAITS, environment, join_a_session_keyring, seconds, stand_ins

BIN = pathlib.Path(sys.argv[1]).resolve()
RUNS = int(sys.argv[2])
DEVICES = 10
LIMIT = 1.5


def measure(launcher, devices):
    """Seconds of one run, first start and all, against stand-ins of its own."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        stage, client = stack.enter_context(stand_ins(folder, BIN, launcher, devices))
        given = ["--ca-bundle", stage["ca_bundle"], "--state-dir", folder / "state"]
        given += ["--keychain", "kernel", "--quiet", "--no-input"]
        env = environment(stage, folder)
        run = [BIN / "snow-onboard", "run", *given, "--client", client]
        if devices == 1:
            run += [stage["jobs"][0]["id"], "--endpoint", stage["device_endpoint"]]
        else:
            run += ["--plan", stage["plan"], "--parallel", str(devices)]
        took = seconds(run, env)
        for job in stage["jobs"][:devices]:
            seconds([BIN / "snow-onboard", "forget", job["id"], *given], env)
        return took


def main():
    join_a_session_keyring()
    for name, launcher in (("waits", WAITS), ("computes", COMPUTES)):
        rounds = [[measure(launcher, devices) for devices in (1, DEVICES)] for _ in range(RUNS)]
        one, many = (statistics.median(took) for took in zip(*rounds))
        ratios = sorted(many / one for one, many in rounds)
        verdict = "within" if many / one <= LIMIT else "above"
        print(f"a client that {name}: one device {one:.2f} s, {DEVICES} devices {many:.2f} s")
        print(f"  {many / one:.2f} of one device ({ratios[0]:.2f} to {ratios[-1]:.2f}), {verdict} {LIMIT}")


main()
