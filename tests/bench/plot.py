"""Bars as SVG by hand: a group for each condition, a bar for each median, a whisker to the 90th percentile."""

import html
from dataclasses import dataclass

WIDTH, LABELS, RIGHT, BAR, GAP, HEAD = 760, 250, 70, 18, 8, 34

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px } .group { font-weight: 600 } .number, .tick { fill: #57606a }
  .tick { font-size: 11px } .ours { fill: #1f6feb } .theirs { fill: #a0a7b0 } line { stroke: #57606a } .grid { stroke: #d8dee4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .number, .tick { fill: #9198a1 } .ours { fill: #4493f8 } .theirs { fill: #6e7681 }
    line { stroke: #9198a1 } .grid { stroke: #30363d }
  }
"""


@dataclass
class Bar:
    name: str
    median: float
    p90: float
    is_ours: bool


@dataclass
class Group:
    title: str
    bars: list


def plot(title, groups):
    """The text of an SVG file. All bars have one scale, in seconds."""
    longest = max(bar.p90 for group in groups for bar in group.bars)
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if longest / step <= 8)
    scale = (WIDTH - LABELS - RIGHT) / longest
    drawn, y = [], HEAD
    for group in groups:
        if group.title:
            y += 16
            drawn.append(f'<text class="group" x="8" y="{y}">{html.escape(group.title)}</text>')
            y += GAP
        for bar in group.bars:
            drawn += draw(bar, y, scale)
            y += BAR + GAP
    bottom, grid, at = y, [], 0.0
    while at <= longest:
        x = LABELS + at * scale
        grid.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD}" y2="{bottom}"/>')
        grid.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{at:g} s</text>')
        at += step
    height = bottom + 24
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    name = html.escape(f"{title}: median, and whisker to the 90th percentile")
    lines = [head, f"<title>{name}</title>", f"<style>{STYLE}</style>", f'<text class="title" x="8" y="20">{name}</text>']
    return "\n".join([*lines, *grid, *drawn, "</svg>", ""])


def draw(bar, y, scale):
    kind = "ours" if bar.is_ours else "theirs"
    middle, end, most = y + BAR / 2, LABELS + bar.median * scale, LABELS + bar.p90 * scale
    return [
        f'<text x="{LABELS - 8}" y="{middle + 4}" text-anchor="end">{html.escape(bar.name)}</text>',
        f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{bar.median * scale:.1f}" height="{BAR}" rx="2"/>',
        f'<line x1="{end:.1f}" x2="{most:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<line x1="{most:.1f}" x2="{most:.1f}" y1="{y + 4}" y2="{y + BAR - 4}"/>',
        f'<text class="number" x="{most + 6:.1f}" y="{middle + 4}">{bar.median:.2f} s</text>',
    ]
