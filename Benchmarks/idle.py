#!/usr/bin/env python3
"""Measures what an idle node and its witness cost: start to ready, resident memory, and processor time.

Usage: idle.py FOLDER_OF_EXECUTABLES [SECONDS]   (600 by default)
Needs redis-server. Three nodes on Redis with lease 15 s, each with a witness; and one node in memory. Memory is the proportional set size,
which counts pages shared with other processes in part, beside the resident set size.
"""
import os, pathlib, sys, tempfile, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Scripts"))
from processes import Processes, free_port, request, wait_until_whole

BINARIES = pathlib.Path(sys.argv[1]).resolve()
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 600
TICK = os.sysconf("SC_CLK_TCK")


def memory(pid):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name: int(fields[name].split()[0]) / 1024 for name in ("Rss", "Pss", "Private_Dirty")}


def processor_time(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def witness_of(pid):
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue  # it has ended
        if name.endswith("(parallax-witnes") and int(rest.split()[1]) == pid:
            return int(folder.name)
    raise SystemExit(f"process {pid} has no witness")


def start(processes, name, variables):
    port, began = free_port(), time.monotonic()
    processes.start(name, [BINARIES / "parallaxd"], {"PARALLAX_NODE_ID": name, "PARALLAX_PORT": str(port), **variables})
    while True:
        try:
            if request(port, "GET", "/health/ready")[0] == 200:
                return processes.running[name].pid, port, time.monotonic() - began
        except OSError:
            pass
        if time.monotonic() - began > 30:
            raise SystemExit(f"{name} is not ready after 30 s")
        time.sleep(0.001)


def main():
    with tempfile.TemporaryDirectory(prefix="parallax-idle-") as folder:
        processes = Processes(pathlib.Path(folder))
        try:
            alone, _, took = start(processes, "alone", {})
            redis = free_port()
            processes.start("redis", ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""])
            time.sleep(0.5)
            nodes, ports = {}, []
            for index in range(3):
                pid, port, _ = start(processes, f"node-{index}", {"PARALLAX_HA_ENABLED": "true", "PARALLAX_REDIS_URL": f"redis://127.0.0.1:{redis}"})
                nodes[f"node-{index}"] = pid
                ports.append(port)
            wait_until_whole(ports)
            print(f"a node in memory: start to ready {took * 1000:.0f} ms", flush=True)
            watched = {"a node in memory": alone, **nodes, **{f"witness of {name}": witness_of(pid) for name, pid in nodes.items()}}
            time.sleep(5)  # what the start itself costs
            before = {name: processor_time(pid) for name, pid in watched.items()}
            time.sleep(SECONDS)
            print(f"{'':22}{'resident':>10}{'proportional':>14}{'own dirty':>11}   processor time in {SECONDS:.0f} s")
            for name, pid in watched.items():
                now = memory(pid)
                print(f"{name:22}{now['Rss']:7.1f} MB{now['Pss']:11.1f} MB{now['Private_Dirty']:8.1f} MB   {processor_time(pid) - before[name]:.2f} s")
        finally:
            processes.stop()


if __name__ == "__main__":
    main()
