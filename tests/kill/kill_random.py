#!/usr/bin/env python3
"""SIGKILL at random times under four writers: see README.md.

    kill_random.py [ROUNDS]
"""

import sys
import threading
import time

from ground import Ground

WRITERS = 4
ROUNDS_PER_STORE = 20   # a log that grows without end would only make each look at it slower
COMPARE_EVERY = 10
NEXT_WRITER_MS = 1000   # see next_writer()
WINDOW_MS = (2, 70)     # the kill comes this long after the writers began
COMMANDS_MAX = 12       # of one writer in one round


class Command:
    """One command of a writer, and what became of it."""

    def __init__(self, ground, tag):
        kind = ground.random.choices(("one", "group", "secret"), (60, 28, 12))[0]
        self.id = ground.command_id()
        self.given = ""
        if kind == "group":
            keys = [f"G_{tag}_{i}" for i in range(ground.random.randint(2, 8))]
            self.values = {key: f"{key}-value" * ground.random.choice((1, 1, 40)) for key in keys}
            words = [f"{key}={value}" for key, value in self.values.items()]
        elif kind == "secret":
            self.values = {f"S_{tag}": f"hidden-{tag}"}
            self.given = f"hidden-{tag}"
            words = [f"S_{tag}", "--secret", "--stdin"]
        else:
            self.values = {f"V_{tag}": f"value-{tag}"}
            words = [f"V_{tag}=value-{tag}"]
        self.words = ["set", *words, "--command-id", self.id, "--json"]
        self.result = None

    @property
    def acknowledged(self):
        """What a program has said counts, even when it could not end any more."""
        return self.result.code == 0 or '"seq"' in self.result.out


class Writer(threading.Thread):
    """Runs its commands one after the other until one is killed."""

    def __init__(self, ground, commands):
        super().__init__()
        self.ground, self.commands = ground, commands
        self.process = None
        self.done = []

    def run(self):
        for command in self.commands:
            self.process = self.ground.start(command.words)
            command.result = self.ground.finish(self.process, command.given)
            self.done.append(command)
            if command.result.code != 0:
                return


