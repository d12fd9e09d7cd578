"""What is said of a process's memory is what it held."""

import subprocess
import sys

from bench.cpu import CpuSampler
from tests.waiting import wait_until

GROWING = """
import sys
held = []
for line in sys.stdin:
    held.append(bytearray(b"x") * 4_000_000)
    print(len(held), flush=True)
"""


def test_growth_is_told_from_the_second_half():
    """40 MB, step by step while it is sampled."""
    with subprocess.Popen([sys.executable, "-c", GROWING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pids = {"worker": process.pid}
        with CpuSampler(lambda: pids, interval=0.01) as sampler:
            for step in range(1, 11):
                process.stdin.write(b"on\n")
                process.stdin.flush()
                process.stdout.readline()
                wait_until(lambda least=4 * step: sampler.peaks().get("worker", 0) > least, seconds=20)
        process.stdin.close()
    assert sampler.peaks()["worker"] > 40
    assert sampler.growth("worker") > 0
