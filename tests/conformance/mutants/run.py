"""Holds the conformance suite to its promise: for each way of being wrong it names the requirement, and no other.

    python run.py path/to/millwork [MUTANT...] [--jobs N] [--quick] [--learn]

The worker that is not wrong must pass everything, in all six versions. mutants.toml says for each mutant

    fails   what must fail,
    also    what may fail too, ids or beginnings of ids, and `reason`, why that is no false alarm.

The Python that runs this script runs the workers; it needs msgpack. --quick asks about each mutant in the areas of what must
fail and in a few others, which differ from mutant to mutant: a third of the time, for CI. --learn prints what did fail as entries of mutants.toml.
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from mutants import MUTANTS  # noqa: E402

VERSIONS = range(1, 7)
# What a right worker that offers everything cannot be asked: it would have to lack a capability.
UNASKED = {"PRV-020"}
LIMIT = 900
# How a worker is asked: checks side by side wait more than they compute.
HASTY = ("--jobs", "4")
# How it is asked once more on a machine that may be crowded: one check after the other.
PATIENT = ("--timeout-scale", "3", "--jobs", "1")
# How many areas --quick adds to those of what must fail.
OTHERS = 4


def conformance(millwork, options, arguments):
    """The ids that fail, and those that could not be checked."""
    command = [millwork, "conformance", "--json", *options, "--", sys.executable, HERE / "worker.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode not in (0, 1):
        # No worker at all: the suite says so in words.
        return {"NO-WORKER"}, set(), done.stderr.strip()
    results = json.loads(done.stdout)["results"]
    found = lambda *verdicts: {one["id"] for one in results if one["verdict"] in verdicts}
    failures = {one["id"]: one["what"] for one in results if one["verdict"] in ("fail", "warn")}
    return found("fail", "warn"), found("not_applicable"), "; ".join(f"{id}: {what}" for id, what in failures.items())


def judge(name, entry, failed, said):
    """What is wrong with this outcome, or nothing."""
    expected, allowed = set(entry["fails"]), tuple(entry.get("also", []))
    problems = []
    if missed := expected - failed:
        problems.append(f"not named: {' '.join(sorted(missed))}")
    if unrelated := {id for id in failed - expected if not id.startswith(allowed)}:
        problems.append(f"named without a reason: {' '.join(sorted(unrelated))}")
    if allowed and not entry.get("reason"):
        problems.append("`also` needs a `reason`")
    if not failed:
        problems.append("nothing was named")
    if not expected and not allowed:
        problems.append("nothing is expected of it")
    return f"{'; '.join(problems)}\n    {said[:600]}" if problems else None


def outcome(of):
    try:
        return of()
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"


def quick(entry, number, areas):
    """The areas that --quick looks at for the mutant with this number."""
    named = {id[:3] for id in [*entry["fails"], *entry.get("also", [])]} & set(areas)
    others = [areas[(number * OTHERS + i) % len(areas)] for i in range(OTHERS)]
    return ["--only", *sorted(named | set(others))]


def areas_of(millwork):
    listed = subprocess.run([millwork, "conformance", "--list"], capture_output=True, text=True, check=True).stdout
    return sorted({word[:3] for word in listed.split() if len(word) == 7 and word[3] == "-" and word[4:].isdigit()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("millwork")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--skip", nargs="+", default=[], help="areas to leave out, for a quick look")
    options = parser.parse_intermixed_args()

    entries = {entry["name"]: entry for entry in tomllib.loads((HERE / "mutants.toml").read_text())["mutant"]}
    problems = []
    if not options.names and not options.learn and entries.keys() != MUTANTS.keys():
        print("mutants.toml and the mutants differ:", *sorted(entries.keys() ^ MUTANTS.keys()))
        problems.append("mutants.toml")
    if unknown := set(options.names) - MUTANTS.keys():
        sys.exit(f"there is no mutant {' '.join(sorted(unknown))}")

    skip = ["--skip", *options.skip] if options.skip else []

    def right(version, *how):
        failed, not_applicable, said = conformance(
            options.millwork, [*skip, *how, "--protocol", str(version)], ["--version", str(version)]
        )
        if failed:
            return f"fails {' '.join(sorted(failed))}\n    {said[:2000]}"
        # What it could not be asked it was not asked: it offers everything there is to check.
        unasked = not_applicable - UNASKED
        return f"not checked: {' '.join(sorted(unasked))}" if unasked and version == VERSIONS[-1] else None

    areas = areas_of(options.millwork)
    numbers = {name: number for number, name in enumerate(MUTANTS)}

    def wrong(name, *how):
        entry = entries.get(name, {"fails": []})
        some = quick(entry, numbers[name], areas) if options.quick else skip
        failed, _, said = conformance(options.millwork, [*some, *how], ["--mutant", name])
        if options.learn:
            return f'\n[[mutant]]\nname = "{name}"\nfails = {json.dumps(sorted(failed))}\n# {MUTANTS[name].__doc__}\n# {said[:1500]}'
        return judge(name, entry, failed, said)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tasks = {}
        if not options.names and not options.learn:
            tasks |= {f"right, version {version}": pool.submit(right, version, *HASTY) for version in VERSIONS}
        tasks |= {name: pool.submit(wrong, name, *HASTY) for name in options.names or MUTANTS}
        outcomes = {name: outcome(task.result) for name, task in tasks.items()}
    # What is wrong comes last, where it is looked for.
    for name, problem in sorted(outcomes.items(), key=lambda outcome: outcome[1] is not None):
        if problem and not options.learn:
            # What only shows on a crowded machine is the machine's: it counts if it shows again, alone.
            print(f"{name:26} once more, for: {problem}", flush=True)
            problem = outcome(lambda: right(int(name[-1]), *PATIENT) if name.startswith("right,") else wrong(name, *PATIENT))
        if problem:
            problems.append(name)
        expected = " ".join(entries.get(name, {}).get("fails", ["nothing"]))
        print(f"{name:26} {'ok: ' + expected if problem is None else problem}", flush=True)
    print(f"{len(tasks)} workers, {len(problems)} problems", *problems)
    sys.exit(bool(problems))


main()
