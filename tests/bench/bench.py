"""Times the agent beside what people do today. See `run`, which starts this.

    bench.py TARGET PROFILE [--quick] [--agent PATH] [--rounds N] [--only PART]... [--output FOLDER]
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import platform
import signal
import subprocess
import sys

from measure import ATTEMPTS, HERE, Failed, Figures, Run, allow_many_files, join_a_session_keyring, stage
from plot import Bar, Group, plot

PEER = "boto3 script, a look every 1 s"
# As the quickest of the published scripts does; AWS's own looks every 30 s.
AS_PUBLISHED = "boto3 script, a look every 10 s"
FRESH, FRESH_KNOWN = "ours, first run", "ours, first run, client known"
KEPT, KEPT_KNOWN = "ours, pair kept", "ours, pair kept, client known"


def main():
    # So that what was begun is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    bench = Bench(parse())
    join_a_session_keyring()
    allow_many_files()
    for name in bench.options.only or (["near", "many"] if bench.options.quick else list(PARTS)):
        bench.load = [os.getloadavg()[0]]
        PARTS[name](bench)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=lambda name: pathlib.Path(name).resolve())
    parser.add_argument("profile")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--agent", type=pathlib.Path)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "results")
    return parser.parse_args()


class Bench:
    def __init__(self, options):
        self.options = options
        self.binaries = options.target / options.profile
        self.agent = options.agent or self.binaries / "snow-onboard"
        self.rounds = options.rounds or (3 if options.quick else 10)
        self.load = []

    def stage(self, **conditions):
        return stage(self.options.target, self.binaries, **conditions)

    # One run of each contestant, with stand-ins of its own.

    def ours(self, stage, verb, job, *more, attempts=ATTEMPTS):
        command = [self.agent, verb, *([job["id"]] if job else []), "--state-dir", stage.folder / "state", "--quiet"]
        if verb != "jobs":
            command += ["--keychain", "kernel"]
        if verb in ("run", "fetch", "jobs"):
            command += ["--ca-bundle", stage.facts["ca_bundle"]]
        if verb == "run":
            command += ["--client", stage.client]
        if verb == "run" and job:
            command += ["--endpoint", job["device_endpoint"]]
        return Run([*command, "--no-input", *more], stage.environment(), attempts)

    def first_run(self, knows_client, has_pair):
        """Gives what measures a run where an earlier one of another job has left what it knows of the client, or not, and
        where the pair was fetched before, or not."""

        def measure(**conditions):
            with self.stage(devices=1 + int(knows_client), **conditions) as stage:
                if knows_client:
                    self.make_known(stage)
                if has_pair:
                    self.ours(stage, "fetch", stage.jobs[0])
                run = self.ours(stage, "run", stage.jobs[0])
                self.ours(stage, "forget", None, "--all")
                return run

        return measure

    def make_known(self, stage):
        """By a run of another job that ends at a device which is not there, when the client has been asked."""
        nowhere = {"id": stage.jobs[1]["id"], "device_endpoint": "127.0.0.1:1"}
        with contextlib.suppress(Failed):
            self.ours(stage, "run", nowhere, "--unlock-timeout", "1s", attempts=1)
        if not (stage.folder / "state" / "clients.json").exists():
            raise Failed("nothing is known of the client")

    def script(self, name, poll):
        def measure(**conditions):
            with self.stage(**conditions) as stage:
                return Run(by_hand(name, stage, stage.jobs[0], poll), stage.environment())

        return measure

    # Rounds of several contestants, each in turn the first one.

    def compare(self, contestants, conditions, rounds):
        runs, names = {name: [] for name in contestants}, list(contestants)
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                runs[name].append(contestants[name](**conditions(number)))
                print(f"  {number + 1}/{rounds} {name}: {runs[name][-1].seconds:.2f} s", file=sys.stderr)
            self.load.append(os.getloadavg()[0])
        return {name: Figures(these) for name, these in runs.items()}

    def part(self, name, title, notes, rows, picture=None):
        """Prints a part's table, and writes it with a plot of what is in `picture`."""
        folder = self.options.output
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"# {title}", "", self.where(), "", *notes, ""]
        print("\n".join([*lines, *rows]), flush=True)
        if picture:
            (folder / f"{name}.svg").write_text(plot(title, picture), encoding="utf-8")
            lines += [f"![Bars for the medians, whiskers to the 90th percentile]({name}.svg)", ""]
        (folder / f"{name}.md").write_text("\n".join([*lines, *rows]) + "\n", encoding="utf-8")

    def where(self):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown CPU")
        java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
        version = subprocess.run([self.agent, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        built = "given with --agent" if self.options.agent else f"built with the profile `{self.options.profile}`"
        return (
            f"{datetime.date.today()}, {version} ({built}), {platform.system()} {platform.machine()}, {os.cpu_count()} cores ({cpu}), "
            f"{java}, Python {platform.python_version()}; load during the measurement {min(self.load):.1f} to {max(self.load):.1f}. "
            "The contestants of a round run one after the other, each in turn first."
        )


def by_hand(name, stage, job, poll):
    interpreter = sys.executable if name.endswith(".py") else "bash"
    return [interpreter, HERE / name, job["id"], stage.client, job["device_endpoint"], str(poll), stage.folder]


def rounds_in_words(rounds):
    return f"{rounds} round{'s' if rounds > 1 else ''}"


COLUMNS = ["|  | median | p90 | beside the boto3 script | CPU | memory, own | memory, largest | repeated |"]
COLUMNS += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]


def row(name, figures, peer):
    ratio = f"{figures.beside(peer):.2f}" if peer else ""
    own = f"{figures.own:.0f} MB"
    return (
        f"| {name} | {figures.median:.2f} s | {figures.p90:.2f} s | {ratio} | {figures.cpu:.2f} s | {own} | "
        f"{figures.largest:.0f} MB | {figures.failures or ''} |"
    )


def bars(results):
    return [Bar(name, figures.median, figures.p90, name.startswith("ours")) for name, figures in results.items()]


def line(name, title, **conditions):
    """A line to AWS: near, far, very far and losing some."""

    def measure(bench):
        contestants = {
            FRESH: bench.first_run(False, False),
            FRESH_KNOWN: bench.first_run(True, False),
            KEPT: bench.first_run(False, True),
            KEPT_KNOWN: bench.first_run(True, True),
            PEER: bench.script("by_hand.py", 1),
            "AWS CLI script, a look every 1 s": bench.script("by_hand.sh", 1),
        }

        def of_round(number):
            return conditions and conditions | {"seed": number + 1}

        results = bench.compare(contestants, of_round, bench.rounds)
        rows = [*COLUMNS, *(row(contestant, figures, results[PEER]) for contestant, figures in results.items())]
        notes = [
            f"{rounds_in_words(bench.rounds)}. From the start of the command to UNLOCKED, with a device that is open 0.1 s after it was asked: what "
            "is measured is work, and how often a script looks at the device makes no difference. “Client known”: an earlier run has asked "
            "this client for its version and commands. “Own” is the program itself, “largest” the largest of all its processes, a JVM.",
        ]
        if conditions:
            notes += [
                "",
                "A request waits one round trip, as do a new connection and its TLS. A lost piece comes a second later, and with every "
                "fourth the connection is reset. “Repeated” counts runs that failed and were started again; their time is in.",
            ]
        bench.part(name, title, notes, rows, [Group("", bars(results))])

    return measure


def slow(bench):
    """A device that takes its time, as real ones do."""
    contestants = {
        FRESH: bench.first_run(False, False),
        KEPT_KNOWN: bench.first_run(True, True),
        PEER: bench.script("by_hand.py", 1),
        AS_PUBLISHED: bench.script("by_hand.py", 10),
        "AWS CLI script, a look every 10 s": bench.script("by_hand.sh", 10),
    }

    def of_round(number):
        # From 3 s to nearly 13, so that no contestant looks at the right moment each time.
        return {"unlocking": 3000 + number * 3700 % 10_000}

    results = bench.compare(contestants, of_round, bench.rounds)
    rows = [*COLUMNS, *(row(name, figures, results[AS_PUBLISHED]) for name, figures in results.items())]
    notes = [
        f"{rounds_in_words(bench.rounds)} with a device that takes between 3 s and 13 s to open, another time each round, on a line without delay. What real "
        "devices take is not documented; of published scripts AWS's own looks every 30 s, another every 10 s. What is beside the boto3 script is beside "
        "the one that looks every 10 s, as people have it."
    ]
    bench.part("slow", "A device that takes some seconds", notes, rows, [Group("", bars(results))])


def pallet(bench):
    """Ten devices at once."""

    def plan(count):
        def measure():
            with bench.stage(devices=1 + count) as stage:
                jobs = stage.jobs[1:]
                table = stage.folder / "plan.csv"
                table.write_text("job,address\n" + "".join(f"{job['id']},{job['device_endpoint']}\n" for job in jobs))
                run = bench.ours(stage, "run", None, "--plan", table, "--parallel", "10")
                bench.ours(stage, "forget", None, "--all")
                return run

        return measure

    def scripts(count, end):
        def measure():
            with bench.stage(devices=1 + count) as stage:
                commands = [" ".join(f"'{word}'" for word in by_hand("by_hand.py", stage, job, 1)) for job in stage.jobs[1:]]
                text = "set -e\n" + "".join(f"{command}{end}\n" for command in commands)
                return Run(["bash", "-c", text + "for job in $(jobs -p); do wait $job; done"], stage.environment())

        return measure

    contestants = {
        "ours, a plan of 1 device": plan(1),
        "ours, a plan of 10 devices, --parallel 10": plan(10),
        "boto3 script, 10 devices one after the other": scripts(10, ""),
        "boto3 script, 10 devices side by side": scripts(10, " &"),
    }
    rounds = 1 if bench.options.quick else min(3, bench.rounds)
    results = bench.compare(contestants, lambda _: {}, rounds)
    peer = results["boto3 script, 10 devices one after the other"]
    rows = [*COLUMNS, *(row(name, figures, peer) for name, figures in results.items())]
    notes = [f"{rounds_in_words(rounds)}, nothing fetched before. On {os.cpu_count()} cores, which the JVMs of ten devices share."]
    bench.part("pallet", "A pallet of ten devices", notes, rows, [Group("", bars(results))])


def cluster(bench):
    """A cluster of 16 nodes, in a build that can open one."""
    nodes, title = 16, "A cluster of 16 nodes"
    told = subprocess.run([bench.agent, "run", "--help"], capture_output=True, text=True, check=True).stdout
    if "--node" not in told:
        return bench.part("cluster", title, [], ["|  | median |", "| --- | ---: |", "| ours | not in this build |"])

    def whole(**conditions):
        with bench.stage(nodes=nodes, **conditions) as stage:
            first, *others = stage.facts["cluster_addresses"]
            more = [word for other in others for word in ("--node", other)]
            job = {"id": stage.facts["clusters"][0], "device_endpoint": first}
            run = bench.ours(stage, "run", job, *more)
            bench.ours(stage, "forget", None, "--all")
            return run

    rounds = 1 if bench.options.quick else min(3, bench.rounds)
    results = bench.compare({"ours, first run": whole}, lambda _: {}, rounds)
    rows = [*COLUMNS, *(row(name, figures, None) for name, figures in results.items())]
    bench.part("cluster", title, [f"{rounds_in_words(rounds)}, nothing fetched before."], rows)


def many(bench):
    """A thousand jobs on one machine."""
    few, count = 10, 60 if bench.options.quick else 1000
    if os.getuid() != 0:
        allowed = int(pathlib.Path("/proc/sys/kernel/keys/maxkeys").read_text(encoding="ascii"))
        if allowed < 2 * count:
            note = f"Not measured: the kernel's keyring holds {allowed} keys for this user; run it as root, or with more."
            return bench.part("many", "Many jobs", [note], [])
    figures = {}
    for number in (few, count):
        with bench.stage(devices=1 + number) as stage:
            jobs = stage.jobs[1:]
            fetched = [bench.ours(stage, "fetch", job) for job in jobs]
            bench.load.append(os.getloadavg()[0])
            for name, runs in (("first", fetched[:few]), ("last", fetched[-few:]), ("all", fetched)):
                figures[f"fetch, {name}", number] = Figures(runs)
            for verb, more in (("status", ["--offline"]), ("jobs", [])):
                figures[verb, number] = Figures([bench.ours(stage, verb, None, *more) for _ in range(bench.rounds)])
            bench.ours(stage, "forget", None, "--all")
    rows = ["|  | median | p90 | CPU | memory |", "| --- | ---: | ---: | ---: | ---: |"]

    def add(name, these):
        rows.append(
            f"| {name} | {1000 * these.median:.0f} ms | {1000 * these.p90:.0f} ms | {1000 * these.cpu:.0f} ms | {these.own:.1f} MB |"
        )

    add(f"`fetch`, the first {few}", figures["fetch, first", count])
    add(f"`fetch`, the last {few} of {count}", figures["fetch, last", count])
    for verb, words in (("status", "`status --offline`, {} stored"), ("jobs", "`jobs`, {} more in the account")):
        for number in (few, count):
            add(words.format(number), figures[verb, number])
    times = {verb: figures[verb, count].own / figures[verb, few].own for verb in ("status", "jobs")}
    rows.append("")
    rows.append(
        f"Memory with {count} jobs beside {few}: `status --offline` {times['status']:.2f} times, `jobs` {times['jobs']:.2f} times; "
        f"`fetch` {figures['fetch, last', count].own / figures['fetch, first', count].own:.2f} times."
    )
    notes = [f"`fetch` takes one job, so {count} are {count} processes, one after the other, into one state folder."]
    bench.part("many", f"{count} jobs", notes, rows)


PARTS = {
    "near": line("near", "To UNLOCKED, without delay and loss"),
    "far": line("far", "To UNLOCKED, 50 ms a request, 1 % lost", round_trip=50, lost=10),
    "very-far": line("very-far", "To UNLOCKED, 300 ms a request, 1 % lost", round_trip=300, lost=10),
    "slow": slow,
    "pallet": pallet,
    "cluster": cluster,
    "many": many,
}

try:
    main()
except Failed as failed:
    sys.exit(f"bench.py: {failed}")
