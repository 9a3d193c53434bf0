#!/usr/bin/env python3
"""Every command is killed at every passage of every named fault point: see README.md.

    kill_points.py [--all] [--only=COMMAND] [--point=POINT]
"""

import hashlib
import re
import shutil
import sys

from ground import SOURCE, Ground

# Passed dozens of times by every command, mostly by looking: without --all, of those beyond the
# first few only some are tried.
FREQUENT = ("fs.open", "fs.read")
FREQUENT_ALL_TO = 4
DAMAGED = ("cut", "spoiled")  # worlds where exit 9 is right until the command has done its work
NOT_COMPARED = ("lock.mdb",)  # pids; made anew by who comes first

CATALOGUE = """{"categories": [{"name": "limits", "title": "Limits"}],
"variables": [{"key": "LIMIT", "category": "limits", "type": "int", "default": "3"},
{"key": "MODE", "category": "limits", "type": "string"}]}
"""


def points_in_source():
    """Every name that stands in the sources, so that a new point cannot be forgotten here."""
    found = set()
    for path in (SOURCE / "src").rglob("*.c"):
        found |= set(re.findall(r'(?:fault_point|raw_fault)\("([^"]+)"\)', path.read_text()))
    return sorted(found)


class Case:
    """A command. @appends: to the log; @once: it takes a command id; @world: what is there before."""

    def __init__(self, *words, given="", appends=True, once=True, world="world"):
        self.words, self.given, self.appends, self.world = list(words), given, appends, world
        self.command_id = appends and once
        self.name = " ".join(words)


CASES = {
    "init": Case("init", once=False, world="empty"),
    "init-catalogue": Case("init", "--catalogue", "CATALOGUE", once=False, world="empty"),
    "set": Case("set", "A=new"),
    "group": Case("set", "G1=1", "G2=2", "G3=3", "A=group"),
    "secret": Case("set", "S2", "--secret", "--stdin", given="hidden"),
    "unset": Case("unset", "B"),
    "spec-import": Case("spec", "import", "CATALOGUE"),
    "rollback": Case("rollback", "--to", "HEAD~3"),
    "revert": Case("revert", "HEAD"),
    "restore": Case("restore", "A", "--from", "HEAD~4"),
    "env-switch": Case("env", "switch", "testing"),
    "env-clone": Case("env", "clone", "development", "copied"),
    "profile-create": Case("profile", "create", "fresh"),
    "profile-clone": Case("profile", "clone", "default", "twin"),
    "profile-rm": Case("profile", "rm", "spare"),
    "accept-loss": Case("doctor", "--accept-loss=LEFT", "--confirm=KEY", "-m", "rig", once=False,
                        world="cut"),
    "get": Case("get", "A", appends=False),
    "get-without-state": Case("get", "A", appends=False, world="stateless"),
    "rebuild": Case("rebuild", appends=False),
    "doctor": Case("doctor", appends=False),
    "doctor-of-a-tree": Case("doctor", appends=False, world="spoiled"),
    "verify": Case("verify", "--deep", appends=False),
    "checkpoint": Case("checkpoint", "--out", "OUT", appends=False),
    "replay-verify": Case("provenv-replay", "verify", "STORE", appends=False),
    "replay-rebuild": Case("provenv-replay", "rebuild", "STORE", "--output", "OUT", appends=False),
    "replay-salvage": Case("provenv-replay", "salvage", "STORE", "--output", "OUT", appends=False),
    "key-gen": Case("key", "gen", "second", appends=False),
}


def shape(events):
    """What of events is the same whenever the command runs."""
    return [(e["seq"], e["type"], e["part"], e["parts"]) for e in events]