class Rig:
    def __init__(self, rounds):
        self.ground = Ground("kill_random")
        self.rounds = rounds
        self.counts = dict.fromkeys(("rounds", "kills", "kills that hit a running command",
                                     "commands acknowledged", "unacknowledged but there",
                                     "unacknowledged and not there", "slowest next writer in ms"), 0)
        self.acknowledged = []  # of this store, from all rounds
        self.next_ms = NEXT_WRITER_MS
        self.taken = 0

    def new_store(self):
        self.ground.fresh()
        self.acknowledged = []
        start = time.monotonic()
        self.ground.succeeds("init", "init")
        # A build with a sanitizer takes ten times as long: the limit is of locks, not of speed.
        took = (time.monotonic() - start) * 1000
        self.next_ms = max(NEXT_WRITER_MS, 20 * took)

    def write(self, number, kills):
        """One round of writers; answers their commands that came to run."""
        random = self.ground.random
        plans = [[Command(self.ground, f"{number}_{w}_{n}") for n in range(COMMANDS_MAX)]
                 for w in range(WRITERS)]
        delays = [random.uniform(*WINDOW_MS) / 1000 for _ in range(random.randint(1, 3))]
        victims = [random.sample(range(WRITERS), random.choice((1, 1, 2))) for _ in delays]
        victims[-1] = range(WRITERS)
        writers = [Writer(self.ground, plan) for plan in plans]
        for writer in writers:
            writer.start()
        for delay, chosen in zip(delays, victims) if kills else ():
            time.sleep(delay)
            for victim in chosen:
                if writers[victim].process:
                    self.counts["kills"] += 1
                    writers[victim].process.kill()
        if kills:  # who was between two commands at the last kill
            while any(writer.is_alive() for writer in writers):
                for writer in writers:
                    if writer.process and writer.is_alive():
                        writer.process.kill()
                time.sleep(0.001)
        for writer in writers:
            writer.join()
        return [command for writer in writers for command in writer.done]

    def judge(self, number, commands, kills):
        """The store as the kill left it, looked at without any help."""
        ground = self.ground
        start = time.monotonic()
        if not ground.succeeds(f"round {number}: status opens the store", "status"):
            return
        events = ground.events()
        listed = ground.succeeds(f"round {number}: ls", "ls", "--json", "--reveal")
        if events is None or listed is None:
            return
        values = {v["key"]: v["value"] for v in listed.json["variables"]}
        by_id = {}
        for event in events:
            by_id.setdefault(event["command_id"], []).append(event)
        for command in commands:
            self.judge_command(number, command, by_id.get(command.id), values, kills)
        for command in self.acknowledged:
            ground.check(command.id in by_id, f"round {number}: acknowledged {command.words} is lost")
        ground.succeeds(f"round {number}: verify", "verify")
        if number % COMPARE_EVERY == 0:
            ground.succeeds(f"round {number}: the state is what the log says", "rebuild", "--compare")
        self.next_writer(number, (time.monotonic() - start) * 1000)
        self.repeat(number, commands, by_id)

    def judge_command(self, number, command, events, values, kills):
        there = {key for key, value in command.values.items() if values.get(key) == value}
        foreign = {key for key in command.values if key in values} - there
        whole = events and len(events) == events[0]["parts"]
        if command.acknowledged:
            self.counts["commands acknowledged"] += 1
            self.acknowledged.append(command)
            self.ground.check(whole and there == set(command.values),
                              f"round {number}: acknowledged, and not there: {command.words}",
                              command.result, f"there: {there}")
        elif events:
            self.counts["unacknowledged but there"] += 1
            self.ground.check(whole and there == set(command.values),
                              f"round {number}: half there: {command.words}", f"there: {there}")
        else:
            self.counts["unacknowledged and not there"] += 1
            self.ground.check(not there, f"round {number}: there without an event: {there}")
        self.ground.check(not foreign, f"round {number}: values nobody wrote: {foreign}")
        if command.result.code == -9:
            self.counts["kills that hit a running command"] += 1
        else:
            self.ground.check(command.result.code == 0, f"round {number}: a command failed by itself",
                              command.result)
        if not kills:
            self.ground.check(command.result.code == 0, f"control round {number}: not acknowledged",
                              command.result)

    def next_writer(self, number, looking_ms):
        """Locks of the dead are gone. @looking_ms: of commands that wait for no lock; where these
        took long the machine is busy, and a writer may take as long."""
        start = time.monotonic()
        self.ground.succeeds(f"round {number}: the next writer", "set", f"NEXT={number}")
        took = (time.monotonic() - start) * 1000
        self.counts["slowest next writer in ms"] = max(self.counts["slowest next writer in ms"],
                                                       round(took))
        self.ground.check(took < max(self.next_ms, 2 * looking_ms), f"round {number}: the next writer took {took:.0f} ms")

    def repeat(self, number, commands, by_id):
        """The same id again: the first result where there is one, and one result at last."""
        ground = self.ground
        again = [c for c in commands if not c.acknowledged]
        if self.acknowledged:
            again.append(ground.random.choice(self.acknowledged))
        before = len(ground.events() or [])
        added = 0
        for command in again:
            first = by_id.get(command.id)
            result = ground.succeeds(f"round {number}: again", *command.words, given=command.given)
            if not result:
                continue
            if first:
                ground.check(result.json["seq"] == first[-1]["seq"] and result.json.get("repeated"),
                             f"round {number}: not the first result", result)
            else:
                added += 1
                self.acknowledged.append(command)
        after = len(ground.events() or [])
        ground.check(after == before + added, f"round {number}: {after - before} events by repeating",
                     f"expected {added}")

    def arm(self, rounds, kills):
        for number in range(1, rounds + 1):
            if (number - 1) % ROUNDS_PER_STORE == 0:
                self.new_store()
            self.judge(number, self.write(number, kills), kills)
            self.counts["rounds"] += 1
            if self.ground.failures:
                break

    def main(self):
        self.arm(max(2, min(10, self.rounds // 10)), kills=False)
        counts = self.counts
        because = None
        if not counts["commands acknowledged"] or counts["kills that hit a running command"]:
            because = "the control arm is not what it should be"
        print(f"control: {counts['rounds']} rounds, {counts['commands acknowledged']} commands")
        self.counts = dict.fromkeys(counts, 0)
        self.arm(self.rounds, kills=True)
        counts = self.counts
        if not counts["kills that hit a running command"] or not counts["commands acknowledged"]:
            because = because or "no kill hit a running command, or nothing was acknowledged before one"
        self.ground.end(counts, because)


if __name__ == "__main__":
    Rig(int(sys.argv[1]) if len(sys.argv) > 1 else 40).main()
