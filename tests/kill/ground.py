"""Ground of the kill rigs: a directory of their own, runs of the programs, counts, a seed.

PROVENV_BIN names the directory of the programs, PROVENV_TEST_SEED repeats a run, PROVENV_RIG_DIR
says where to work, else in memory: a killed process loses nothing that the kernel has taken, so
that a real disk would only make the rigs slower. What a failure left behind is kept.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

BIN = Path(os.environ["PROVENV_BIN"]).resolve()
SOURCE = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120
KEPT_MAX = 5


class Result:
    """How a program ended, and what it printed."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit {self.code}: {' '.join(map(str, self.argv))}\n  {self.out[-500:]}\n  {self.err[-800:]}"


class Ground:
    """A scratch directory and a home in it; counts checks and keeps the images of failures."""

    def __init__(self, name):
        self.name = name
        self.seed = int(os.environ.get("PROVENV_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
        self.random = random.Random(self.seed)
        print(f"{name}: PROVENV_TEST_SEED={self.seed}", flush=True)
        base = os.environ.get("PROVENV_RIG_DIR")
        if not base and os.access("/dev/shm", os.W_OK):
            base = "/dev/shm"
        self.top = Path(tempfile.mkdtemp(prefix=f"provenv-{name}.", dir=base))
        self.run_dir = self.top / "run"
        self.checks = self.failures = 0
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PROVENV_", "XDG_"))}
        self.env.update(HOME=str(self.run_dir / "home"), LC_ALL="C.UTF-8", TZ="UTC",
                        USER="rig", LOGNAME="rig")
        self.fresh()

    @property
    def store(self):
        return self.run_dir / "store"

    def fresh(self):
        """An empty run directory with a home."""
        shutil.rmtree(self.run_dir, ignore_errors=True)
        (self.run_dir / "home").mkdir(parents=True)

    def restore(self, template):
        """The run directory as it was when @template was kept, at the very same path."""
        shutil.rmtree(self.run_dir, ignore_errors=True)
        shutil.copytree(template, self.run_dir, symlinks=True)

    def keep_as(self, name):
        """Keep the run directory under @name; answers where."""
        where = self.top / name
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(self.run_dir, where, symlinks=True)
        return where

    def argv(self, words):
        words = [str(word) for word in words]
        if words[0] == "provenv-replay":
            return [str(BIN / "provenv-replay"), *words[1:]]
        return [str(BIN / "provenv"), "--store", str(self.store), *words]

    def start(self, words, env=None):
        """Start a program; the caller ends it and calls finish()."""
        return subprocess.Popen(self.argv(words), env={**self.env, **(env or {})}, cwd=self.run_dir,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    @staticmethod
    def finish(process, given=""):
        out, err = process.communicate(given.encode(), timeout=TIMEOUT_S)
        return Result(process.args, process.returncode, out.decode(errors="replace"),
                      err.decode(errors="replace"))

    def run(self, *words, given="", env=None):
        process = self.start(words, env)
        try:
            return self.finish(process, given)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Result(process.args, "timeout", "", f"still running after {TIMEOUT_S} s")

    def check(self, holds, what, *details):
        """Count a check; say what failed, and keep what is there."""
        self.checks += 1
        if holds:
            return True
        self.failures += 1
        print(f"FAIL: {what}")
        for detail in details:
            print(f"  {detail}")
        if self.failures <= KEPT_MAX:
            print(f"  kept: {self.keep_as(f'failure-{self.failures}')}", flush=True)
        return False

    def succeeds(self, what, *words, **more):
        """Run a command that must succeed; answers its result, or None."""
        result = self.run(*words, **more)
        return result if self.check(result.code == 0, what, result) else None

    def events(self, *more):
        """The events of the log, oldest first; None when it cannot be read."""
        result = self.succeeds("the log is readable", "log", "--jsonl", *more)
        return result and [json.loads(line) for line in reversed(result.out.splitlines())]

    def command_id(self):
        """A UUIDv4 that follows from the seed."""
        return uuid.UUID(int=self.random.getrandbits(128), version=4).hex

    def end(self, counts, because=None):
        """Print one line of counts and leave. @because: why the rig itself proves nothing."""
        if because:
            print(f"FAIL: {because}")
        line = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"{self.name}: {line}, checks {self.checks}, failures {self.failures}, seed {self.seed}")
        if self.failures or because or not self.checks:
            print(f"left in {self.top}")
            sys.exit(1)
        shutil.rmtree(self.top)
        sys.exit(0)