class Rig:
    def __init__(self):
        self.ground = Ground("kill_points")
        self.counts = dict.fromkeys(("commands", "points", "kills", "of them in a child",
                                     "images judged", "already done", "undone",
                                     "left to the user"), 0)
        self.reached = {}
        self.fault_log = self.ground.top / "fired"
        self.templates, self.marks = {}, {}
        self.judged = set()

    # --- worlds -----------------------------------------------------------------------------

    def make_worlds(self):
        ground = self.ground
        (ground.run_dir / "catalogue.json").write_text(CATALOGUE)
        self.templates["empty"] = ground.keep_as("empty")
        for words in (("init",), ("set", "A=1", "B=2"), ("profile", "create", "spare"),
                      ("set", "A=2"), ("set", "C=3", "A=3"), ("set", "A=4"), ("unset", "C")):
            ground.succeeds("preparing", *words)
        ground.succeeds("preparing", "set", "S", "--secret", "--stdin", given="hidden")
        self.templates["world"] = ground.keep_as("world")
        self.marks["KEY"] = next(path.stem for path in (ground.run_dir / "home").rglob("*@*.key"))
        self.make_spoiled()
        self.make_cut()
        ground.restore(self.templates["world"])
        for path in sorted((ground.store / "state").iterdir()):
            path.unlink()
        (ground.store / "state").rmdir()
        self.templates["stateless"] = ground.keep_as("stateless")
        self.marks |= {"CATALOGUE": ground.run_dir / "catalogue.json", "OUT": ground.run_dir / "out",
                       "STORE": ground.store}

    def make_spoiled(self):
        """The tree is not what the events say: doctor builds it anew."""
        ground = self.ground
        head = bytes.fromhex(ground.run("status", "--json").json["head"]["hash"])
        log = ground.store / "log" / "data.mdb"
        data = log.read_bytes()
        ground.check(head in data, "the rig did not find the row of the tree")
        log.write_bytes(data.replace(head, bytes([head[0] ^ 1]) + head[1:]))
        self.templates["spoiled"] = ground.keep_as("spoiled")

    def make_cut(self):
        """A log older than the head file."""
        ground = self.ground
        ground.restore(self.templates["world"])
        self.marks["LEFT"] = str(ground.run("status", "--json").json["events"])
        old = (ground.store / "log" / "data.mdb").read_bytes()
        ground.succeeds("preparing", "set", "A=lost")
        (ground.store / "log" / "data.mdb").write_bytes(old)
        self.templates["cut"] = ground.keep_as("cut")

    def words(self, case):
        words = [str(self.marks.get(word, word)) for word in case.words]
        words = [w.replace("LEFT", self.marks["LEFT"]).replace("KEY", self.marks["KEY"])
                 for w in words]
        return words + (["--command-id", self.id] if case.command_id else [])

    # --- a case -------------------------------------------------------------------------------

    def control(self, case):
        """The command without a fault: the log before and after it, and that it succeeds twice."""
        ground = self.ground
        self.id = ground.command_id()
        ground.restore(self.templates[case.world])
        before = self.log_of(case)
        ground.restore(self.templates[case.world])
        ground.succeeds(f"control: {case.name}", *self.words(case), given=case.given)
        after = ground.events() or []
        ground.check((len(after) > len(before)) == case.appends,
                     f"control: {case.name}: {len(before)} events became {len(after)}")
        return shape(before), shape(after)

    def log_of(self, case):
        """A damaged log is not listed; it has the events that it had."""
        if case.world == "empty":
            return []
        if case.world in DAMAGED:
            self.ground.restore(self.templates["world"])
        return self.ground.events() or []

    def kill(self, case, point, n):
        """Run it to its death; answers the result, or None when the fault did not fire."""
        self.ground.restore(self.templates[case.world])
        self.fault_log.unlink(missing_ok=True)
        result = self.ground.run(*self.words(case), given=case.given, env={
            "PROVENV_FAULT": f"{point}:crash:{n}", "PROVENV_FAULT_LOG": str(self.fault_log)})
        if not self.fault_log.exists():
            self.ground.check(result.code == 0, f"{case.name}: failed without a fault", result)
            return None
        self.counts["kills"] += 1
        self.reached.setdefault(point, set()).add(case.words[0])
        if result.code != -9:  # a child of its own was killed: it must say so, or need it not
            self.counts["of them in a child"] += 1
            self.ground.check(result.code in (0, 1, 13), f"{case.name}: {point}:{n} in a child", result)
        return result

    def digest(self):
        """What is there to be judged: an image that was judged before is not judged again."""
        whole = hashlib.sha256()
        for path in sorted(self.ground.run_dir.rglob("*")):
            if path.name in NOT_COMPARED or not path.is_file():
                continue
            data = path.read_bytes()
            whole.update(f"{path}:{len(data)}:{path.stat().st_mode}:".encode() + data)
        return whole.digest()

    def judge(self, case, result, label, before, after):
        digest = self.digest()
        said = case.appends and case.world != "empty" and "(event" in result.err
        if (case.name, digest, said) in self.judged:
            return
        self.judged.add((case.name, digest, said))
        self.counts["images judged"] += 1
        ground = self.ground
        opened = ground.run("status")
        if case.world == "empty" and opened.code == 10:
            ground.check("Store:" not in result.out, f"{label}: init said it was done", result)
            now = []
        elif case.world in DAMAGED and opened.code == 9:
            now = before
        else:
            if not ground.check(opened.code == 0, f"{label}: status opens it", opened):
                return
            now = shape(ground.events() or [])
        ground.check(now in (before, after), f"{label}: half done", f"{now}", f"before {before}")
        ground.check(now == after or not said, f"{label}: acknowledged and lost", result)
        self.counts["already done" if now == after else "undone"] += 1
        self.judge_next(case, label, now == after, after)

    def judge_next(self, case, label, done, after):
        """The same again, then all that a user would do next, without any help."""
        ground = self.ground
        if not done or case.command_id or not case.appends:
            self.judge_again(case, label)
        ground.check(shape(ground.events() or []) == after, f"{label}: again makes it whole, once")
        ground.succeeds(f"{label}: the next writer", "set", "NEXT=1")
        ground.succeeds(f"{label}: verify", "verify", "--deep")
        ground.succeeds(f"{label}: the state", "rebuild", "--compare")
        ground.succeeds(f"{label}: doctor", "doctor")
        left = [p for p in ground.run_dir.rglob("*.tmp*") if ground.store in p.parents]
        ground.check(not left, f"{label}: left after doctor: {left}")
        if case.words[0] == "provenv-replay" and "OUT" in case.words:
            result = ground.run("provenv-replay", "verify", self.marks["OUT"])
            ground.check(result.code == 0, f"{label}: what replay made", result)

    def judge_again(self, case, label):
        """It works by itself, but for two that find something of a name that the user chose: they
        leave it alone, say what it is, and work once the user has removed it."""
        ground = self.ground
        result = ground.run(*self.words(case), given=case.given)
        if result.code == 6 and "remove it if it was left behind" in result.err:
            self.counts["left to the user"] += 1
            shutil.rmtree(f"{self.marks['OUT']}.tmp")
        elif result.code == 6 and "use the key that is there" in result.err:
            self.counts["left to the user"] += 1
            key = next((ground.run_dir / "home").rglob("second.key"))
            ground.check(key.read_text().startswith("PRIVATE+KEY+"), f"{label}: half a key")
            return
        else:
            ground.check(result.code == 0, f"{label}: again", result)
            return
        ground.succeeds(f"{label}: again, after what the hint says", *self.words(case))

    def passages(self, point, every):
        """1, 2, 3 …, or ever wider steps where a point is passed by merely looking."""
        n = 1
        while True:
            yield n
            n += 1 if every or point not in FREQUENT or n < FREQUENT_ALL_TO else n // 2

    def main(self, every, only, only_point):
        points = [p for p in points_in_source() if only_point in (None, p)]
        self.make_worlds()
        for name, case in CASES.items():
            if only not in (None, name):
                continue
            before, after = self.control(case)
            self.counts["commands"] += 1
            for point in points:
                for n in self.passages(point, every):
                    result = self.kill(case, point, n)
                    if result is None:
                        break
                    self.judge(case, result, f"{name} at {point}:{n}", before, after)
        because = None
        unreached = [p for p in points if p not in self.reached]
        self.counts["points"] = len(self.reached)
        if unreached and not only:
            because = f"no command reaches {', '.join(unreached)}"
        elif not self.counts["kills"]:
            because = "nothing was killed"
        for point in points:
            print(f"  {point}: {', '.join(sorted(self.reached.get(point, ())))}")
        self.ground.end(self.counts, because)


def has_hooks():
    """Ask the program itself: a fault at the first file that it opens must be noted."""
    ground = Ground("probe")
    log = ground.top / "fired"
    ground.run("init", env={"PROVENV_FAULT": "fs.open:crash", "PROVENV_FAULT_LOG": str(log)})
    hooks = log.exists()
    shutil.rmtree(ground.top)
    return hooks


def main(arguments):
    options = dict(a.lstrip("-").partition("=")[::2] for a in arguments)
    if not has_hooks():
        print("SKIPPED: all of kill_points: these programs have no fault points (a release build)")
        return 77
    Rig().main("all" in options, options.get("only"), options.get("point"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
