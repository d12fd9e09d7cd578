"""Draws CPU per page of everybody, from JSON on standard input, as PNG and SVG of the name that is given."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "headframe"

from matplotlib import pyplot  # noqa: E402 - after the choice of how to draw

rows = json.load(sys.stdin)
latencies = sorted({row["latency_ms"] for row in rows})
figure, axes = pyplot.subplots(1, len(latencies), figsize=(6 * len(latencies), 4), squeeze=False, layout="constrained")
for axis, latency in zip(axes[0], latencies, strict=True):
    shown = sorted((row for row in rows if row["latency_ms"] == latency), key=lambda row: -row["cpu_ms"])
    names = [row["name"] for row in shown]
    colours = ["#c8553d" if name.startswith("Headframe") else "#7a8b99" for name in names]
    bars = axis.barh(names, [row["cpu_ms"] for row in shown], color=colours)
    axis.bar_label(bars, fmt="%.1f", padding=3)
    axis.set_title(f"CPU per page in ms, API latency {latency:.0f} ms")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.12)
for kind, facts in (("png", {"Software": None}), ("svg", {"Date": None})):
    figure.savefig(f"{sys.argv[1]}.{kind}", dpi=120, metadata=facts)
