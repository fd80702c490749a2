"""Times `credentials` beside the AWS CLI, each a number of calls in turn. See `credentials`, which starts this."""

import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from stage import join_a_session_keyring, seconds, served

BIN = pathlib.Path(sys.argv[1]).resolve()
CALLS = int(sys.argv[2])
AWS = pathlib.Path(sys.executable).parent / "aws"

BUS = """<busconfig><type>session</type><listen>unix:path={}/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def keyring(folder):
    """A session bus with an unlocked GNOME Keyring; gives the variables that lead there."""
    config = folder / "bus.conf"
    config.write_text(BUS.format(folder))
    bus = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    with ended(subprocess.Popen(bus, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)) as bus:
        (folder / "data").mkdir()
        env = {"DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip(), "XDG_DATA_HOME": str(folder / "data")}
        daemon = ["gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        whole = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)} | env
        with ended(subprocess.Popen(daemon, stdin=subprocess.PIPE, env=whole, **quiet)) as daemon:
            daemon.stdin.write(b"correct horse")
            daemon.stdin.close()
            ask = ["dbus-send", f"--bus={env['DBUS_SESSION_BUS_ADDRESS']}", "--dest=org.freedesktop.secrets", "--print-reply"]
            ask += ["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.ReadAlias", "string:default"]
            for _ in range(200):
                if "/collection/" in subprocess.run(ask, capture_output=True, text=True).stdout:
                    break
                time.sleep(0.05)
            yield env


def milliseconds(command, env):
    return seconds(command, env) * 1000


def prepared(stage, env, folder, keychain):
    """The command that gives the key, once the device is open and the key is stored."""
    job = stage["jobs"][0]["id"]
    agent, flags = BIN / "snow-onboard", ["--state-dir", folder / keychain, "--keychain", keychain]
    client = ["--client", stage["client"]]
    at = ["--endpoint", stage["device_endpoint"], "--ca-bundle", stage["ca_bundle"], "--quiet", "--no-input"]
    milliseconds([agent, "run", job, *flags, *client, *at], env)
    command = [agent, "credentials", job, *flags]
    milliseconds(command + client, env)
    return command


def main():
    join_a_session_keyring()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        stage = stack.enter_context(served(BIN))
        env = {"PATH": os.environ["PATH"], "HOME": name, "LANG": "C.UTF-8"} | stage["env"]
        env |= stack.enter_context(keyring(folder)) | {"HOME": name}
        ours = {keychain: prepared(stage, env, folder, keychain) for keychain in ("system", "kernel")}
        (folder / ".aws").mkdir(exist_ok=True)
        static = "[profile device]\nregion = snow\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n"
        (folder / ".aws" / "config").write_text(static)
        bare = {name: value for name, value in env.items() if not name.startswith("AWS_")}
        commands = {f"credentials, {keychain} keychain": (command, bare) for keychain, command in ours.items()}
        commands["AWS CLI, configure list"] = ([AWS, "configure", "list", "--profile", "device"], bare)
        took = {what: [] for what in commands}
        for _ in range(CALLS):
            for what, (command, variables) in commands.items():
                took[what].append(milliseconds(command, variables))
        cli = statistics.median(took["AWS CLI, configure list"])
        for what, times in took.items():
            middle, slow = statistics.median(times), sorted(times)[len(times) * 95 // 100]
            print(f"{what}: median {middle:.1f} ms, 95 of 100 within {slow:.1f} ms, {middle / cli:.3f} of the AWS CLI")


main()
